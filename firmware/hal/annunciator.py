"""Buzzer and lamps, from the table of tones: the core's Signal port.

The board's loop calls ``step`` again after the time that it returned. A call that comes some ms
late, after a write to flash, makes only the pulse or gap that plays then longer: the next one is
timed from its own start, since the standard bounds the length of each, not when it begins.
"""

from cisterna.base.compat import TYPE_CHECKING, const
from cisterna.parts.alarms import TONE_HZ, TONES

# ``step`` never returns a longer wait, so a new alarm sounds within 250 ms.
MAX_WAIT_MS = const(250)
_TICKS_MASK = const((1 << 30) - 1)  # time.ticks_ms wraps there on every port

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Pwm(Protocol):
        """What it needs of machine.PWM."""

        def duty_u16(self, __value: int) -> object:
            """Set the part of the period that is high, 0..65535."""


class Buzzer:
    """A passive buzzer on a PWM output: a square wave has the harmonics the standard wants."""

    FREQUENCY_HZ = TONE_HZ

    def __init__(self, pwm: "Pwm") -> None:
        """``pwm`` is set to FREQUENCY_HZ."""
        self._pwm = pwm
        self.sound(0)

    def sound(self, on: int) -> None:
        """Sound, or be silent."""
        self._pwm.duty_u16(32_768 if on else 0)


class Annunciator:
    """Plays the pattern of a priority on a tone and on one lamp a priority.

    ``tone(on)`` and the three of ``lamps`` (low, medium, high) are called with 1 or 0; a
    machine.Pin is such a thing, and so is ``Buzzer(...).sound``.
    """

    def __init__(
        self, tone: "Callable[[int], object]", lamps: "tuple[Callable[[int], object], ...]"
    ) -> None:
        self._tone = tone
        self._lamps = lamps
        self._priority = 0
        self._audible = False
        self._fresh = True
        self._place = 0  # even: a pulse; odd: the gap after it
        self._tone_ms = 0  # when the place began
        self._lit = False
        self._lamp_ms = 0

    def show(self, priority: int, audible: bool) -> None:
        """Play the pattern of ``priority`` from the next ``step`` on, unless it plays already."""
        if priority != self._priority or audible != self._audible:
            self._priority = priority
            self._audible = audible
            self._fresh = True

    def close(self) -> None:
        """Switch the buzzer and all lamps off, at once."""
        self.show(0, False)
        self.step(0)

    def step(self, now_ms: int) -> int:
        """Play up to ``now_ms`` (time.ticks_ms); return how long until the next call in ms."""
        if self._fresh:
            self._fresh = False
            self._place = 0
            self._tone_ms = self._lamp_ms = now_ms
            self._lit = True
            self._tone(1 if self._audible and self._priority else 0)
            for place in range(len(self._lamps)):
                self._lamps[place](1 if place + 1 == self._priority else 0)
        if not self._priority:
            return MAX_WAIT_MS
        wait_ms = self._step_lamp(now_ms)
        return min(wait_ms, self._step_tone(now_ms)) if self._audible else wait_ms

    def _step_tone(self, now_ms: int) -> int:
        left_ms = self._place_ms() - ((now_ms - self._tone_ms) & _TICKS_MASK)
        if left_ms <= 0:
            gaps = TONES[self._priority][2]
            self._place = self._place + 1 if self._place <= 2 * len(gaps) else 0
            self._tone_ms = now_ms
            self._tone(0 if self._place & 1 else 1)
            left_ms = self._place_ms()
        return left_ms

    def _place_ms(self) -> int:
        """How long the place lasts.

        The interval runs from the end of a burst to the start of the next. Whichever way the
        standard's bounds on it are read, from end or from start, the table's figures keep them.
        """
        _, pulse_ms, gaps_ms, interval_ms, _ = TONES[self._priority]
        if not self._place & 1:
            return pulse_ms
        gap = self._place >> 1
        return gaps_ms[gap] if gap < len(gaps_ms) else interval_ms

    def _step_lamp(self, now_ms: int) -> int:
        half_ms = TONES[self._priority][4] >> 1
        if not half_ms:
            return MAX_WAIT_MS
        left_ms = half_ms - ((now_ms - self._lamp_ms) & _TICKS_MASK)
        if left_ms <= 0:
            self._lit = not self._lit
            self._lamp_ms = now_ms
            self._lamps[self._priority - 1](1 if self._lit else 0)
            left_ms = half_ms
        return min(left_ms, MAX_WAIT_MS)
