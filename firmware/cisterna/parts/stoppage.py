"""Measure how long delivery has been at zero, and how much volume was missed (F08).

The pump reminds after an hour. It raises a high alarm once the missed volume reaches a quarter of
the day's, and after 48 h at the latest. The published pump alarms at 48 h; by the design's patient
model the effect is down to a quarter after 14.5 h.
"""

from ..base.compat import const
from ..base.units import UNITS_PER_NL, US_PER_HOUR

REMINDER_US = US_PER_HOUR
LATEST_US = 48 * US_PER_HOUR
MISSED_PARTS = const(4)


class Stoppage:
    """``since_us`` is the pump time at which flow became zero; 0 while there is flow."""

    def __init__(self) -> None:
        self.since_us = 0
        self._missed_units = 0
        self._mark_us = 0

    @property
    def missed_nl(self) -> int:
        """Volume missed since flow went to zero, in nL."""
        return self._missed_units // UNITS_PER_NL

    def restore(self, since_us: int, missed_nl: int) -> None:
        """Continue a stoppage that began before a power loss."""
        self.since_us = since_us
        self._missed_units = missed_nl * UNITS_PER_NL

    def begin(self, now_us: int) -> None:
        """Begin a stoppage; one that has begun already keeps its start and its volume."""
        if not self.since_us:
            self.since_us = max(1, now_us)
            self._missed_units = 0
        self._mark_us = now_us

    def end(self) -> None:
        """End the stoppage: there is flow again."""
        self.since_us = 0
        self._missed_units = 0

    def advance(self, now_us: int, rate_nl_per_day: int) -> None:
        """Count what would have flowed at ``rate_nl_per_day`` since the last call."""
        if self.since_us:
            self._missed_units += (now_us - self._mark_us) * rate_nl_per_day
        self._mark_us = now_us

    def reminds(self, now_us: int) -> bool:
        """True once delivery has been stopped for an hour."""
        return self.since_us > 0 and now_us - self.since_us >= REMINDER_US

    def alarms(self, now_us: int, day_nl: int) -> bool:
        """True once a quarter of ``day_nl`` has been missed, or 48 h have passed."""
        if not self.since_us:
            return False
        missed = day_nl > 0 and self._missed_units * MISSED_PARTS >= day_nl * UNITS_PER_NL
        return missed or now_us - self.since_us >= LATEST_US

    def next_us(self, now_us: int, rate_nl_per_day: int, day_nl: int) -> int:
        """Pump time at which ``reminds`` or ``alarms`` next becomes true; 0 if neither will."""
        if not self.since_us:
            return 0
        if self.alarms(now_us, day_nl):
            return 0 if self.reminds(now_us) else self.since_us + REMINDER_US
        span_us = LATEST_US if self.reminds(now_us) else REMINDER_US
        due_us = self.since_us + span_us
        if rate_nl_per_day and day_nl:
            left = day_nl * UNITS_PER_NL - self._missed_units * MISSED_PARTS
            due_us = min(due_us, now_us + -(-left // (MISSED_PARTS * rate_nl_per_day)))
        return due_us
