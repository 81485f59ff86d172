"""The pump's time: monotonic, without an end, from a counter that wraps."""

from .compat import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

TICKS_PERIOD = const(1 << 30)


class TicksClock:
    """Microseconds from ``start_us`` on, from a counter of us that wraps at TICKS_PERIOD.

    It must be read at least once in a period, about 18 min. A pump's clock starts where the time
    of its last save ended (``Pump.now_us``), so that one time runs through the pump's whole life.
    """

    def __init__(self, ticks_us: "Callable[[], int]", start_us: int = 0) -> None:
        self._ticks_us = ticks_us
        self._last = ticks_us()
        self._now_us = start_us

    def now_us(self) -> int:
        """Time now; never goes back."""
        ticks = self._ticks_us()
        self._now_us += (ticks - self._last) & (TICKS_PERIOD - 1)
        self._last = ticks
        return self._now_us
