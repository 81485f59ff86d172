"""From a rate to steps: exact, with no drift, one bounded burst at a time. Owns the motor.

Programmed volume is counted in units of one nL/day for one us, of which a step holds exactly
``step_pl * UNITS_PER_PL``. So the part of a step that is programmed and not yet moved is an
integer at every instant, a change of rate loses nothing, and a step falls due at the first
microsecond at which the programmed integral reaches it. The next due time follows from the last
due time, never from "now", by two small integers (a Bresenham line).

A burst is the token that lets the motor move: at most 16 steps in therapy, or 250 ms of motion
when priming. A tick that comes late catches up by one burst at most; what is beyond that is
dropped, counted, and seen by the guard as shortfall.
"""

from ..base.compat import TYPE_CHECKING, const
from ..base.units import UNITS_PER_PL

if TYPE_CHECKING:
    from ..base.ports import Stepper

MAX_BURST_STEPS = const(16)
MAX_BURST_US = const(250_000)
# Between the steps of a catch-up or a back-off burst: 200 steps/s, slow for any stepper.
CATCH_UP_INTERVAL_US = const(5_000)
# "Not due": later than any time that a pump sees (about 292,000 years).
NEVER_US = 1 << 63


class Dosing:
    """The motor's owner. ``due_us`` is when the next step is due; NEVER_US at rate 0."""

    def __init__(self, stepper: "Stepper", step_pl: int) -> None:
        self._stepper = stepper
        self._step_units = step_pl * UNITS_PER_PL
        self.rate_nl_per_day = 0
        self.due_us = NEVER_US
        self.dropped_steps = 0
        self._phase = 0
        self._overshoot = 0
        self._period_us = 0
        self._period_rest = 0
        self._run_steps = 1
        self._ordered = 0  # what the stepper will have emitted once it is not busy

    def set_rate(self, now_us: int, rate_nl_per_day: int, priming: bool = False) -> None:
        """Deliver at ``rate_nl_per_day`` (not negative) from ``now_us`` on.

        A burst that still runs was planned at the former rate: what is left of it is taken back.
        At rate 0 the part of a step that is owed is kept for the next rate, whole steps are not.
        """
        self._phase = self._phase_at(now_us)
        self._take_back()
        self.rate_nl_per_day = rate_nl_per_day
        if rate_nl_per_day == 0:
            self.due_us = NEVER_US
            if self._phase >= self._step_units:
                missed, self._phase = divmod(self._phase, self._step_units)
                self.dropped_steps += missed
            return
        self._period_us, self._period_rest = divmod(self._step_units, rate_nl_per_day)
        self._run_steps = max(1, MAX_BURST_US // max(1, self._period_us))
        if not priming:
            self._run_steps = min(self._run_steps, MAX_BURST_STEPS)
        self._aim(now_us)

    def _take_back(self) -> None:
        stepper = self._stepper
        if stepper.emitted() < self._ordered:
            stepper.abort()
            self._phase += (self._ordered - stepper.emitted()) * self._step_units
            self._ordered = 0

    def _phase_at(self, now_us: int) -> int:
        """Units programmed by ``now_us`` since the last step that was taken."""
        if self.due_us == NEVER_US:
            return self._phase
        ahead_units = (self.due_us - now_us) * self.rate_nl_per_day
        return self._step_units + self._overshoot - ahead_units

    def _aim(self, now_us: int) -> None:
        """Set the due time from the phase at ``now_us``.

        ``_overshoot`` is what the integral will have passed the step by: less than one us of flow.
        """
        missing = self._step_units - self._phase
        wait_us = -(-missing // self.rate_nl_per_day)
        self.due_us = now_us + wait_us
        self._overshoot = wait_us * self.rate_nl_per_day - missing

    def take(self, now_us: int) -> int:
        """Take the steps of the next burst off what is due; 0 if none is, or one still runs.

        The caller charges them to the ledger and then calls ``emit``.
        """
        due_us = self.due_us
        if now_us < due_us or self._stepper.busy():
            return 0
        overshoot, rate = self._overshoot, self.rate_nl_per_day
        period_us, rest, run_steps = self._period_us, self._period_rest, self._run_steps
        steps = 0
        while steps < run_steps or (due_us <= now_us and steps < MAX_BURST_STEPS):
            steps += 1
            due_us += period_us
            overshoot -= rest
            if overshoot < 0:
                due_us += 1
                overshoot += rate
        self.due_us, self._overshoot = due_us, overshoot
        if due_us <= now_us:
            self._drop(now_us)
        return steps

    def _drop(self, now_us: int) -> None:
        missed, self._phase = divmod(self._phase_at(now_us), self._step_units)
        self.dropped_steps += missed
        self._aim(now_us)

    def emit(self, steps: int) -> None:
        """Emit steps that were taken, as one burst; nothing for 0."""
        if steps:
            run = self._run_steps > 1
            self._ordered = self._stepper.emitted() + steps
            self._stepper.burst(steps, self._period_us if run else CATCH_UP_INTERVAL_US)

    def back_off(self, steps: int) -> None:
        """Emit one reverse burst of at most MAX_BURST_STEPS steps; the rate must be 0."""
        if self.rate_nl_per_day or not 0 < steps <= MAX_BURST_STEPS:
            raise ValueError(
                f"a back-off of {steps} steps at {self.rate_nl_per_day} nL/day; stop first, and "
                f"reverse 1..{MAX_BURST_STEPS} steps"
            )
        self._stepper.burst(-steps, CATCH_UP_INTERVAL_US)

    def halt(self, now_us: int) -> None:
        """No further step: abort the burst that runs and set the rate to 0."""
        self._stepper.abort()
        self.set_rate(now_us, 0)
