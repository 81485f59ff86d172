"""The reservoir's account, in steps that were counted.

``fill = remaining + delivered + primed`` holds by construction: the volume filled and the steps
moved are kept, all else is derived. Steps are those that moved (motion.py), never those that were
programmed.

Two bounds are stored. An allowance is *charged* before any of its steps is emitted; *settled* is
what had been counted when it was stored. After a power loss the truth lies between the two: at
most ``unconfirmed_steps`` more than counted, or ``unconfirmed_back_steps`` fewer if the motor was
drawing back. Remaining volume and caps use the high bound. Each power loss can widen the bounds by
one allowance or by one draw-back; a refill closes them.
"""

import struct

from ..base.compat import TYPE_CHECKING, const
from ..base.units import LimitError, check_int

if TYPE_CHECKING:
    from ..base.settings import Calibration, Limits

# An allowance lasts about this long, so that a slow pump saves seldom and a fast one not often.
ALLOWANCE_S = const(120)
MIN_ALLOWANCE_STEPS = const(16)
MAX_ALLOWANCE_STEPS = const(512)

# R06: residual against the account, the larger of 1 mL and 10 %, is a discrepancy.
DISCREPANCY_NL = const(1_000_000)
LEAD_DAYS = const(3)

_LAYOUT = "<BIIIIIIIIH"


class Ledger:
    """One reservoir's account. ``known`` is false until a refill is confirmed (R08)."""

    def __init__(self, calibration: "Calibration") -> None:
        self._calibration = calibration
        self.known = False
        self.fill_nl = 0
        self.concentration_ug_per_ml = 0
        self.forward = 0  # steps counted forward since the refill
        self.reversed = 0  # steps counted back (back-off after an occlusion)
        self.primed = 0  # of the forward steps: priming, not dose
        self.unconfirmed_steps = 0  # forward steps that power losses have left open
        self.unconfirmed_back_steps = 0  # reverse steps, likewise
        self.charged = 0  # forward steps that may be emitted before the next save
        self.charged_back = 0  # reverse steps, likewise

    def count(self, forward: int, reverse: int = 0) -> None:
        """Book steps that were counted."""
        self.forward += forward
        self.reversed += reverse

    def needs_allowance(self, steps: int) -> bool:
        """True if emitting ``steps`` would pass what is charged."""
        return self.forward + steps > self.charged

    def charge(self, steps: int, rate_nl_per_day: int) -> None:
        """Charge an allowance for at least ``steps``; it holds once it is stored."""
        per_allowance = self._calibration.steps_in(rate_nl_per_day * ALLOWANCE_S // 86_400)
        allowance = max(MIN_ALLOWANCE_STEPS, min(MAX_ALLOWANCE_STEPS, per_allowance), steps)
        self.charged = self.forward + allowance

    def charge_back(self, steps: int) -> None:
        """Charge a back-off of at most ``steps``; it holds once it is stored."""
        self.charged_back = self.reversed + steps

    def settle(self) -> None:
        """Give back what is charged and not used: the motor stands still."""
        self.charged, self.charged_back = self.forward, self.reversed

    @property
    def settled_nl(self) -> int:
        """Volume counted out of the reservoir since the refill, in nL, net."""
        return self._calibration.volume_nl(self.forward - self.reversed)

    @property
    def most_remaining_nl(self) -> int:
        """Volume left, in nL: the most that it can be."""
        steps = self.forward - self.reversed - self.unconfirmed_back_steps
        return self.fill_nl - self._calibration.volume_nl(steps)

    @property
    def delivered_nl(self) -> int:
        """Volume counted since the refill, in nL, net of back-off, priming not included."""
        return self._calibration.volume_nl(self.forward - self.reversed - self.primed)

    @property
    def primed_nl(self) -> int:
        """Volume used for priming since the refill, in nL."""
        return self._calibration.volume_nl(self.primed)

    @property
    def remaining_nl(self) -> int:
        """Volume left, in nL: the least that it can be, so alarms come early rather than late."""
        steps = self.forward - self.reversed + self.unconfirmed_steps
        return self.fill_nl - self._calibration.volume_nl(steps)

    def refill(self, volume_nl: int, concentration_ug_per_ml: int) -> None:
        """Start a new account with ``volume_nl``; over capacity is refused, nothing changes."""
        check_int("refill volume", volume_nl, 1, self._calibration.capacity_nl, "nL")
        self.known = True
        self.concentration_ug_per_ml = concentration_ug_per_ml
        self.fill_nl = volume_nl
        # A burst that runs goes on: what it was charged stays so.
        self.charged = max(0, self.charged - self.forward)
        self.charged_back = max(0, self.charged_back - self.reversed)
        self.forward = self.reversed = self.primed = 0
        self.unconfirmed_steps = self.unconfirmed_back_steps = 0

    def discrepancy(self, residual_nl: int) -> bool:
        """True if a residual measured at refill differs from the account by too much (R06)."""
        expected_nl = max(0, self.remaining_nl)
        return abs(residual_nl - expected_nl) > max(DISCREPANCY_NL, expected_nl // 10)

    def pack(self) -> bytes:
        """The account as bytes: settled and charged."""
        return struct.pack(
            _LAYOUT,
            self.known,
            self.fill_nl,
            self.forward,
            max(self.charged, self.forward),
            self.reversed,
            self.primed,
            self.unconfirmed_steps,
            max(self.charged_back, self.reversed),
            self.unconfirmed_back_steps,
            self.concentration_ug_per_ml,
        )

    def restore(self, data: bytes) -> int:
        """Take up what ``pack`` made after a power loss; return the steps left open by it."""
        (
            known,
            fill,
            self.forward,
            charged,
            self.reversed,
            self.primed,
            unconfirmed_steps,
            charged_back,
            unconfirmed_back_steps,
            self.concentration_ug_per_ml,
        ) = struct.unpack(_LAYOUT, data)
        if fill > self._calibration.capacity_nl:
            raise LimitError(f"stored fill of {fill} nL is above capacity")
        self.known, self.fill_nl = bool(known), fill
        self.unconfirmed_steps = unconfirmed_steps + charged - self.forward
        self.unconfirmed_back_steps = unconfirmed_back_steps + charged_back - self.reversed
        self.settle()
        return int(charged - self.forward)


LEDGER_SIZE = struct.calcsize(_LAYOUT)


def low_mark_nl(limits: "Limits", capacity_nl: int, worst_day_nl: int) -> int:
    """Content at which the low alarm is raised, in nL.

    The limit's mark, or what LEAD_DAYS of the fullest use take above empty if that is more, so
    that the alarm always comes that long before the refill date (R05).
    """
    lead_nl = limits.empty_nl + LEAD_DAYS * worst_day_nl
    return min(capacity_nl, max(limits.low_nl, lead_nl))


def seconds_to(mark_nl: int, remaining_nl: int, worst_day_nl: int) -> int:
    """Seconds until the content is at ``mark_nl`` if every allowed bolus is taken; 0 if passed."""
    if remaining_nl <= mark_nl:
        return 0
    return (remaining_nl - mark_nl) * 86_400 // worst_day_nl
