"""Monotonic time without an end, from a counter that wraps."""

from .compat import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

TICKS_PERIOD = const(1 << 30)


class TicksClock:
    """Microseconds since it was made, from a counter of us that wraps at TICKS_PERIOD.

    It must be read at least once in a period, about 18 min.
    """

    def __init__(self, ticks_us: "Callable[[], int]") -> None:
        self._ticks_us = ticks_us
        self._last = ticks_us()
        self._now_us = 0

    def now_us(self) -> int:
        """Time now; never goes back."""
        ticks = self._ticks_us()
        self._now_us += (ticks - self._last) & (TICKS_PERIOD - 1)
        self._last = ticks
        return self._now_us
