"""Boluses: the one that runs, and who may have another.

A bolus is a volume over a duration on top of basal. A patient asks with the button and is held to
a lockout and a daily cap; a clinician's single bolus is held to the dose limits alone.

The lockout runs on the pump's time, from the grant, and anew from an interruption; it keeps
counting whatever the pump does. A bolus that was interrupted counts for what was delivered, once,
and is never taken up again.
"""

import struct

from ..base.compat import const
from ..base.units import UNITS_PER_NL, US_PER_DAY
from .dosing import NEVER_US

PATIENT = const(0)
SINGLE = const(1)
BOLUS_NAMES = ("patient", "single")

COMPLETE = const(0)
INTERRUPTED = const(1)
POWER_LOST = const(2)
ENDS = ("complete", "interrupted", "power lost")

# Why a bolus was refused. The event log holds the numbers: append, never reorder.
GRANTED = const(0)
WRONG_MODE = const(1)
NONE_PROGRAMMED = const(2)
ALARM = const(3)
RUNNING = const(4)
LOCKOUT = const(5)
DAILY_CAP = const(6)
RESERVOIR = const(7)
DAILY_DOSE = const(8)
RATE = const(9)
REFUSALS = (
    "granted", "mode", "none programmed", "alarm", "running", "lockout", "daily cap",
    "reservoir", "daily dose", "rate",
)  # fmt: skip

_MAX_KEPT = const(32)
_HEAD = "<QBIB"
_ENTRY = "<QIB"


class ActiveBolus:
    """A bolus being delivered: ``rate_nl_per_day`` on top of basal until ``end_us``.

    ``lockout_s`` is the patient's, 0 for a single bolus. ``cancelled``: it may not go on.
    """

    def __init__(
        self, now_us: int, kind: int, volume_nl: int, duration_s: int, lockout_s: int = 0
    ) -> None:
        self.kind = kind
        self.volume_nl = volume_nl
        self.lockout_s = lockout_s
        self.cancelled = False
        self._asked_rate = -(-volume_nl * 86_400 // duration_s)
        self._left_units = volume_nl * UNITS_PER_NL
        self._mark_us = now_us
        self.rate_nl_per_day = 0
        self.end_us = NEVER_US

    def set_headroom(self, now_us: int, headroom_nl_per_day: int) -> None:
        """Flow that basal leaves free, from ``now_us`` on: the bolus takes no more than that."""
        self._bring(now_us)
        rate = min(self._asked_rate, headroom_nl_per_day)
        self.rate_nl_per_day = rate
        self.end_us = now_us + -(-self._left_units // rate) if rate else NEVER_US

    def _bring(self, now_us: int) -> None:
        self._left_units -= (now_us - self._mark_us) * self.rate_nl_per_day
        self._mark_us = now_us

    def delivered_nl(self, now_us: int) -> int:
        """Volume programmed so far, in nL, to the nearest."""
        left = self._left_units - (now_us - self._mark_us) * self.rate_nl_per_day
        return self.volume_nl - (max(0, left) + UNITS_PER_NL // 2) // UNITS_PER_NL


class BolusHistory:
    """What was given in the last day, and the patient's lockout."""

    def __init__(self) -> None:
        self.locked_until_us = 0
        # (end in pump us, dose in ng, kind), oldest first
        self._given: "list[tuple[int, int, int]]" = []

    def _recent(self, now_us: int) -> "list[tuple[int, int, int]]":
        return [given for given in self._given if given[0] + US_PER_DAY > now_us]

    def dose_ng(self, now_us: int) -> int:
        """Bolus dose of the last 24 h in ng; a bolus counts until 24 h after its end."""
        return sum([given[1] for given in self._recent(now_us)])

    def patient_count(self, now_us: int) -> int:
        """Patient boluses of the last 24 h, interrupted ones with them."""
        return sum([1 for given in self._recent(now_us) if given[2] == PATIENT])

    def full(self, now_us: int) -> bool:
        """True if no further bolus can be kept account of."""
        return len(self._recent(now_us)) >= _MAX_KEPT

    def locked(self, now_us: int) -> bool:
        """True while the patient's lockout runs; false from its last instant on."""
        return now_us < self.locked_until_us

    def begin_lockout(self, now_us: int, lockout_s: int) -> None:
        """Start the lockout anew; a later end that already stands is kept."""
        self.locked_until_us = max(self.locked_until_us, now_us + lockout_s * 1_000_000)

    def record(self, end_us: int, dose_ng: int, kind: int) -> None:
        """Keep account of a bolus that has ended, for what was delivered of it."""
        self._given = self._recent(end_us)
        self._given.append((end_us, dose_ng, kind))

    def pack(self, running: "ActiveBolus | None", now_us: int) -> bytes:
        """The history as bytes, with the bolus that runs as delivered so far."""
        kind, running_nl = 0, 0
        if running is not None:
            kind, running_nl = running.kind + 1, running.delivered_nl(now_us)
        data = struct.pack(_HEAD, self.locked_until_us, kind, running_nl, len(self._given))
        for given in self._given:
            data += struct.pack(_ENTRY, *given)
        return data

    def restore(self, data: bytes) -> "tuple[int, int]":
        """Take up what ``pack`` made; return the interrupted bolus: (kind or -1, volume in nL)."""
        head, size = struct.calcsize(_HEAD), struct.calcsize(_ENTRY)
        self.locked_until_us, kind, running_nl, count = struct.unpack(_HEAD, data[:head])
        self._given = [
            struct.unpack(_ENTRY, data[at : at + size])
            for at in range(head, head + count * size, size)
        ]
        return kind - 1, running_nl
