"""The image with the pump inside: MicroPython, pump, HAL and board file in one UF2."""

import shutil
from pathlib import Path

from cisterna_tools import boards
from cisterna_tools.flash.payload import modules
from cisterna_tools.image import ImageError, build, cache, uf2

# Other chips: MicroPython for the ESP32 is built with its maker's own kit, which Debian lacks.
CHIP = "rp2"
# The port keeps the rest of the Pico's 2 MiB, 1408 KiB, for the file system.
LARGEST = (2048 - 1408) * 1024


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
