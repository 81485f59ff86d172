"""The MicroPython VM of a 32-bit machine: the unix port, from the sources that images are made of.

Integers, objects and the heap are those of a board, at the speed of this machine.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from cisterna_tools.image import CannotBuild, build, cache, sources, tasks

PACKAGE = "gcc-multilib"
# What the Debian sources lack or a board does not have; texts that a board keeps take as much.
_SETTINGS = (
    "MICROPY_FORCE_32BIT=1",
    *(f"MICROPY_{name}=0" for name in ("PY_FFI", "PY_SSL", "PY_BTREE", "SSL_MBEDTLS")),
    "CFLAGS_EXTRA=-DMICROPY_QSTR_BYTES_IN_HASH=1",
)
_ASYNCIO = 'include("$(MPY_DIR)/extmod/asyncio")\n'
_PIO = 'freeze("$(MPY_DIR)/ports/rp2/modules", "rp2.py")\n'
# VMs of older firmware that the cache keeps.
_KEPT = 4


def missing() -> str:
    """What to install before it can be built; empty if all is there."""
    if not all(map(shutil.which, ("gcc", "make"))) or not _has_32_bit_library():
        return f"no 32-bit compiler here (Debian and Ubuntu: apt install {PACKAGE} make)"
    return ""


def cached() -> Path:
    """Where the VM lies once it is made."""
    return cache.folder() / f"micropython-{sources.MICROPYTHON}-32bit-{_key()}"


def find() -> Path:
    """The VM, with asyncio frozen in as in an image; from the cache, or built in half a minute.

    ImageError says why there is none.
    """
    if not cached().exists():
        with cache.locked():
            if not cached().exists():
                cache.put(cached(), _build(_ASYNCIO), 0o755)
    return cached()


def with_frozen(folder: Path) -> Path:
    """The VM with all modules of ``folder`` frozen in, and the Pico's own assembler for PIO.

    ImageError says why there is none.
    """
    manifest = f'{_ASYNCIO}{_PIO}freeze("{folder.resolve()}")\n'
    recipe = hashlib.sha256(_key().encode())
    for path in sorted(folder.rglob("*.py")):
        recipe.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    wanted = cache.folder() / f"micropython-32bit-frozen-{recipe.hexdigest()[:12]}"
    if not wanted.exists():
        with cache.locked():
            if not wanted.exists():
                cache.put(wanted, _build(manifest), 0o755)
                made = cache.folder().glob("micropython-32bit-frozen-*")
                for old in sorted(made, key=lambda path: -path.stat().st_mtime)[_KEPT:]:
                    old.unlink(missing_ok=True)
    return wanted


def _key() -> str:
    """Changes with anything here that can change a VM."""
    recipe = hashlib.sha256()
    for name in ("vm32.py", "sources.py"):
        recipe.update(Path(__file__).with_name(name).read_bytes())
    return recipe.hexdigest()[:12]


def _build(manifest: str) -> bytes:
    """The VM's file. The cache must be locked."""
    if missing():
        raise CannotBuild(missing())
    tree = build.source_tree()
    port = tree / "micropython/ports/unix"
    listed = tree / "vm32.py"
    listed.write_text(manifest, encoding="utf-8")
    jobs = str(os.cpu_count() or 1)
    environment = build.environment()
    tasks.run(["make", "-C", "micropython/mpy-cross", "-j", jobs], tree, environment)
    # Of another manifest: its modules would stay in.
    shutil.rmtree(port / "build-standard/frozen_mpy", ignore_errors=True)
    tasks.run(
        ["make", "-C", str(port), "-j", jobs, *_SETTINGS, f"FROZEN_MANIFEST={listed}"],
        tree,
        environment,
    )
    return (port / "build-standard/micropython").read_bytes()


def _has_32_bit_library() -> bool:
    # The name comes back as it was given if there is no such file.
    command = ["gcc", "-m32", "-print-file-name=libc.so"]
    return "/" in subprocess.run(command, capture_output=True, text=True, check=False).stdout
