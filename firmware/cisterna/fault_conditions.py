"""When each fault that somebody keeps a flag for holds: a table of questions to the pump.

``FOLLOWED`` faults are raised while the answer is yes and end when it is no. ``RAISED`` faults
are only raised here; what ends them is an order (a refill, service).
"""

from .base import faults, modes
from .base.compat import TYPE_CHECKING

if TYPE_CHECKING:
    from .pump import Pump


def _clock_lost(pump: "Pump") -> bool:
    program = pump.memory.program
    return program is not None and program.by_clock and not pump.calendar.known


def _level_faulty(pump: "Pump") -> bool:
    return pump.sampler.level is not None and pump.sampler.level.faulty


def _reservoir_unknown(pump: "Pump") -> bool:
    return pump.modes.mode not in (modes.OFF, modes.SELFTEST) and not pump.ledger.known


def _supply_low(pump: "Pump") -> bool:
    return pump.sampler.supply.outside and not pump.sampler.supply.faulty


def _level_off(pump: "Pump", below: bool) -> bool:
    level = pump.sampler.level
    if level is None or level.faulty or not level.outside or not pump.ledger.known:
        return False
    return (level.raw < level.low) == below


FOLLOWED = (
    (faults.PRESSURE_SENSOR, lambda pump: pump.sampler.pressure.faulty),
    (faults.SUPPLY_SENSOR, lambda pump: pump.sampler.supply.faulty),
    (faults.SUPPLY_LOW, _supply_low),
    (faults.MOTION_SENSOR, lambda pump: pump.sampler.encoder_dead),
    (faults.LEVEL_SENSOR, _level_faulty),
    (faults.BUTTON_STUCK, lambda pump: pump.sampler.stuck_button),
    (faults.MOTOR_STALL, lambda pump: pump.motion.stalled),
    (faults.OVER_DELIVERY, lambda pump: pump.guard.over),
    (faults.UNDER_DELIVERY, lambda pump: pump.guard.under),
    (faults.CLOCK_LOST, _clock_lost),
    (faults.RESERVOIR_UNKNOWN, _reservoir_unknown),
)

RAISED = (
    (faults.RUNAWAY, lambda pump: pump.sampler.mismatch or pump.motion.runaway),
    (faults.FREE_FLOW, lambda pump: _level_off(pump, True)),
    (faults.RESERVOIR_DISCREPANCY, lambda pump: _level_off(pump, False)),
)
