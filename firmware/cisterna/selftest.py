"""The power-on self-test: a table of checks, all of which must pass before anything moves.

It takes SETTLE_US from power-on, so that every sensor has been looked at and has been still or
alive. It moves nothing. A failed check is named; sensors that the pump can do without raise their
own alarms and do not fail it.
"""

from .base.compat import TYPE_CHECKING, const
from .base.faults import FAULTS, MAX_FAULTS
from .base.modes import MODE_NAMES, TABLE
from .base.units import S_PER_DAY, US_PER_DAY, rate_from_dose
from .parts.dosing import NEVER_US
from .parts.program import Program

if TYPE_CHECKING:
    from .pump import Pump

SETTLE_US = const(2_000_000)


def _arithmetic(pump: "Pump") -> bool:
    """Integers are whole and wide enough here, and the tables are the ones compiled in."""
    return (
        (1 << 62) * 3 // 3 == 1 << 62
        and -7 // 2 == -4
        and S_PER_DAY * 1_000_000 == US_PER_DAY
        and rate_from_dose(300_000, 2_000) == 150_000
        and len(FAULTS) <= MAX_FAULTS
        and all(row[0] < len(MODE_NAMES) for row in TABLE)
    )


def _limits(pump: "Pump") -> bool:
    return pump.memory.limits.intact()


def _calibration(pump: "Pump") -> bool:
    return pump.memory.calibration.intact()


def _program(pump: "Pump") -> bool:
    program = pump.memory.program
    return program is None or (type(program) is Program and program.intact())


def _motor_still(pump: "Pump") -> bool:
    """No pulse since power-on, none commanded, no rate."""
    return (
        pump.motion.pulses == 0
        and pump.hal.stepper.emitted() == 0
        and pump.dosing.due_us == NEVER_US
        and not pump.sampler.mismatch
    )


CHECKS = (
    ("arithmetic", _arithmetic),
    ("limits", _limits),
    ("calibration", _calibration),
    ("program", _program),
    ("motor still", _motor_still),
)


def failed(pump: "Pump") -> int:
    """Place of the first check in CHECKS that fails, or -1."""
    for place in range(len(CHECKS)):
        if not CHECKS[place][1](pump):
            return place
    return -1
