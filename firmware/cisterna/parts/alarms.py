"""Which alarms stand, which one is shown and heard.

The rules, after IEC 60601-1-8 and the pumps of the field:

1. An alarm is *present* from the moment its condition is raised until the condition is gone and
   it has been acknowledged; a fault latched for service also needs ``service``.
2. The highest priority present wins the signal; within a priority the earlier row of the fault
   table. Lower ones are kept, and are announced again when the higher one goes.
3. An acknowledged alarm is silent and stays visible. A new one sounds. One that must not be
   forgotten (a high alarm, and STOPPED) sounds again an hour after it was acknowledged if its
   condition still holds.
4. An audio pause lasts at most two minutes, ends by itself, and is broken by any new alarm of at
   least the priority that was paused.
5. The first fault that stopped the pump is kept until no stop fault is present.

What a tick asks (``is_active``, ``is_present``, ``any_present``, ``signal``) takes no heap however
many faults there are: on a board an integer of more than 30 bits would. Masks, integers with a bit
for each code, are for records and for people.
"""

from ..base.compat import TYPE_CHECKING, const
from ..base.faults import AGAIN_CODES, FAULTS, NONE, SERVICE, STOP, STOP_CODES
from ..base.units import US_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_PAUSE_US = const(120_000_000)
AGAIN_US = US_PER_HOUR

# Tones and lamps as data, by priority. A burst is len(gaps) + 1 pulses; lamp period 0 is steady.
# High: 10 pulses, 3 + 2 twice, 75..200 ms each, 50..125 ms apart, 0.35..1.3 s between pulse 5 and
# 6, a burst every 2.5..15 s. Medium: 3 pulses of 125..250 ms (recall). Low: 2 (recall).
# Lamps: high 1.4..2.8 Hz, medium 0.4..0.8 Hz, low steady. IEC 60601-1-8.
# name, pulse ms, gaps ms, burst interval ms, lamp period ms
TONES = (
    ("none", 0, (), 0, 0),
    ("low", 200, (200,), 20_000, 0),
    ("medium", 200, (200, 200), 10_000, 1_700),
    ("high", 150, (100, 100, 250, 100, 700, 100, 100, 250, 100), 5_000, 500),
)
# Fundamental within 150..1000 Hz; a square wave carries the harmonics.
TONE_HZ = const(440)

_ACTIVE = const(1)  # its condition holds
_LATCHED = const(2)  # raised and not acknowledged
_ACKED = const(4)  # acknowledged while the condition holds
_PRESENT = _ACTIVE | _LATCHED


class Alarms:
    """The alarms of one pump. ``first_stop``: code of the first fault that stopped it, or -1."""

    def __init__(self, latched: int = 0, first_stop: int = -1) -> None:
        """What was present before a restart; whether it still holds is found anew."""
        self._flags = bytearray(len(FAULTS))
        for code in range(len(FAULTS)):
            if latched >> code & 1:
                self._flags[code] = _LATCHED
        self.first_stop = first_stop
        self._acked_us = [0] * len(FAULTS)  # when it was acknowledged
        self._paused_until_us = 0
        self._paused_priority = NONE

    def is_active(self, code: int) -> bool:
        """True while the condition of ``code`` holds."""
        return self._flags[code] & _ACTIVE != 0

    def is_present(self, code: int) -> bool:
        """True while ``code`` is active, or gone and not acknowledged."""
        return self._flags[code] & _PRESENT != 0

    def any_present(self, codes: "Sequence[int]") -> bool:
        """True if any of these is present."""
        flags = self._flags
        for code in codes:  # noqa: SIM110 - any() would take heap
            if flags[code] & _PRESENT:
                return True
        return False

    def present_of(self, codes: "Sequence[int]") -> "list[int]":
        """Those of these that are present."""
        return [code for code in codes if self._flags[code] & _PRESENT]

    def _mask(self, flags: int) -> int:
        mask = 0
        for code in range(len(FAULTS)):
            if self._flags[code] & flags:
                mask |= 1 << code
        return mask

    @property
    def active(self) -> int:
        """Mask of alarms whose condition holds."""
        return self._mask(_ACTIVE)

    @property
    def latched(self) -> int:
        """Mask of alarms that were raised and not acknowledged."""
        return self._mask(_LATCHED)

    @property
    def acked(self) -> int:
        """Mask of alarms that are acknowledged and still present."""
        return self._mask(_ACKED)

    @property
    def present(self) -> int:
        """Mask of alarms that are active, or gone and not acknowledged."""
        return self._mask(_PRESENT)

    def raise_fault(self, code: int) -> bool:
        """The condition of ``code`` holds; True if that is new."""
        if self._flags[code] & _ACTIVE:
            return False
        self._flags[code] = _PRESENT
        if FAULTS[code][2] == STOP and self.first_stop < 0:
            self.first_stop = code
        if FAULTS[code][1] >= self._paused_priority:
            self._paused_until_us = 0
        return True

    def clear_fault(self, code: int) -> bool:
        """The condition of ``code`` has ended; True if that is new."""
        flags = self._flags[code]
        if not flags & _ACTIVE:
            return False
        flags &= ~_ACTIVE
        self._flags[code] = flags if flags & _LATCHED else 0
        self._settle_first_stop()
        return True

    def acknowledge(self, now_us: int, mask: int) -> int:
        """Acknowledge the alarms of a mask; returns the mask of those that this changed."""
        changed = 0
        for code in range(len(FAULTS)):
            flags = self._flags[code]
            if not mask >> code & 1 or not flags & _LATCHED or flags & _ACKED:
                continue
            changed |= 1 << code
            self._acked_us[code] = now_us
            if FAULTS[code][3] == SERVICE:
                flags |= _ACKED
            elif flags & _ACTIVE:
                flags = _ACTIVE | _ACKED
            else:
                flags = 0
            self._flags[code] = flags
        self._settle_first_stop()
        return changed

    def again_us(self) -> int:
        """When the first acknowledged alarm will sound again if its condition holds; 0 if none."""
        first_us = 0
        for code in AGAIN_CODES:
            if self._flags[code] & (_ACTIVE | _ACKED) == _ACTIVE | _ACKED:
                due_us = self._acked_us[code] + AGAIN_US
                first_us = min(first_us, due_us) if first_us else due_us
        return first_us

    def sound_again(self, now_us: int) -> "list[int]":
        """Let those sound again whose hour has passed; their codes."""
        found = []
        for code in AGAIN_CODES:
            acked = self._flags[code] & (_ACTIVE | _ACKED) == _ACTIVE | _ACKED
            if acked and now_us - self._acked_us[code] >= AGAIN_US:
                self._flags[code] = _PRESENT
                found.append(code)
        return found

    def service(self, code: int) -> None:
        """End a fault that is latched for service, and its condition."""
        self._flags[code] = 0
        self._settle_first_stop()

    def _settle_first_stop(self) -> None:
        if not self.any_present(STOP_CODES):
            self.first_stop = -1

    def pause(self, now_us: int, seconds: int) -> None:
        """Silence what sounds now for ``seconds``, at most two minutes."""
        self._paused_until_us = now_us + min(MAX_PAUSE_US, seconds * 1_000_000)
        code = self._winner(True)
        self._paused_priority = NONE if code < 0 else FAULTS[code][1]

    def end_pause(self) -> None:
        """Sound again: the link that asked for the pause is gone."""
        self._paused_until_us = 0

    def paused_until_us(self, now_us: int) -> int:
        """End of the running pause, or 0."""
        return self._paused_until_us if now_us < self._paused_until_us else 0

    def signal(self, now_us: int) -> "tuple[int, bool]":
        """What to play: (priority, audible)."""
        code = self._winner(True)
        if code >= 0:
            return FAULTS[code][1], now_us >= self._paused_until_us
        code = self._winner(False)
        return (NONE if code < 0 else FAULTS[code][1]), False

    def shown(self) -> int:
        """Code of the alarm that wins the signal, or -1."""
        code = self._winner(True)
        return code if code >= 0 else self._winner(False)

    def _winner(self, sounding: bool) -> int:
        """First code of the highest priority that is present, or that sounds; -1 for none."""
        best, priority = -1, NONE
        for code in range(len(FAULTS)):
            flags = self._flags[code]
            counts = flags & _PRESENT and not (sounding and flags & _ACKED)
            if counts and FAULTS[code][1] > priority:
                best, priority = code, FAULTS[code][1]
        return best
