"""The board's clock in true time: a counter that wraps, on an oscillator that is a little off."""

from cisterna.base.clock import TICKS_PERIOD, TicksClock

# The counter starts just short of its wrap, so every run passes one in its first seconds.
_BEFORE_WRAP_US = 5_000_000
_BILLION = 1_000_000_000


class BoardClock:
    """What the firmware reads as time, from true time in us: ``start_us`` when the board boots."""

    def __init__(self, boot_us: int, oscillator_ppm: float, start_us: int = 0) -> None:
        self._boot_us = boot_us
        self._start_us = start_us
        self._per_billion = _BILLION + round(oscillator_ppm * 1000)
        self._elapsed_us = 0
        self._ticks = TicksClock(self._read, start_us)

    def _read(self) -> int:
        return (TICKS_PERIOD - _BEFORE_WRAP_US + self._elapsed_us) % TICKS_PERIOD

    def at(self, true_us: int) -> int:
        """The firmware's time at ``true_us``, which must not lie before the last one asked for."""
        elapsed_us = (true_us - self._boot_us) * self._per_billion // _BILLION
        # A board reads its counter many times a period; a jump must, too.
        while elapsed_us - self._elapsed_us >= TICKS_PERIOD:
            self._elapsed_us += TICKS_PERIOD // 2
            self._ticks.now_us()
        self._elapsed_us = elapsed_us
        return self._ticks.now_us()

    def true_us(self, pump_us: int) -> int:
        """First true time at which the firmware's clock shows ``pump_us``."""
        return self._boot_us - (-(pump_us - self._start_us) * _BILLION // self._per_billion)
