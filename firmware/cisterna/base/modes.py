"""What the pump is doing, as a table.

The rules:

- A *resting* mode is what the pump was told to be: unconfigured, idle, stopped or basal. The
  other modes pass, and come back to the resting mode they interrupted (``RETURN``).
- Flow exists in BASAL and BOLUS only. BACKOFF moves the motor backwards, bounded. Everything else
  is zero.
- A bolus, a suspension, a fault never turn a delivering pump into a stopped one by themselves:
  only STOP does. HALTED is a delivering pump that a fault holds at zero.
- An event that the table does not name for a mode raises ModeError and changes nothing.
"""

from .compat import const

OFF = const(0)
SELFTEST = const(1)
UNCONFIGURED = const(2)
IDLE = const(3)
STOPPED = const(4)
BASAL = const(5)
BOLUS = const(6)
SUSPENDED = const(7)
BACKOFF = const(8)
HALTED = const(9)
MODE_NAMES = (
    "OFF", "SELFTEST", "UNCONFIGURED", "IDLE", "STOPPED", "BASAL", "BOLUS", "SUSPENDED",
    "BACKOFF", "HALTED",
)  # fmt: skip
RESTING = (UNCONFIGURED, IDLE, STOPPED, BASAL)

POWER_ON = const(0)
SELFTEST_PASSED = const(1)
CONFIGURED = const(2)
START = const(3)
STOP = const(4)
SUSPEND = const(5)
RESUME = const(6)
BOLUS_START = const(7)
BOLUS_END = const(8)
OCCLUDED = const(9)
BACKED_OFF = const(10)
FAULT = const(11)
RESTART = const(12)
EVENT_NAMES = (
    "POWER_ON", "SELFTEST_PASSED", "CONFIGURED", "START", "STOP", "SUSPEND", "RESUME",
    "BOLUS_START", "BOLUS_END", "OCCLUDED", "BACKED_OFF", "FAULT", "RESTART",
)  # fmt: skip

RETURN = const(-1)

# (mode, event, next mode)
TABLE = (
    (OFF, POWER_ON, SELFTEST),
    (SELFTEST, SELFTEST_PASSED, RETURN),
    (SELFTEST, FAULT, HALTED),
    (UNCONFIGURED, CONFIGURED, IDLE),
    (UNCONFIGURED, FAULT, UNCONFIGURED),
    (IDLE, START, BASAL),
    (IDLE, BOLUS_START, BOLUS),
    (IDLE, FAULT, IDLE),
    (STOPPED, START, BASAL),
    (STOPPED, BOLUS_START, BOLUS),
    (STOPPED, FAULT, STOPPED),
    (BASAL, STOP, STOPPED),
    (BASAL, SUSPEND, SUSPENDED),
    (BASAL, BOLUS_START, BOLUS),
    (BASAL, OCCLUDED, BACKOFF),
    (BASAL, FAULT, HALTED),
    (BOLUS, BOLUS_END, RETURN),
    (BOLUS, STOP, STOPPED),
    (BOLUS, SUSPEND, SUSPENDED),
    (BOLUS, OCCLUDED, BACKOFF),
    (BOLUS, FAULT, HALTED),
    (SUSPENDED, RESUME, RETURN),
    (SUSPENDED, STOP, STOPPED),
    (SUSPENDED, FAULT, HALTED),
    (BACKOFF, BACKED_OFF, HALTED),
    (BACKOFF, FAULT, HALTED),
    (HALTED, RESUME, RETURN),
    (HALTED, RESTART, RETURN),
    (HALTED, STOP, STOPPED),
)


def _lookup() -> "tuple[tuple[int | None, ...], ...]":
    rows: "list[list[int | None]]" = [[None] * len(EVENT_NAMES) for _ in MODE_NAMES]
    for mode, event, target in TABLE:
        rows[mode][event] = target
    return tuple(tuple(row) for row in rows)


_NEXT = _lookup()


class ModeError(Exception):
    """An event came that the table does not name for the mode; nothing was changed."""


class ModeMachine:
    """The mode, and the resting mode that a passing one interrupts.

    ``mode`` and ``resting`` are for reading; ``handle`` alone changes them.
    """

    def __init__(self, resting: int = UNCONFIGURED) -> None:
        if resting not in RESTING:
            raise ModeError(f"{MODE_NAMES[resting]} is not a resting mode")
        self.mode = OFF
        self.resting = resting

    def allows(self, event: int) -> bool:
        """True if the table names ``event`` for the present mode."""
        return 0 <= event < len(EVENT_NAMES) and _NEXT[self.mode][event] is not None

    def handle(self, event: int) -> int:
        """Apply an event and return the new mode; ModeError if the table does not name it."""
        if not 0 <= event < len(EVENT_NAMES):
            raise ModeError(f"there is no event {event}")
        target = _NEXT[self.mode][event]
        if target is None:
            raise ModeError(
                f"{EVENT_NAMES[event]} is not possible in mode {MODE_NAMES[self.mode]}"
            )
        if target == RETURN:
            target = self.resting
        elif target in RESTING:
            self.resting = target
        self.mode = target
        return target
