"""UF2: the file one drags onto a Pico in its boot-loader."""

import struct

from cisterna_tools.image import ImageError

BLOCK = 512
PAYLOAD = 256
FLASH_START = 0x10000000
FAMILY_RP2040 = 0xE48BFF56
_MAGICS = (0x0A324655, 0x9E5D5157)
_MAGIC_END = 0x0AB16F30
_FAMILY_GIVEN = 0x2000
_HEAD = struct.Struct("<8I")
_END = struct.Struct("<I")


def from_binary(binary: bytes) -> bytes:
    """The UF2 file that writes ``binary`` to the start of an RP2040's flash."""
    count = -(-len(binary) // PAYLOAD)
    blocks = []
    for number in range(count):
        payload = binary[number * PAYLOAD : (number + 1) * PAYLOAD].ljust(PAYLOAD, b"\0")
        head = _HEAD.pack(
            *_MAGICS,
            _FAMILY_GIVEN,
            FLASH_START + number * PAYLOAD,
            PAYLOAD,
            number,
            count,
            FAMILY_RP2040,
        )
        blocks.append((head + payload).ljust(BLOCK - _END.size, b"\0") + _END.pack(_MAGIC_END))
    return b"".join(blocks)


def check(data: bytes, name: str) -> None:
    """Raise ImageError unless ``data`` is a whole UF2 file for the RP2040, last block included."""
    if not data or len(data) % BLOCK:
        raise ImageError(f"{name} is cut short or no UF2 file: {len(data)} bytes")
    for number in range(len(data) // BLOCK):
        block = data[number * BLOCK : (number + 1) * BLOCK]
        *magics, _, _, _, _, count, family = _HEAD.unpack_from(block)
        if tuple(magics) != _MAGICS or _END.unpack(block[-_END.size :])[0] != _MAGIC_END:
            raise ImageError(f"{name} is no UF2 file: block {number} has the wrong marks")
        if family != FAMILY_RP2040:
            raise ImageError(f"{name} is for another chip: family 0x{family:08x}, not the RP2040")
        # Official images may hold several runs of blocks, each counted for itself.
        if number == len(data) // BLOCK - 1 and block[20:24] != _END.pack(count - 1):
            raise ImageError(f"{name} is cut short: it ends before block {count}")
