"""The alarm test: every priority sounds for a few seconds, the highest first, and is logged."""

from . import events
from .base import faults
from .base.compat import TYPE_CHECKING, const
from .parts.dosing import NEVER_US

if TYPE_CHECKING:
    from .controller import Controller

SPAN_US = const(6_000_000)
_CODES = (faults.ALARM_TEST_HIGH, faults.ALARM_TEST_MEDIUM, faults.ALARM_TEST_LOW)
TEST_MASK = sum([1 << code for code in _CODES])


class AlarmTest:
    """The test of one pump. ``due_us`` is when the next alarm of it sounds; NEVER_US if none."""

    def __init__(self, pump: "Controller") -> None:
        self._pump = pump
        self._place = 0
        self.due_us = NEVER_US

    def begin(self) -> None:
        """Start from the highest priority."""
        self._sound(0)

    def advance(self) -> None:
        """Go on to the next priority, or end."""
        self._sound(self._place + 1)

    def _sound(self, place: int) -> None:
        pump = self._pump
        for code in _CODES:
            pump.gone(code)
        pump.alarms.acknowledge(TEST_MASK)
        self._place, self.due_us = place, NEVER_US
        if place < len(_CODES):
            code = _CODES[place]
            pump.log.add(pump.now_us, events.ALARM_TEST, faults.priority(code), 0)
            pump.raise_(code)
            self.due_us = pump.now_us + SPAN_US
