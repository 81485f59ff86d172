"""Check delivery a second time, by other arithmetic. What it finds can only stop or alarm.

The guard computes the rate again, straight from the program, by bitwise long division. It
integrates the programmed volume again, in nL/day times ms, and compares it with the steps
counted. The difference is an integral with hysteresis, kept apart from control as Klipper keeps
its heater check:

- over: more than 3 steps above the program for 5 min, or at once if more than 20 steps above it,
  which is more than a burst of 16;
- under: more than 3 steps and 5 % of the day's volume below it, or no motion for an hour in which
  more than 3 steps fell due. Delivery goes on: for baclofen, stopping would add to the harm.
"""

from ..base.compat import TYPE_CHECKING, const

if TYPE_CHECKING:
    from ..base.settings import Limits
    from .program import Program

OVER_STEPS = const(3)
OVER_MS = const(300_000)
RUNAWAY_STEPS = const(20)
UNDER_STEPS = const(3)
UNDER_MS = const(3_600_000)
UNDER_PARTS = const(20)
# ``under`` ends after this many steps in which the shortfall has grown by a step at most.
STEADY_STEPS = const(16)
_MS_PER_DAY = const(86_400_000)


def long_division(numerator: int, denominator: int) -> int:
    """Numerator / denominator to the nearest whole, a half up: by shift and subtract."""
    numerator += denominator >> 1
    bit = 0
    while denominator << (bit + 1) <= numerator:
        bit += 1
    quotient = 0
    while bit >= 0:
        if numerator >= denominator << bit:
            numerator -= denominator << bit
            quotient |= 1 << bit
        bit -= 1
    return quotient


def program_rate(program: "Program", limits: "Limits", weekday: int, minute: int) -> int:
    """Rate in nL/day that the program asks for, read and computed apart from program.py."""
    if program.kind == 0:
        return 0
    if program.kind == 1:
        return limits.min_rate_nl_per_day
    dose = 0
    latest = -1
    for mask, start_min, segment_dose in program.segments:
        if mask & (1 << weekday) and latest < start_min <= minute:
            latest, dose = start_min, segment_dose
    return long_division(dose * 1000, program.concentration_ug_per_ml)


def program_mean(program: "Program", limits: "Limits") -> int:
    """Mean rate of the week in nL/day, rounded down, computed apart from program.py."""
    total = 0
    for weekday in range(7):
        end = 1440
        for mask, start_min, dose in reversed(program.segments):
            if mask & (1 << weekday):
                rate = long_division(dose * 1000, program.concentration_ug_per_ml)
                total += rate * (end - start_min)
                end = start_min
    return total // 10_080


class Guard:
    """Integrates counted minus programmed steps. ``over`` and ``under`` are its verdicts."""

    def __init__(self, step_pl: int) -> None:
        # Units of one step: nL/day times ms.
        self._step_units = step_pl * 86_400
        self._rate = 0
        self._day_units = 0
        self.rebase(0)

    def rebase(self, now_us: int) -> None:
        """Start the comparison again at the same rate, once a difference has been dealt with."""
        self._mark_ms = now_us // 1000
        self._balance = 0  # counted minus programmed, in units
        self._over_since_ms = -1
        self._still_since_ms = now_us // 1000
        self._still_balance = 0
        self._worst = 0
        self._steady = 0
        self.over = False
        self.under = False

    def set_rate(self, now_us: int, rate_nl_per_day: int, day_nl: int) -> None:
        """Expect this rate from ``now_us`` on; ``day_nl`` is the day's programmed volume."""
        self._integrate(now_us)
        if self._rate == 0:
            self._still_since_ms = self._mark_ms
            self._still_balance = self._balance
        self._rate = rate_nl_per_day
        self._day_units = day_nl * _MS_PER_DAY

    def _integrate(self, now_us: int) -> None:
        now_ms = now_us // 1000
        self._balance -= (now_ms - self._mark_ms) * self._rate
        self._mark_ms = now_ms

    def look(self, now_us: int, counted_steps: int) -> None:
        """Compare the steps counted since the last look with what the program asked for."""
        now_ms = now_us // 1000
        balance = self._balance - (now_ms - self._mark_ms) * self._rate
        self._mark_ms = now_ms
        step_units = self._step_units
        if counted_steps:
            balance += counted_steps * step_units
            self._still_since_ms = now_ms
            self._still_balance = balance
        self._balance = balance
        if balance > OVER_STEPS * step_units:
            self._look_over(now_ms, balance)
        elif self._over_since_ms >= 0 and balance <= step_units:
            self._over_since_ms = -1
            self.over = False
        if balance < -UNDER_STEPS * step_units or self.under:
            self._look_under(now_ms, balance, counted_steps)

    def _look_over(self, now_ms: int, balance: int) -> None:
        if self._over_since_ms < 0:
            self._over_since_ms = now_ms
        if balance > RUNAWAY_STEPS * self._step_units or now_ms - self._over_since_ms > OVER_MS:
            self.over = True

    def _look_under(self, now_ms: int, balance: int, counted_steps: int) -> None:
        if self.under:
            if balance < self._worst - self._step_units:
                self._worst, self._steady = balance, 0
            else:
                self._steady += counted_steps
                self.under = self._steady < STEADY_STEPS
                if not self.under:
                    # The alarm told of the shortfall, and nothing makes it up: forget it.
                    self._balance = self._still_balance = 0
            return
        still = now_ms - self._still_since_ms > UNDER_MS and (
            self._still_balance - balance > UNDER_STEPS * self._step_units
        )
        if still or -balance * UNDER_PARTS > self._day_units:
            self.under = True
            self._worst, self._steady = balance, 0
