"""Which program day it is, on a clock that people change and the pump does not trust.

1. Dosing runs on pump time. The wall clock only says where in the day's profile the pump should
   be, and it is asked at one moment: when a program day ends.
2. The next day is then made to end at the wall clock's midnight, by stretching or squeezing it by
   at most an hour, with every rate as it is.
3. So a clock change, a DST change or midnight never adds, drops or repeats a part of a profile:
   each program day delivers its daily mean for exactly as long as it lasts (D10).
4. While the time of day is not known, the profile's mean is delivered. Once the clock is set, the
   mean goes on until the next midnight that is at least 23 h after the last program day began, be
   it before a power loss: else a clock that is set wrong would run the day's head twice in 24 h.

Wall time is whole microseconds since 2000-01-01 00:00 local, a Saturday.
"""

from ..base.compat import const
from ..base.units import US_PER_DAY, US_PER_HOUR

ALL_DAYS = const(0x7F)
MINUTES_PER_DAY = const(1440)
_FIRST_WEEKDAY = const(5)
# A day is squeezed by an hour at most.
_SHORTEST_DAY_US = 23 * US_PER_HOUR
# Long before the pump was first switched on.
NEVER_BEGAN_US = -US_PER_DAY


class Calendar:
    """Program days on the pump's monotonic time.

    ``known``: the wall clock has been set since power-on. ``use_mean``: the running day is
    delivered at its mean rate. ``day_start_us``, ``day_end_us``: the running program day;
    ``weekday``: 0 is Monday. ``began_us``: when the last day that was not delivered at its mean
    began; it outlives a power loss.
    """

    def __init__(self, began_us: int = NEVER_BEGAN_US) -> None:
        self.began_us = began_us
        self.known = False
        self.offset_us = 0
        self.use_mean = True
        self.day_start_us = 0
        self.day_end_us = 0
        self.weekday = 0

    def wall_us(self, now_us: int) -> int:
        """Wall time at pump time ``now_us``."""
        return now_us + self.offset_us

    def set_wall(self, now_us: int, wall_us: int, delivering: bool) -> None:
        """Set the wall clock. While ``delivering``, the running program day stays as it is."""
        was_known = self.known
        self.known = True
        self.offset_us = wall_us - now_us
        if not was_known or not delivering:
            midnight_us = wall_us // US_PER_DAY * US_PER_DAY
            self.day_start_us = midnight_us - self.offset_us
            self.day_end_us = self.day_start_us + US_PER_DAY
            self.weekday = _weekday(midnight_us)
            self.use_mean = delivering
            if not delivering:
                self.began_us = self.day_start_us

    def turn(self, now_us: int) -> None:
        """Begin the next program day if the running one has ended."""
        if not self.known:
            return
        while now_us >= self.day_end_us:
            start_us = self.day_end_us
            wall_us = start_us + self.offset_us
            # The midnight nearest to the wall clock is the one this day begins at.
            midnight_us = (wall_us + US_PER_DAY // 2) // US_PER_DAY * US_PER_DAY
            ahead_us = max(-US_PER_HOUR, min(US_PER_HOUR, wall_us - midnight_us))
            self.day_start_us = start_us
            self.day_end_us = start_us + US_PER_DAY - ahead_us
            self.weekday = _weekday(midnight_us)
            self.use_mean = start_us - self.began_us < _SHORTEST_DAY_US
            if not self.use_mean:
                self.began_us = start_us

    def minute_us(self, minute: int) -> int:
        """Pump time at which ``minute`` of the running program day begins, rounded up."""
        length_us = self.day_end_us - self.day_start_us
        return self.day_start_us - (-minute * length_us // MINUTES_PER_DAY)

    def minute(self, now_us: int) -> int:
        """Minute of the running program day that ``now_us`` is in."""
        length_us = self.day_end_us - self.day_start_us
        if not length_us:
            return 0
        return (now_us - self.day_start_us) * MINUTES_PER_DAY // length_us

    def segment(self, now_us: int, starts: "list[int]") -> "tuple[int, int]":
        """Index of the running segment and when it ends, for start minutes in order from 0."""
        index = len(starts) - 1
        until_us = self.day_end_us
        while index:
            begin_us = self.minute_us(starts[index])
            if begin_us <= now_us:
                break
            until_us = begin_us
            index -= 1
        return index, until_us


def _weekday(midnight_us: int) -> int:
    return (midnight_us // US_PER_DAY + _FIRST_WEEKDAY) % 7
