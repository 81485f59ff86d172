"""What the event log can hold: one table of events, and how each reads."""

from .base.compat import const
from .base.faults import FAULTS, PRIORITY_NAMES
from .base.modes import MODE_NAMES
from .base.roles import ROLES
from .parts.bolus import BOLUS_NAMES, ENDS, REFUSALS
from .parts.occlusion import WITNESS_NAMES

BOOT = const(0)
MODE = const(1)
ALARM_RAISED = const(2)
ALARM_GONE = const(3)
ALARM_ACKED = const(4)
BOLUS_GRANTED = const(5)
BOLUS_REFUSED = const(6)
BOLUS_ENDED = const(7)
PROGRAM_SET = const(8)
REFILLED = const(9)
CLOCK_SET = const(10)
OCCLUSION_FOUND = const(11)
BACKED_OFF = const(12)
LIMITS_SET = const(13)
AUDIO_PAUSED = const(14)
SERVICED = const(15)
LOST_STEPS = const(16)
ALARM_TEST = const(17)
SESSION = const(18)
AUTH_FAILED = const(19)
COMMAND = const(20)
KEYS = const(21)
MIGRATED = const(22)

BOOT_CAUSES = ("power on", "power lost while delivering", "watchdog", "restart")

# Of 0.1.0's alarm test; its entries may stand in a log, before MIGRATED.
_FORMER = ("ALARM_TEST_HIGH", "ALARM_TEST_MEDIUM", "ALARM_TEST_LOW")
FAULT_NAMES = tuple([fault[0] for fault in FAULTS]) + _FORMER

# name, what the subject is (names to look it up in, or None), unit of the value
EVENTS = (
    ("BOOT", BOOT_CAUSES, "steps open"),
    ("MODE", MODE_NAMES, ""),
    # value: 1 if it sounds again an hour after it was acknowledged
    ("ALARM_RAISED", FAULT_NAMES, ""),
    ("ALARM_GONE", FAULT_NAMES, ""),
    ("ALARM_ACKED", FAULT_NAMES, ""),
    ("BOLUS_GRANTED", BOLUS_NAMES, "nL"),
    ("BOLUS_REFUSED", REFUSALS, "nL"),
    ("BOLUS_ENDED", ENDS, "nL delivered"),
    ("PROGRAM_SET", None, "nL/day mean"),
    ("REFILLED", None, "nL"),
    ("CLOCK_SET", None, "s shifted"),
    ("OCCLUSION_FOUND", WITNESS_NAMES, "Pa"),
    ("BACKED_OFF", None, "nL"),
    ("LIMITS_SET", None, ""),
    ("AUDIO_PAUSED", None, "s"),
    ("SERVICED", FAULT_NAMES, ""),
    ("LOST_STEPS", None, "steps"),
    ("ALARM_TEST", PRIORITY_NAMES, ""),
    ("SESSION", ROLES, "counter"),
    ("AUTH_FAILED", ROLES, "in a row"),
    ("COMMAND", ROLES, "counter"),
    ("KEYS", ("provisioned", "rotated", "wiped"), ""),
    # The state was stored in an older layout: what comes before was written by older firmware.
    ("MIGRATED", None, "layout before"),
)


def describe(event: int, subject: int, value: int) -> "tuple[str, str]":
    """(name, detail) of an entry, for people."""
    name, names, unit = EVENTS[event]
    parts = []
    if names is not None:
        parts.append(names[subject])
    if event == ALARM_RAISED and subject < len(FAULTS):
        parts.append(PRIORITY_NAMES[FAULTS[subject][1]].upper())
    if unit:
        parts.append(f"{value} {unit}")
    return name, " ".join(parts)
