"""Which alarms stand, which one is shown and heard.

The rules, after IEC 60601-1-8 and the pumps of the field:

- An alarm is *present* from the moment its condition is raised until the condition is gone and
  it has been acknowledged; a fault latched for service also needs ``service``.
- The highest priority present wins the signal; within a priority the earlier row of the fault
  table. Lower ones are kept, and are announced again when the higher one goes.
- An acknowledged alarm is silent and stays visible. A new one sounds.
- An audio pause lasts at most two minutes, ends by itself, and is broken by any new alarm of at
  least the priority that was paused.
- The first fault that stopped the pump is kept until no stop fault is present.
"""

from ..base.compat import const
from ..base.faults import FAULTS, NONE, PRIORITY_MASKS, SERVICE_MASK, STOP_MASK

MAX_PAUSE_US = const(120_000_000)

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


class Alarms:
    """The set of alarms, as bit masks over the fault table."""

    def __init__(self, latched: int = 0, first_stop: int = -1) -> None:
        """What was present before a restart; whether it still holds is found anew."""
        self.active = 0  # condition holds
        self.latched = latched  # raised and not acknowledged
        self.acked = 0  # acknowledged while the condition holds
        self.first_stop = first_stop  # code of the first fault that stopped the pump
        self._paused_until_us = 0
        self._paused_priority = NONE

    @property
    def present(self) -> int:
        """Mask of alarms that are active, or gone and not acknowledged."""
        return self.active | self.latched

    def raise_(self, code: int) -> bool:
        """The condition of ``code`` holds; True if that is new."""
        bit = 1 << code
        if self.active & bit:
            return False
        self.active |= bit
        self.latched |= bit
        self.acked &= ~bit
        if bit & STOP_MASK and self.first_stop < 0:
            self.first_stop = code
        if FAULTS[code][1] >= self._paused_priority:
            self._paused_until_us = 0
        return True

    def gone(self, code: int) -> bool:
        """The condition of ``code`` has ended; True if that is new."""
        bit = 1 << code
        if not self.active & bit:
            return False
        self.active &= ~bit
        self.acked &= ~(bit & ~self.latched)
        self._settle_first_stop()
        return True

    def acknowledge(self, mask: int) -> int:
        """Acknowledge alarms; returns the mask of those that this changed."""
        mask &= self.latched & ~self.acked
        self.latched &= ~(mask & ~SERVICE_MASK)
        self.acked |= mask & (self.active | SERVICE_MASK)
        self._settle_first_stop()
        return mask

    def service(self, code: int) -> None:
        """End a fault that is latched for service, and its condition."""
        bit = 1 << code
        self.active &= ~bit
        self.latched &= ~bit
        self.acked &= ~bit
        self._settle_first_stop()

    def _settle_first_stop(self) -> None:
        if not (self.active | self.latched) & STOP_MASK:
            self.first_stop = -1

    def pause(self, now_us: int, seconds: int) -> None:
        """Silence what sounds now for ``seconds``, at most two minutes."""
        self._paused_until_us = now_us + min(MAX_PAUSE_US, seconds * 1_000_000)
        self._paused_priority = highest_priority(self.present & ~self.acked)

    def end_pause(self) -> None:
        """Sound again: the link that asked for the pause is gone."""
        self._paused_until_us = 0

    def paused_until_us(self, now_us: int) -> int:
        """End of the running pause, or 0."""
        return self._paused_until_us if now_us < self._paused_until_us else 0

    def signal(self, now_us: int) -> "tuple[int, bool]":
        """What to play: (priority, audible)."""
        sounding = self.present & ~self.acked
        if not sounding:
            return highest_priority(self.present), False
        return highest_priority(sounding), now_us >= self._paused_until_us

    def shown(self) -> int:
        """Code of the alarm that wins the signal, or -1."""
        mask = (self.present & ~self.acked) or self.present
        mask &= PRIORITY_MASKS[highest_priority(mask)]
        code = 0
        while mask:
            if mask & 1:
                return code
            mask >>= 1
            code += 1
        return -1


def highest_priority(mask: int) -> int:
    """Highest priority among the faults of a mask; NONE for none."""
    priority = len(PRIORITY_MASKS) - 1
    while priority and not mask & PRIORITY_MASKS[priority]:
        priority -= 1
    return priority
