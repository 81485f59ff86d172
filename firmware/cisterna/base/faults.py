"""Every fault the pump knows, in one table that firmware, simulator, tools and documents read.

A fault's code is its place in the table. Stored records and the event log hold codes, so rows are
only ever appended, up to MAX_FAULTS. In a log, codes 27 to 29 were the alarm test up to the entry
MIGRATED: of 0.1.0.

Response says what the pump does while the fault is *present* (raised, or gone but unacknowledged):

- ``NOTE``: announce it; delivery goes on.
- ``NO_BOLUS``: basal goes on, a running bolus ends, a new one is refused.
- ``STOP``: no flow, within the tick that raises it. Kept for what really needs it, because an
  interrupted baclofen infusion is itself a danger: over-delivery, free flow, occlusion, empty or
  unknown content, runaway, corrupt dose data, failed self-test.

Latch says what lets go of the fault once its condition is gone: ``ACK`` an acknowledgement,
``SERVICE`` a service action (it survives acknowledgement).
Priorities are those of IEC 60601-1-8. The choice of priority and response is the project's own.
"""

from .compat import const

NONE = const(0)
LOW = const(1)
MEDIUM = const(2)
HIGH = const(3)
PRIORITY_NAMES = ("none", "low", "medium", "high")

NOTE = const(0)
NO_BOLUS = const(1)
STOP = const(2)
RESPONSE_NAMES = ("note", "no bolus", "stop")

ACK = const(0)
SERVICE = const(1)
LATCH_NAMES = ("acknowledge", "service")

RESERVOIR_UNKNOWN = const(0)
PROGRAM_CORRUPT = const(1)
LIMITS_CORRUPT = const(2)
CALIBRATION_CORRUPT = const(3)
RATE_MISMATCH = const(4)
SELFTEST_FAILED = const(5)
FREE_FLOW = const(6)
OVER_DELIVERY = const(7)
RUNAWAY = const(8)
OCCLUSION_REPEATED = const(9)
OCCLUSION = const(10)
EMPTY = const(11)
MOTOR_STALL = const(12)
UNDER_DELIVERY = const(13)
STOPPED_LONG = const(14)
SUPPLY_LOW = const(15)
STOPPED = const(16)
PRESSURE_SENSOR = const(17)
LEVEL_SENSOR = const(18)
MOTION_SENSOR = const(19)
RESERVOIR_DISCREPANCY = const(20)
CLOCK_LOST = const(21)
BUTTON_STUCK = const(22)
SUPPLY_SENSOR = const(23)
RESERVOIR_LOW = const(24)
POWER_LOST = const(25)
MEMORY_DEGRADED = const(26)
MAX_FAULTS = const(64)

# name, priority, response, latch, text (what is wrong), clears (what ends the condition).
# Within a priority the earlier row wins the signal.
FAULTS = (
    ("RESERVOIR_UNKNOWN", HIGH, STOP, ACK, "Content of the reservoir is not known",
     "a confirmed refill"),
    ("PROGRAM_CORRUPT", HIGH, STOP, ACK, "Program fails its check sum",
     "programming it again"),
    ("LIMITS_CORRUPT", HIGH, STOP, ACK, "Limits fail their check sum",
     "setting the limits again"),
    ("CALIBRATION_CORRUPT", HIGH, STOP, ACK, "Calibration fails its check sum",
     "a restart with the board file's calibration"),
    ("RATE_MISMATCH", HIGH, STOP, SERVICE, "Two computations of the rate disagree",
     "service"),
    ("SELFTEST_FAILED", HIGH, STOP, ACK, "Power-on self-test failed",
     "a restart that passes it"),
    ("FREE_FLOW", HIGH, STOP, ACK, "Reservoir empties faster than the motor moves",
     "a measured refill"),
    ("OVER_DELIVERY", HIGH, STOP, ACK, "More was moved than programmed, or than 24 h may hold",
     "no further excess"),
    ("RUNAWAY", HIGH, STOP, SERVICE, "Pulses or motion that were not commanded, or the reverse",
     "service"),
    ("OCCLUSION_REPEATED", HIGH, STOP, SERVICE, "Occlusion came back three times in 10 min",
     "service"),
    ("OCCLUSION", HIGH, STOP, ACK, "Line or catheter is blocked",
     "line pressure below half the limit for 15 s"),
    ("EMPTY", HIGH, STOP, ACK, "Reservoir is empty", "a refill"),
    ("MOTOR_STALL", HIGH, NO_BOLUS, ACK, "Motor is pulsed and does not turn",
     "motion that follows the pulses again"),
    ("UNDER_DELIVERY", HIGH, NO_BOLUS, ACK, "Less was moved than programmed",
     "no further shortfall"),
    ("STOPPED_LONG", HIGH, NOTE, ACK, "Stopped so long that withdrawal is likely",
     "delivery"),
    ("SUPPLY_LOW", MEDIUM, NOTE, ACK, "Supply voltage is low",
     "supply above its limit"),
    ("STOPPED", MEDIUM, NOTE, ACK, "Delivery has been stopped for an hour", "delivery"),
    ("PRESSURE_SENSOR", MEDIUM, NO_BOLUS, ACK, "Line pressure cannot be measured",
     "readings that are in range and alive"),
    ("LEVEL_SENSOR", MEDIUM, NOTE, ACK, "Reservoir level cannot be measured",
     "readings that are in range and alive"),
    ("MOTION_SENSOR", MEDIUM, NOTE, ACK, "Motor motion cannot be measured",
     "readings that are in range and alive"),
    ("RESERVOIR_DISCREPANCY", MEDIUM, NOTE, ACK, "Measured content differs from the account",
     "a measured refill"),
    ("CLOCK_LOST", MEDIUM, NOTE, ACK, "Time of day is not known; the daily mean is delivered",
     "setting the clock"),
    ("BUTTON_STUCK", MEDIUM, NO_BOLUS, ACK, "Button is held for longer than a press",
     "releasing the button"),
    ("SUPPLY_SENSOR", MEDIUM, NOTE, ACK, "Supply voltage cannot be measured",
     "readings that are in range and alive"),
    ("RESERVOIR_LOW", LOW, NO_BOLUS, ACK, "Reservoir is low", "a refill"),
    ("POWER_LOST", LOW, NOTE, ACK, "Power was lost while delivering", "restarting"),
    ("MEMORY_DEGRADED", LOW, NOTE, ACK, "One of two stored copies was unreadable",
     "the next save"),
)  # fmt: skip


def name(code: int) -> str:
    """The fault's name."""
    return FAULTS[code][0]


def priority(code: int) -> int:
    """LOW, MEDIUM or HIGH."""
    return FAULTS[code][1]


def code_of(fault_name: str) -> int:
    """The code of the fault of that name; ValueError names the choice if there is none."""
    for code in range(len(FAULTS)):
        if FAULTS[code][0] == fault_name:
            return code
    known = ", ".join([row[0] for row in FAULTS])
    raise ValueError(f"no fault is called {fault_name!r}; known: {known}")


def _codes(column: int, *values: int) -> "tuple[int, ...]":
    return tuple([code for code in range(len(FAULTS)) if FAULTS[code][column] in values])


STOP_CODES = _codes(2, STOP)
STOP_BUT_OCCLUSION = tuple(
    [code for code in STOP_CODES if code not in (OCCLUSION, OCCLUSION_REPEATED)]
)
NO_BOLUS_CODES = _codes(2, NO_BOLUS, STOP)
# Nobody may forget these while their condition holds: they sound again after an acknowledgement.
AGAIN_CODES = tuple(
    [code for code in range(len(FAULTS)) if FAULTS[code][1] == HIGH or code == STOPPED]
)
# A patient bolus also waits for every alarm of medium priority and above.
NO_PATIENT_BOLUS_CODES = tuple(
    [code for code in range(len(FAULTS)) if code in NO_BOLUS_CODES or FAULTS[code][1] >= MEDIUM]
)
