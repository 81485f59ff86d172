"""The rate that the program asks for now, computed twice, and until when it holds."""

from .base import faults
from .base.compat import TYPE_CHECKING
from .parts import guard
from .parts.calendar import MINUTES_PER_DAY, Calendar
from .parts.dosing import NEVER_US

if TYPE_CHECKING:
    from .base.settings import Limits
    from .memory import Memory
    from .parts.program import Program

_SEALS = 1 << faults.PROGRAM_CORRUPT | 1 << faults.LIMITS_CORRUPT | 1 << faults.CALIBRATION_CORRUPT


class Schedule:
    """``rate_nl_per_day`` holds until ``until_us``; ``day_nl`` is the program day's volume.

    ``wrong`` is the mask of faults that keep the program from being used; the rate is then 0.
    """

    def __init__(self, memory: "Memory", calendar: Calendar) -> None:
        self._memory = memory
        self._calendar = calendar
        self.rate_nl_per_day = 0
        self.day_nl = 0
        self.until_us = 0
        self.wrong = 0

    def look_up(self, now_us: int) -> None:
        """Bring the rate to ``now_us``."""
        program, limits = self._memory.program, self._memory.limits
        self.until_us = NEVER_US
        self.rate_nl_per_day = self.day_nl = 0
        self.check_seals()
        if program is None or self.wrong & _SEALS:
            return
        rate, again = self._both(now_us, program, limits)
        if rate != again or not 0 <= rate <= limits.max_rate_nl_per_day:
            self.wrong |= 1 << faults.RATE_MISMATCH
            return
        self.rate_nl_per_day = rate

    def check_seals(self) -> None:
        """Set the bits in ``wrong`` of program, limits or calibration that are not intact."""
        memory = self._memory
        wrong = 0
        if memory.program is not None and not memory.program.intact():
            wrong |= 1 << faults.PROGRAM_CORRUPT
        if not memory.limits.intact():
            wrong |= 1 << faults.LIMITS_CORRUPT
        if not memory.calibration.intact():
            wrong |= 1 << faults.CALIBRATION_CORRUPT
        self.wrong = wrong

    def _both(self, now_us: int, program: "Program", limits: "Limits") -> "tuple[int, int]":
        calendar = self._calendar
        calendar.turn(now_us)
        if not program.by_clock:
            rate = program.day_rates(0, limits)[0][1]
            self.day_nl = rate
            return rate, guard.program_rate(program, limits, 0, 0)
        if calendar.use_mean:
            if calendar.known:
                self.until_us = calendar.day_end_us
            self.day_nl = program.mean_rate(limits)
            return self.day_nl, guard.program_mean(program, limits)
        weekday = calendar.weekday
        rates = program.day_rates(weekday, limits)
        index, self.until_us = calendar.segment(now_us, [row[0] for row in rates])
        self.day_nl = program.day_total(weekday, limits) // MINUTES_PER_DAY
        again = guard.program_rate(program, limits, weekday, calendar.minute(now_us))
        return rates[index][1], again
