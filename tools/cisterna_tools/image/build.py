"""Builds MicroPython for the Pico with the frozen modules that a manifest names."""

import hashlib
import os
import re
import shutil
from pathlib import Path

from cisterna_tools.image import ImageError, cache, sources, tasks, toolchain, uf2

# What is not in Debian's source package: TLS and what needs its library. SHA-256 then comes from
# a small file of MicroPython's own.
OFF = ("MICROPY_SSL_MBEDTLS", "MICROPY_PY_CRYPTOLIB", "MICROPY_PY_HASHLIB_SHA1")
CUTS = (
    ("set(MICROPY_SSL_MBEDTLS ON)\n", "set(MICROPY_SSL_MBEDTLS OFF)\n"),
    ("    mbedtls/mbedtls_port.c\n", ""),
    ("target_link_libraries(${MICROPY_TARGET} micropy_lib_mbedtls)\n", ""),
)
# The day of MicroPython's release: the same sources give the same image on any day.
RELEASED_S = 1744675200
_PLAIN = 'freeze("$(PORT_DIR)/modules")\ninclude("$(MPY_DIR)/extmod/asyncio")\n'


def key() -> str:
    """Changes with anything here that can change an image."""
    recipe = hashlib.sha256()
    for name in ("build.py", "sources.py", "uf2.py"):
        recipe.update(Path(__file__).with_name(name).read_bytes())
    return recipe.hexdigest()[:12]


def plain() -> bytes:
    """MicroPython and nothing else, as UF2."""
    manifest = source_tree() / "plain.py"
    manifest.write_text(_PLAIN, encoding="utf-8")
    return with_manifest(manifest, {})


def with_manifest(manifest: Path, variables: dict[str, Path]) -> bytes:
    """MicroPython with the frozen modules of ``manifest``, as UF2.

    ``variables`` are paths that the manifest names as ``$(NAME)``. The cache must be locked.
    """
    toolchain.provide()
    tree = source_tree()
    where = tree / "build"
    given = environment()
    jobs = str(os.cpu_count() or 1)
    # Of another manifest: its modules would stay in.
    shutil.rmtree(where / "frozen_mpy", ignore_errors=True)
    tasks.run(["make", "-C", "micropython/mpy-cross", "-j", jobs], tree, given)
    tasks.run(
        [
            "cmake",
            *("-S", str(tree / "micropython/ports/rp2")),
            *("-B", str(where)),
            *("-G", "Unix Makefiles"),
            "-DMICROPY_BOARD=RPI_PICO",
            "-DPICO_NO_PICOTOOL=1",
            f"-DPICO_SDK_PATH_OVERRIDE={tree / 'pico-sdk'}",
            f"-DMICROPY_FROZEN_MANIFEST={manifest}",
            *(f"-DMICROPY_MANIFEST_{name}={path}" for name, path in variables.items()),
        ],
        tree,
        given,
    )
    tasks.run(["cmake", "--build", str(where), "-j", jobs], tree, given)
    return uf2.from_binary((where / "firmware.bin").read_bytes())


def environment() -> dict[str, str]:
    """What the builds see of this process's environment, and the day they are made on."""
    given = {
        **os.environ,
        "MICROPY_GIT_TAG": f"v{sources.MICROPYTHON}",
        "SOURCE_DATE_EPOCH": str(RELEASED_S),
        "LC_ALL": "C",
    }
    for name in ("CFLAGS", "CXXFLAGS", "LDFLAGS", "MAKEFLAGS", "MFLAGS"):
        given.pop(name, None)
    return given


def source_tree() -> Path:
    """The patched sources, from the cache or fetched. The cache must be locked."""
    tree = cache.folder() / f"tree-{key()}"
    if (tree / "ready").exists():
        return tree
    for old in cache.folder().glob("tree-*"):
        shutil.rmtree(old)
    tasks.log().unlink(missing_ok=True)
    sources.fetch(tree)
    _patch(tree)
    (tree / "ready").touch()
    return tree


def _patch(tree: Path) -> None:
    """Leave out what the source package lacks, and put TinyUSB in its place."""
    micropython = tree / "micropython"
    shutil.rmtree(micropython / "lib/tinyusb", ignore_errors=True)
    (tree / "tinyusb").rename(micropython / "lib/tinyusb")
    # The build takes the file for the library; no module of it is frozen.
    (micropython / "lib/micropython-lib").mkdir(exist_ok=True)
    (micropython / "lib/micropython-lib/README.md").touch()
    lists = micropython / "ports/rp2/CMakeLists.txt"
    text = lists.read_text(encoding="utf-8")
    for old, new in CUTS:
        if text.count(old) != 1:
            raise ImageError(f"{lists.name} is not the one known: {old.strip()!r} is not in it")
        text = text.replace(old, new)
    lists.write_text(text, encoding="utf-8")
    config = micropython / "ports/rp2/mpconfigport.h"
    text = config.read_text(encoding="utf-8")
    for name in OFF:
        text, count = re.subn(rf"(#define {name} +)\(1\)", r"\1(0)", text)
        if count != 1:
            raise ImageError(f"{config.name} is not the one known: {name} is not in it")
    config.write_text(text, encoding="utf-8")
