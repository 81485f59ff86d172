"""What was really delivered in the last 24 h, and whether more may follow (D04).

1. Counted steps are kept by quarters of an hour: the running one and the 96 before it. Their sum
   is never less than what any 24 h that end now hold, and at most a quarter's flow more.
2. ``fits`` is asked when a program is changed, or a bolus given after a change: then the past is
   not what the present program would have delivered.
3. ``over`` is the last net. It knows no program, only the limit.
4. The quarters are saved with the state. A change of concentration keeps the dose, not the steps.
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
_LAYOUT = "<I97H"
WINDOW_SIZE = struct.calcsize(_LAYOUT)
_MAX_STEPS = const(0xFFFF)
# So many quarters are weighed at a time.
_PIECE = const(24)


class DoseWindow:
    """Steps by quarters of pump time: the running one and the 96 before it."""

    def __init__(self, calibration: "Calibration") -> None:
        self._calibration = calibration
        self._newest = 0  # number of the running quarter since pump time 0
        self._steps = [0] * (_QUARTERS + 1)

    def add(self, now_us: int, steps: int) -> None:
        """Count steps that moved."""
        number = now_us // QUARTER_US
        if number != self._newest:
            self.turn(now_us)
        place = number % (_QUARTERS + 1)
        self._steps[place] = min(_MAX_STEPS, self._steps[place] + steps)

    def turn(self, now_us: int) -> None:
        """Forget the quarters that have left the window."""
        number = now_us // QUARTER_US
        for gone in range(max(self._newest + 1, number - _QUARTERS), number + 1):
            self._steps[gone % (_QUARTERS + 1)] = 0
        self._newest = max(self._newest, number)

    def steps(self, now_us: int) -> int:
        """Most steps that any 24 h ending now can hold."""
        self.turn(now_us)
        return sum(self._steps)

    def rescale(self, from_ug_per_ml: int, to_ug_per_ml: int) -> None:
        """Keep the dose when the reservoir's concentration changes; rounded up."""
        self._steps = [
            min(_MAX_STEPS, -(-steps * from_ug_per_ml // to_ug_per_ml)) for steps in self._steps
        ]

    def over(self, now_us: int, limits: "Limits", concentration_ug_per_ml: int) -> bool:
        """True if 24 h hold more than the limit and what the window may hold too much."""
        limit = self._limit_steps(limits, concentration_ug_per_ml)
        return self.steps(now_us) > limit + limit // _QUARTERS + 2

    def _limit_steps(self, limits: "Limits", concentration_ug_per_ml: int) -> int:
        limit_nl = limits.max_daily_dose_ng * 1000 // concentration_ug_per_ml
        return self._calibration.steps_in(limit_nl)

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
        calibration = self._calibration
        limit = self._limit_steps(limits, program.concentration_ug_per_ml)
        past = self.steps(now_us)
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
            if past + calibration.steps_in(-(-ahead // MINUTES_PER_DAY)) + 1 > limit:
                yield False
                return
            past -= self._steps[(self._newest - _QUARTERS + quarter) % (_QUARTERS + 1)]

    def pack(self) -> bytes:
        """The window as bytes."""
        return struct.pack(_LAYOUT, self._newest, *self._steps)

    def restore(self, data: bytes) -> None:
        """Take up what ``pack`` made."""
        values = struct.unpack(_LAYOUT, data)
        self._newest, self._steps = values[0], list(values[1:])
