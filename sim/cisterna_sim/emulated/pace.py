"""When a PIO block is stepped: while a machine of it has something to do, and not else.

The emulator steps a block that runs after every instruction of the processor, which takes longer
than the instruction does. So a block whose machines all wait is stopped until something may end a
wait: an access to its registers, or a pin.
"""

from collections.abc import Callable
from typing import Any

_FIRST_BUS = 0x50200
_BUSES_APART = 0x100
# One instruction of the step program. Asleep, the emulator jumps from alarm to alarm and lets a
# machine do one instruction a jump: without an alarm this often a burst would stand still.
_PACE_NS = 200
_PACE_CYCLES = 25
# The hardware cut (hal/rp2/pio_cutoff.py) counts turns of three instructions, 40 ns each, for
# 150 ms after a pulse. If nothing else happens its block is stopped meanwhile, too: the turns are
# taken off when it goes on, which is before the last of them.
_CUTOFF_BLOCK, _CUTOFF_MACHINE = 1, 1
_TURN_NS = 120


class Pace:
    """Stops and starts PIO block ``number`` of ``mcu``."""

    def __init__(self, mcu: Any, number: int) -> None:
        self._gpio = mcu.gpio
        self._clock = mcu.clock
        self._pio = pio = mcu.pio[number]
        self._cutoff = pio.machines[_CUTOFF_MACHINE] if number == _CUTOFF_BLOCK else None
        self._again = self._clock.create_alarm(self._rest)
        self._turned = self._clock.create_alarm(self.wake)
        # Since when turns are counted here, and whether the line is high.
        self._counting: tuple[float, bool] | None = None
        mcu.peripherals[_FIRST_BUS + number * _BUSES_APART] = _Bus(pio, self.wake)

    def wake(self) -> None:
        """Something may have ended a wait: let the block run until all of its machines wait."""
        if self._counting is not None:
            self._turned.cancel()
            self._take_off(*self._counting)
            self._counting = None
        self._go_on(bool(self._running()))

    def _rest(self) -> None:
        running = self._running()
        only_cutoff = running and running == [self._cutoff]
        self._go_on(bool(running) and not (only_cutoff and self._stands_still()))

    def _go_on(self, running: bool) -> None:
        self._pio.stopped = not running
        if running:
            self._again.schedule(_PACE_NS)

    def _running(self) -> list[Any]:
        return [m for m in self._pio.machines if m.enabled and not m.waiting]

    def _stands_still(self) -> bool:
        """Whether the cut has nothing to do but to count, for a time, or to stay."""
        cutoff: Any = self._cutoff
        word = self._pio.instructions[cutoff.pc]
        if not word >> 13 and word & 0xFF == cutoff.pc:  # it jumps to itself
            self._pio.advance(_PACE_CYCLES)  # once at least, for that sets its pin
            return True
        high = bool(self._gpio[cutoff.jmp_pin].input_value)
        turns = cutoff.x if high else min(cutoff.x, cutoff.y)
        if turns < 2:
            return False
        self._counting = self._clock.nanos, high
        self._turned.schedule((turns - 1) * _TURN_NS)
        return True

    def _take_off(self, since_ns: float, high: bool) -> None:
        """Y stands for the pause, which begins when the line goes low."""
        cutoff: Any = self._cutoff
        turns = round(self._clock.nanos - since_ns) // _TURN_NS
        cutoff.x -= min(turns, cutoff.x)
        if not high:
            cutoff.y -= min(turns, cutoff.y)


class _Bus:
    """A PIO block on the bus that tells when it was accessed; reading a FIFO makes room in it."""

    def __init__(self, pio: Any, accessed: Callable[[], None]) -> None:
        self._pio = pio
        self._accessed = accessed

    def read_uint32(self, offset: int) -> int:
        value = self._pio.read_uint32(offset)
        self._accessed()
        return int(value)

    def write_uint32_atomic(self, offset: int, value: int, atomic_type: int) -> None:
        self._pio.write_uint32_atomic(offset, value, atomic_type)
        self._accessed()

    def write_uint32(self, offset: int, value: int) -> None:
        self._pio.write_uint32(offset, value)
        self._accessed()
