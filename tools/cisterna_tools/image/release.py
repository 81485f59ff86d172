"""The image with the pump inside: MicroPython, pump, HAL and board file in one UF2."""

from pathlib import Path

from cisterna_tools import boards
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
    stage = boards.ROOT / "build" / f"frozen-{board}"
    stage.mkdir(parents=True, exist_ok=True)
    (stage / "board.py").write_bytes(source.read_bytes())
    (stage / "frozen_release.py").write_text(
        f'"""Says that this firmware is frozen."""\n\nVERSION = {version!r}\n', encoding="utf-8"
    )
    with cache.locked():
        image = build.with_manifest(
            boards.ROOT / "firmware/manifest.py", {"CISTERNA_BOARD": stage}
        )
    size = len(image) // uf2.BLOCK * uf2.PAYLOAD
    if size > LARGEST:
        raise ImageError(f"the image takes {size} bytes of flash; {LARGEST} are free for it")
    path = boards.ROOT / "build" / f"cisterna-{version}-{board}.uf2"
    cache.put(path, image)
    return path, size
