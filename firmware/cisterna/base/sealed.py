"""Data that must not change by accident: it carries a CRC that is checked before every use."""

import binascii


class Sealed:
    """Base of program, limits and calibration.

    ``seal`` is called once the values are known to be right; ``intact`` packs the live values
    again, so a bit flipped in any of them, or in the CRC, is found. CRC-32 finds every single-bit
    error.
    """

    crc = 0

    def pack(self) -> bytes:
        """The values as bytes, the same on every platform."""
        return b""

    def seal(self) -> None:
        """Take the present values as the right ones."""
        self.crc = binascii.crc32(self.pack())

    def intact(self) -> bool:
        """True if the values are still those that were sealed."""
        try:
            return binascii.crc32(self.pack()) == self.crc
        except Exception:  # a damaged value may no longer fit its field: that is damage, too
            return False
