"""What the emulated board's flash holds: the image with the pump inside, or plain MicroPython and
the pump's files; and what the pump remembers."""

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from littlefs import LittleFS, UserContext

from cisterna_tools import image
from cisterna_tools.flash.payload import RELEASE, Payload
from cisterna_tools.image import plain, release

FLASH_BYTES = 2 * 1024 * 1024
_BLOCK_BYTES = 4096
# Where MicroPython's file system begins on a Pico: it is the flash's last 1408 kB.
_FILES_START = FLASH_BYTES - 1408 * 1024
# Every MicroPython reads this version of the format; newer ones make it 2.1 when they write.
_DISK_VERSION = 0x00020000
_NEWEST = 0
_XIP_START = 0x10000000


def missing() -> str:
    """Why no pump can run; empty if one can. The first time may take minutes."""
    try:
        pump()
    except image.ImageError as error:
        return str(error)
    return ""


def pump(board: str = "pico", build: bool = True) -> tuple[Path, dict[str, bytes]]:
    """The image with the pump inside, and no files; where none can be built, plain MicroPython
    and the files that make it a pump. Without ``build`` an image is used if it lies ready."""
    if build or release.made(board):
        try:
            return release.find(board), {}
        except image.CannotBuild:
            pass
    return plain.find(), firmware(board)


def firmware(board: str = "pico") -> dict[str, bytes]:
    """The files that `make flash` copies, by path on the board."""
    payload = _payload(board)
    return {**payload.files, RELEASE: payload.release()}


@cache
def _payload(board: str) -> Payload:
    return Payload(board)


def make(uf2: Path, files: dict[str, bytes]) -> bytes:
    """A whole flash: an image, and a file system of these files, by path."""
    flash = bytearray(b"\xff") * FLASH_BYTES
    for address, data in _blocks(uf2.read_bytes()):
        flash[address : address + len(data)] = data
    flash[_FILES_START:] = file_system(files)
    return bytes(flash)


def file_system(files: dict[str, bytes]) -> bytes:
    """A Pico's file system that holds these files, by path."""
    context = UserContext(buffsize=FLASH_BYTES - _FILES_START)
    system = _mount(context, fresh=True)
    for path, data in files.items():
        folder = path.rpartition("/")[0]
        if folder:
            system.makedirs(folder, exist_ok=True)
        with system.open(path, "wb") as file:
            file.write(data)
    system.unmount()
    return bytes(context.buffer)


def files(flash: bytes) -> dict[str, bytes]:
    """The files that a flash holds, by path. The flash is left as it is."""
    context = UserContext(buffsize=FLASH_BYTES - _FILES_START)
    context.buffer[:] = flash[_FILES_START:FLASH_BYTES]
    system = _mount(context, fresh=False)
    found = {}
    for folder, _, names in system.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with system.open(path, "rb") as file:
                found[path] = file.read()
    system.unmount()
    return found


def _mount(context: UserContext, fresh: bool) -> LittleFS:
    system = LittleFS(
        context=context,
        mount=False,
        block_size=_BLOCK_BYTES,
        block_count=(FLASH_BYTES - _FILES_START) // _BLOCK_BYTES,
        prog_size=256,
        disk_version=_DISK_VERSION if fresh else _NEWEST,
    )
    if fresh:
        system.format()
    system.mount()
    return system


def _blocks(uf2: bytes) -> Iterator[tuple[int, bytes]]:
    """Place in the flash, and content, of each block of a UF2 file."""
    for start in range(0, len(uf2), 512):
        _, _, _, address, size = struct.unpack_from("<5I", uf2, start)
        yield address - _XIP_START, uf2[start + 32 : start + 32 + size]
