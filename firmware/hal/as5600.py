"""AS5600 magnetic encoder on the lead screw, over I2C: the core's Motion port.

Registers, and what follows from them, are of the AS5600 data sheet (ams, v1-06). RAW ANGLE is
read, not ANGLE: ANGLE has a hysteresis of 10 counts where the turn begins anew, about 8
microsteps, which would look like lost steps.
"""

from cisterna.base.compat import TYPE_CHECKING, const

_ADDRESS = const(0x36)
_STATUS = const(0x0B)
_RAW_ANGLE = const(0x0C)
_COUNTS = const(4096)
_HALF_TURN = const(2048)

# Bits of STATUS. Too strong or too weak still reads, with more noise.
MAGNET_TOO_STRONG = const(0x08)
MAGNET_TOO_WEAK = const(0x10)
MAGNET_FOUND = const(0x20)

if TYPE_CHECKING:
    from typing import Protocol

    class Bus(Protocol):
        """What it needs of machine.I2C."""

        def readfrom_mem_into(self, __addr: int, __memaddr: int, __buf: bytearray) -> None:
            """Fill the buffer from a device's registers; OSError without an answer."""


class AS5600:
    """Position of the screw. ``status`` holds the magnet's bits of the last good reading.

    It must be read at least once in half a turn; the core reads it four times a second, and the
    motor turns once a second at most. Whole turns are lost while it cannot be read, so a
    caller that gets None must take a new origin, as the core does.
    """

    def __init__(self, bus: "Bus", microsteps_per_turn: int, reverse: bool = False) -> None:
        """``reverse``: the angle falls as the motor goes forward."""
        self._bus = bus
        self._microsteps_per_turn = microsteps_per_turn
        self._sign = -1 if reverse else 1
        self._angle = bytearray(2)
        self._flags = bytearray(1)
        self._last = -1
        self._counts = 0
        self.status = 0

    def position(self) -> "int | None":
        """Screw position in microsteps since the first reading, forward positive; None if dead.

        None: no answer on the bus, or no magnet before the chip.
        """
        try:
            self._bus.readfrom_mem_into(_ADDRESS, _STATUS, self._flags)
            self._bus.readfrom_mem_into(_ADDRESS, _RAW_ANGLE, self._angle)
        except OSError:
            self.status = 0
            return None
        self.status = self._flags[0]
        if not self.status & MAGNET_FOUND:
            return None
        angle = (self._angle[0] << 8 | self._angle[1]) & (_COUNTS - 1)
        if self._last < 0:
            self._last = angle
        turned = (angle - self._last + _HALF_TURN) & (_COUNTS - 1)
        self._counts += self._sign * (turned - _HALF_TURN)
        self._last = angle
        # Rounded: the difference of two readings errs by up to 3 counts. Rounded, that is 2 steps;
        # cut off it could be 3, which cisterna/parts/motion.py books as a loss.
        return (self._counts * self._microsteps_per_turn + _HALF_TURN) // _COUNTS
