"""The dose that was really delivered in the last 24 h, and whether more may follow (D04).

1. The dose of counted steps is kept by quarters of an hour of pump time: the running one and the
   96 before it. A dose, not steps: a change of concentration then changes nothing that is past.
2. What any 24 h that end now hold lies between ``least_pg`` (without the oldest quarter, part of
   which is more than 24 h ago) and ``most_pg`` (with it).
3. ``fits`` says whether more may be programmed or given, so it takes the most. It is asked when a
   program or the limit changes, or a bolus is given after a change: then the past is not what the
   present program would have delivered.
4. ``over`` is the last net, which stops the pump, so it takes the least: what is certain. It knows
   no program, only the limit.

Doses are in pg: 1 ug/mL is 1 pg/nL. A quarter at 24 mL/day and 2000 ug/mL holds 5e8 pg.
"""

import struct

from ..base.compat import TYPE_CHECKING, const
from .calendar import MINUTES_PER_DAY
from .program import volume_between

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..base.settings import Calibration, Limits
    from .calendar import Calendar
    from .program import Program

QUARTER_US = const(900_000_000)
_QUARTERS = const(96)
_LAYOUT = "<I97I"
# Layouts 0 and 1 of the state held steps.
_STEPS_LAYOUT = "<I97H"
# A quarter holds no more on the store: a STEP line that picks up noise can count without end.
_MOST_PG = const(0xFFFFFFFF)
# The net's tolerance: what counting and rounding may add, in steps.
_OVER_STEPS = const(2)
# So many quarters are weighed at a time.
_PIECE = const(24)


def window_size(layout: int) -> int:
    """Bytes that the window takes in that layout of the state."""
    return struct.calcsize(_LAYOUT if layout >= 2 else _STEPS_LAYOUT)


class DoseWindow:
    """Doses by quarters of pump time. ``fill`` says which concentration flows."""

    def __init__(self, calibration: "Calibration") -> None:
        self._calibration = calibration
        self._newest = 0  # number of the running quarter since pump time 0
        self._doses_pg = [0] * (_QUARTERS + 1)
        self._step_pg = 0

    def fill(self, concentration_ug_per_ml: int) -> None:
        """What flows from now on has this concentration."""
        self._step_pg = -(-self._calibration.step_pl * concentration_ug_per_ml // 1000)

    def add(self, now_us: int, steps: int) -> None:
        """Count steps that moved."""
        number = now_us // QUARTER_US
        if number != self._newest:
            self.turn(now_us)
        self._doses_pg[number % (_QUARTERS + 1)] += steps * self._step_pg

    def turn(self, now_us: int) -> None:
        """Forget the quarters that have left the window."""
        number = now_us // QUARTER_US
        for gone in range(max(self._newest + 1, number - _QUARTERS), number + 1):
            self._doses_pg[gone % (_QUARTERS + 1)] = 0
        self._newest = max(self._newest, number)

    def most_pg(self, now_us: int) -> int:
        """Most that 24 h ending now can hold, in pg."""
        self.turn(now_us)
        return sum(self._doses_pg)

    def least_pg(self, now_us: int) -> int:
        """Least that 24 h ending now can hold, in pg."""
        return self.most_pg(now_us) - self._oldest_pg(0)

    def _oldest_pg(self, place: int) -> int:
        """Dose of the quarter that leaves the window ``place`` quarters after the oldest."""
        return self._doses_pg[(self._newest - _QUARTERS + place) % (_QUARTERS + 1)]

    def over(self, now_us: int, limits: "Limits") -> bool:
        """True if 24 h certainly hold more than the limit."""
        return (
            self.least_pg(now_us) > limits.max_daily_dose_ng * 1000 + _OVER_STEPS * self._step_pg
        )

    def below_us(self, now_us: int, dose_ng: int) -> int:
        """First pump time from now on at which the past alone holds no more than ``dose_ng``."""
        past_pg = self.most_pg(now_us)
        quarter = 0
        while past_pg > dose_ng * 1000:
            past_pg -= self._oldest_pg(quarter)
            quarter += 1
        return (self._newest + quarter) * QUARTER_US if quarter else now_us

    def fits(
        self,
        now_us: int,
        program: "Program",
        limits: "Limits",
        calendar: "Calendar",
        extra_nl: int = 0,
    ) -> bool:
        """True if ``program`` from now on, and ``extra_nl``, keep every 24 h within the limit."""
        return all(self.fits_so_far(now_us, program, limits, calendar, extra_nl))

    def fits_so_far(
        self,
        now_us: int,
        program: "Program",
        limits: "Limits",
        calendar: "Calendar",
        extra_nl: int = 0,
    ) -> "Iterator[bool]":
        """``fits`` a few quarters at a time, for whom that takes too long; it does if all are."""
        limit_pg = limits.max_daily_dose_ng * 1000
        concentration = program.concentration_ug_per_ml
        past_pg = self.most_pg(now_us)
        ahead = extra_nl * MINUTES_PER_DAY
        begin = 0
        today = tomorrow = [(0, program.mean_rate(limits))]
        if program.by_clock:
            # As in Program.day_bound_nl: a clock change may squeeze a day by an hour.
            ahead += program.top_rate(limits) * 60
            if calendar.known:
                begin = min(calendar.minute(now_us), MINUTES_PER_DAY)
                tomorrow = program.day_rates((calendar.weekday + 1) % 7, limits)
                if not calendar.use_mean:
                    today = program.day_rates(calendar.weekday, limits)
        for quarter in range(_QUARTERS):
            left = max(0, min(15, MINUTES_PER_DAY - begin))
            ahead += volume_between(today, begin, begin + left)
            if left < 15:
                late = begin + left - MINUTES_PER_DAY
                ahead += volume_between(tomorrow, late, late + 15 - left)
            begin += 15
            if quarter % _PIECE == _PIECE - 1:
                yield True
            ahead_pg = -(-ahead // MINUTES_PER_DAY) * concentration
            if past_pg + ahead_pg + self._step_pg > limit_pg:
                yield False
                return
            past_pg -= self._oldest_pg(quarter)

    def pack(self) -> bytes:
        """The window as bytes."""
        return struct.pack(_LAYOUT, self._newest, *[min(_MOST_PG, pg) for pg in self._doses_pg])

    def restore(self, data: bytes, layout: int) -> None:
        """Take up what ``pack`` made in that layout of the state; ``fill`` it first."""
        if layout >= 2:
            values = struct.unpack(_LAYOUT, data)
            self._doses_pg = list(values[1:])
        else:
            values = struct.unpack(_STEPS_LAYOUT, data)
            self._doses_pg = [steps * self._step_pg for steps in values[1:]]
        self._newest = values[0]
