"""What the pump measures and counts, as replies and telemetry lines tell it.

Composite answers are JSON, written by hand in a fixed order (MicroPython's dictionaries have
none), with the unit in each name.
"""

import json

from ..base import faults, modes
from ..base.compat import TYPE_CHECKING
from ..base.units import US_PER_S, dose_from_volume
from ..parts.bolus import BOLUS_NAMES
from ..parts.ledger import seconds_to
from ..refill import worst_day_nl

if TYPE_CHECKING:
    from ..base.settings import Limits
    from ..parts.program import Program
    from ..pump import Pump


def members(pairs: "list[tuple[str, object]]") -> str:
    """JSON members of (name, value) in that order, without braces."""
    return ",".join([f'"{name}":{_value(value)}' for name, value in pairs])


def obj(pairs: "list[tuple[str, object]]") -> str:
    """A JSON object of (name, value) in that order."""
    return "{" + members(pairs) + "}"


def _value(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([_value(item) for item in value]) + "]"
    return json.dumps(value)


def alarm_names(mask: int) -> "list[str]":
    """Names of the faults in a mask, in the order of the table."""
    if not mask:
        return []
    return [faults.name(code) for code in range(len(faults.FAULTS)) if mask >> code & 1]


def rate_now(pump: "Pump") -> int:
    """Rate at which the pump delivers now, in nL/day."""
    return pump.dosing.rate_nl_per_day


def pressure_pa(pump: "Pump") -> "int | None":
    """Line pressure in Pa; None if it cannot be measured."""
    raw = pump.hal.pressure.read()
    channel = pump.sampler.pressure
    if channel.faulty or not channel.valid_low <= raw <= channel.valid_high:
        return None
    return pump.memory.calibration.pressure_pa(raw)


def level_nl(pump: "Pump") -> "int | None":
    """Measured content in nL; None if it cannot be measured."""
    channel, sensor = pump.sampler.level, pump.hal.level
    if channel is None or sensor is None:
        return None
    raw = sensor.read()
    if channel.faulty or not channel.valid_low <= raw <= channel.valid_high:
        return None
    return pump.memory.calibration.level_nl(raw)


def supply_mv(pump: "Pump") -> "int | None":
    """Supply voltage in mV; None if it cannot be measured."""
    raw = pump.hal.supply.read()
    channel = pump.sampler.supply
    if channel.faulty or not channel.valid_low <= raw <= channel.valid_high:
        return None
    return raw // pump.memory.calibration.supply_raw_per_mv


def remaining_nl(pump: "Pump") -> "int | None":
    """The account's content in nL, the least that it can be; None if it is not known."""
    return pump.ledger.remaining_nl if pump.ledger.known else None


def number(value: "int | None") -> str:
    """A number as JSON has it; null for None."""
    return "null" if value is None else str(value)


def state(pump: "Pump") -> str:
    """Members that telemetry lines and STAT? share; one text, since they are asked for often."""
    bolus, present = pump.bolus, pump.alarms.present
    kind = "null" if bolus is None else f'"{BOLUS_NAMES[bolus.kind]}"'
    names = '","'.join(alarm_names(present))
    alarms = f'["{names}"]' if present else "[]"
    return (
        f'"mode":"{modes.MODE_NAMES[pump.modes.mode]}","rate_nl_per_day":{rate_now(pump)},'
        f'"bolus":{kind},"delivered_nl":{pump.ledger.delivered_nl},'
        f'"remaining_nl":{number(remaining_nl(pump))},"pressure_pa":{number(pressure_pa(pump))},'
        f'"alarms":{alarms}'
    )


def refill_s(
    pump: "Pump",
    program: "Program | None",
    content_nl: "int | None",
    bound_nl: "int | None" = None,
) -> object:
    """Seconds until ``content_nl`` is empty under ``program``; None if that is not known.
    ``bound_nl`` is the program's ``day_bound_nl`` where that is known."""
    limits = pump.memory.limits
    if content_nl is None or program is None:
        return None
    return seconds_to(limits.empty_nl, content_nl, worst_day_nl(program, limits, bound_nl))


def wall_s(pump: "Pump", now_us: int) -> "int | None":
    """Wall time in s since 2000-01-01 00:00 local; None if the clock is not set."""
    return pump.calendar.wall_us(now_us) // US_PER_S if pump.calendar.known else None


def dose_per_day_ng(program: "Program", limits: "Limits") -> int:
    """Mean basal dose of a program in ng/day."""
    return dose_from_volume(program.mean_rate(limits), program.concentration_ug_per_ml)
