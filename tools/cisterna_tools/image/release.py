"""The image with the pump inside: MicroPython, pump, HAL and board file in one UF2."""

import hashlib
import shutil
from pathlib import Path

from cisterna_tools import boards
from cisterna_tools.flash.payload import modules
from cisterna_tools.image import ImageError, build, cache, uf2

# Other chips: MicroPython for the ESP32 is built with its maker's own kit, which Debian lacks.
CHIP = "rp2"
# The port keeps the rest of the Pico's 2 MiB, 1408 KiB, for the file system.
LARGEST = (2048 - 1408) * 1024
# Images of older firmware that the cache keeps.
_KEPT = 4


def make(board: str) -> tuple[Path, int]:
    """Write ``build/cisterna-<version>-<board>.uf2``; its path and the bytes of flash it takes.

    BoardError or ImageError says why there is none.
    """
    source = boards.source(board)
    if boards.constant(source, "PORT") != CHIP:
        raise ImageError(
            f"BOARD = {board}: images are made for {CHIP} boards; use make flash BOARD={board}"
        )
    version = boards.version()
    with cache.locked():
        folder = boards.ROOT / "build" / f"frozen-{board}"
        stage(source, version, folder)
        image = build.with_manifest(boards.ROOT / "firmware/manifest.py", {"CISTERNA": folder})
    size = len(image) // uf2.BLOCK * uf2.PAYLOAD
    if size > LARGEST:
        raise ImageError(f"the image takes {size} bytes of flash; {LARGEST} are free for it")
    path = boards.ROOT / "build" / f"cisterna-{version}-{board}.uf2"
    cache.put(path, image)
    return path, size


def stage(board: Path, version: str, folder: Path, root: Path = boards.ROOT) -> None:
    """Fill ``folder`` with all that the image is to hold, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    firmware = root / "firmware"
    for source in (firmware / "main.py", *modules(firmware, CHIP)):
        target = folder / source.relative_to(firmware)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    shutil.copy(board, folder / "board.py")
    (folder / "frozen_release.py").write_text(
        f'"""Says that this firmware is frozen."""\n\nVERSION = {version!r}\n', encoding="utf-8"
    )


def find(board: str) -> Path:
    """An image of the firmware as it is now, from the cache or made; raises as ``make`` does."""
    wanted = _cached(board)
    if not wanted.exists():
        path, _ = make(board)
        cache.put(wanted, path.read_bytes())
        images = cache.folder().glob(f"cisterna-{board}-*.uf2")
        for old in sorted(images, key=lambda path: -path.stat().st_mtime)[_KEPT:]:
            old.unlink(missing_ok=True)
    return wanted


def made(board: str) -> bool:
    """Whether ``find`` would take no time."""
    return _cached(board).exists()


def _cached(board: str) -> Path:
    """Where an image of the firmware as it is now lies, if there is one."""
    firmware = boards.ROOT / "firmware"
    own = (firmware / "main.py", firmware / "manifest.py", boards.source(board), Path(__file__))
    recipe = hashlib.sha256(build.key().encode())
    for path in (*own, *modules(firmware, CHIP)):
        recipe.update(f"{path.relative_to(boards.ROOT)}\n".encode() + path.read_bytes())
    return cache.folder() / f"cisterna-{board}-{recipe.hexdigest()[:12]}.uf2"
