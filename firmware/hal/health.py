"""Check that the pump's loop does its work: only then does the loop feed the watchdog (F11).

The checks ask for what was completed (looks, steps, ticks), not for what was planned.
"""

from cisterna.base.compat import TYPE_CHECKING, const
from cisterna.base.modes import BASAL, BOLUS, UNCONFIGURED
from cisterna.base.units import UNITS_PER_PL

if TYPE_CHECKING:
    from cisterna.pump import Pump

# Work that is this late stops the feeding, so it stops within 1 s.
LATE_US = const(900_000)
# A pump that is stopped saves every quarter of an hour, so its ticks lie no further apart.
_LONGEST_REST_US = const(900_000_000)


class Health:
    """The checks of one loop."""

    def __init__(self, pump: "Pump", now_us: int) -> None:
        self._pump = pump
        # What was done, and when: looks and steps are counted by those who do them.
        self._looks = 0
        self._looked_us = now_us
        self._steps = 0
        self._stepped_us = now_us
        self._rate = 0
        self._period_us = 0

    def passes(self, now_us: int, due_us: int) -> bool:
        """True if all is as it should be; ``due_us`` is when the next tick is due."""
        looks, ticks = self._looks_are_taken(now_us), self._ticks_come(now_us, due_us)
        return looks and ticks and self._flow_is_right()

    def _looks_are_taken(self, now_us: int) -> bool:
        looks = self._pump.sampler.looks
        if looks != self._looks:
            self._looks = looks
            self._looked_us = now_us
        return now_us - self._looked_us < LATE_US

    def _ticks_come(self, now_us: int, due_us: int) -> bool:
        """The tick is not overdue, and is due as soon as the pump needs it; steps come."""
        pump = self._pump
        rate = pump.dosing.rate_nl_per_day
        steps = self._pump.hal.stepper.emitted()
        if steps != self._steps or rate != self._rate:
            self._steps = steps
            self._stepped_us = now_us
            if rate != self._rate:
                self._rate = rate
                self._period_us = pump.memory.calibration.step_pl * UNITS_PER_PL // max(1, rate)
        if rate > 0:
            latest_us = self._stepped_us + self._period_us
        elif pump.modes.mode == UNCONFIGURED:
            latest_us = max(now_us, due_us)  # nothing happens but by an order
        else:
            latest_us = now_us + _LONGEST_REST_US
        return now_us - due_us < LATE_US and max(now_us, due_us) - latest_us < LATE_US

    def _flow_is_right(self) -> bool:
        """Flow in basal or bolus mode alone; in basal mode whenever the program asks for it."""
        pump = self._pump
        mode = pump.modes.mode
        if pump.dosing.rate_nl_per_day > 0:
            return mode in (BASAL, BOLUS)
        return mode != BASAL or pump.schedule.rate_nl_per_day == 0
