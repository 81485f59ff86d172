"""The alarm test: every priority sounds for a few seconds, the highest first, and is logged.

It is a signal and no fault: nothing is raised, latched or to be acknowledged. A real alarm that
sounds with at least the same priority is heard instead; an audio pause does not silence the test.
"""

from . import events
from .base.compat import TYPE_CHECKING, const
from .base.faults import HIGH, NONE
from .parts.dosing import NEVER_US

if TYPE_CHECKING:
    from .pump import Pump

SPAN_US = const(6_000_000)


class AlarmTest:
    """The test of one pump. ``due_us`` is when it goes on to the next priority, or ends; NEVER_US
    if none runs."""

    def __init__(self, pump: "Pump") -> None:
        self._pump = pump
        self._priority = NONE
        self.due_us = NEVER_US

    def begin(self) -> None:
        """Start from the highest priority."""
        self._sound(HIGH)

    def advance(self) -> None:
        """Go on to the next priority, or end."""
        self._sound(self._priority - 1)

    def _sound(self, priority: int) -> None:
        pump = self._pump
        self._priority, self.due_us = priority, NEVER_US
        if priority != NONE:
            pump.log.add(pump.now_us, events.ALARM_TEST, priority, 0)
            self.due_us = pump.now_us + SPAN_US

    def signal(self, alarms: "tuple[int, bool]") -> "tuple[int, bool]":
        """What to play, (priority, audible): the test, unless ``alarms`` sound above it."""
        priority, audible = alarms
        if self._priority == NONE or (audible and priority >= self._priority):
            return alarms
        return self._priority, True
