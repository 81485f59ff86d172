"""What is left in the reservoir: low and empty, the measured level, and when to refill."""

from .base import faults
from .base.compat import TYPE_CHECKING
from .parts.ledger import DISCREPANCY_NL, low_mark_nl, seconds_to

if TYPE_CHECKING:
    from .base.settings import Limits
    from .memory import Memory
    from .parts.ledger import Ledger
    from .parts.program import Program
    from .parts.sampler import Channel

_NEVER_STEPS = 1 << 62


class RefillWatch:
    """``mark_steps`` is the ledger's forward count at which to ``look`` again."""

    def __init__(self, memory: "Memory", ledger: "Ledger", level: "Channel | None") -> None:
        self._memory = memory
        self._ledger = ledger
        self._level = level
        self.mark_steps = 0

    def look(self) -> int:
        """Mask of RESERVOIR_LOW and EMPTY as they hold now."""
        ledger, memory = self._ledger, self._memory
        self.mark_steps = _NEVER_STEPS
        if not ledger.known:
            return 0
        left_nl, found = ledger.remaining_nl, 0
        for code, mark_nl in (
            (faults.RESERVOIR_LOW, self.low_nl),
            (faults.EMPTY, memory.limits.empty_nl),
        ):
            if left_nl <= mark_nl:
                found |= 1 << code
            else:
                steps = memory.calibration.steps_in(left_nl - mark_nl) + 1
                self.mark_steps = min(self.mark_steps, ledger.forward + steps)
        return found

    def aim_level(self) -> None:
        """Set the window that the measured level must keep to, from the account."""
        level, ledger = self._level, self._ledger
        if level is not None and ledger.known:
            calibration = self._memory.calibration
            least_nl = ledger.remaining_nl - self._memory.limits.free_flow_nl
            level.low = calibration.level_raw(least_nl)
            level.high = calibration.level_raw(ledger.most_remaining_nl + DISCREPANCY_NL)

    @property
    def worst_day_nl(self) -> int:
        """Most that a day can use: the fullest basal day and every allowed patient bolus."""
        return worst_day_nl(self._memory.program, self._memory.limits)

    @property
    def low_nl(self) -> int:
        """Content at which the low alarm is raised."""
        memory = self._memory
        return low_mark_nl(memory.limits, memory.calibration.capacity_nl, self.worst_day_nl)

    def seconds_to_refill(self) -> "tuple[int, int]":
        """Seconds to the low alarm and to the refill date, every allowed bolus being taken."""
        left_nl, worst_nl = self._ledger.remaining_nl, self.worst_day_nl
        empty_nl = self._memory.limits.empty_nl
        return seconds_to(self.low_nl, left_nl, worst_nl), seconds_to(empty_nl, left_nl, worst_nl)


def worst_day_nl(
    program: "Program | None", limits: "Limits", bound_nl: "int | None" = None
) -> int:
    """Most that a day of ``program`` can use, in nL, every allowed patient bolus being taken.
    ``bound_nl`` is its ``day_bound_nl`` where that is known."""
    if program is None:
        return limits.min_rate_nl_per_day
    if bound_nl is None:
        bound_nl = program.day_bound_nl(limits)
    return max(1, bound_nl + program.daily_cap * program.bolus_nl())
