"""What can be asked of the pump: a function of a call answers one read command with one line of
text; the others serve them, and what else is told.

None of them changes anything, not even by a tick. Composite answers are JSON, written by hand in a
fixed order (MicroPython's dictionaries have none), with the unit in each name.
"""

import binascii
import json

from ..base import faults, modes
from ..base.compat import TYPE_CHECKING, const
from ..base.units import US_PER_S, dose_from_volume
from ..parts.bolus import BOLUS_NAMES
from ..parts.calendar import MINUTES_PER_DAY
from ..parts.ledger import seconds_to
from ..parts.program import KINDS
from ..refill import worst_day_nl

if TYPE_CHECKING:
    from ..base.settings import Limits, Settings
    from ..parts.program import Program
    from ..pump import Pump
    from .server import Call

MAX_LOG_ENTRIES = const(16)


def members(pairs: "list[tuple[str, object]]") -> str:
    """JSON members of (name, value) in that order, without braces."""
    return ",".join(['"{}":{}'.format(name, _value(value)) for name, value in pairs])


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


def rate(call: "Call") -> str:
    """PROG:RATE?"""
    return str(rate_now(call.desk.pump))


def pressure(call: "Call") -> str:
    """MEAS:PRES?"""
    return _measured(pressure_pa(call.desk.pump))


def level(call: "Call") -> str:
    """MEAS:LEV?"""
    return _measured(level_nl(call.desk.pump))


def supply(call: "Call") -> str:
    """MEAS:SUPP?"""
    return _measured(supply_mv(call.desk.pump))


def volume(call: "Call") -> str:
    """RES:VOL?"""
    return _measured(remaining_nl(call.desk.pump))


def _measured(value: "int | None") -> str:
    """A reading as text; SCPI's NaN where there is none."""
    return "9.91E37" if value is None else str(value)


def remaining_nl(pump: "Pump") -> "int | None":
    """The account's content in nL, the least that it can be; None if it is not known."""
    return pump.ledger.remaining_nl if pump.ledger.known else None


def state(pump: "Pump") -> str:
    """Members that telemetry lines and STAT? share."""
    bolus = pump.bolus
    return members(
        [
            ("mode", modes.MODE_NAMES[pump.modes.mode]),
            ("rate_nl_per_day", rate_now(pump)),
            ("bolus", None if bolus is None else BOLUS_NAMES[bolus.kind]),
            ("delivered_nl", pump.ledger.delivered_nl),
            ("remaining_nl", remaining_nl(pump)),
            ("pressure_pa", pressure_pa(pump)),
            ("alarms", alarm_names(pump.alarms.present)),
        ]
    )


def status(call: "Call") -> str:
    """STAT?: everything at a glance."""
    pump, now_us = call.desk.pump, call.now_us
    alarms, calendar = pump.alarms, pump.calendar
    priority, audible = alarms.signal(now_us)
    low_s, refill_s = _refill_s(pump)
    rest = members(
        [
            ("resting", modes.MODE_NAMES[pump.modes.resting]),
            ("basal_nl_per_day", pump.schedule.rate_nl_per_day),
            ("programmed", pump.memory.program is not None),
            ("signal", faults.PRIORITY_NAMES[priority]),
            ("audible", audible),
            ("low_in_s", low_s),
            ("refill_in_s", refill_s),
            ("supply_mv", supply_mv(pump)),
            ("level_nl", level_nl(pump)),
            ("clock_known", calendar.known),
            ("wall_s", wall_s(pump, now_us)),
            ("pump_s", now_us // US_PER_S),
            ("stopped_s", _stopped_s(pump, now_us)),
            ("missed_nl", pump.stoppage.missed_nl),
        ]
    )
    return "{" + state(pump) + "," + rest + "}"


def _stopped_s(pump: "Pump", now_us: int) -> int:
    since_us = pump.stoppage.since_us
    return (now_us - since_us) // US_PER_S if since_us else 0


def _refill_s(pump: "Pump") -> "tuple[int | None, int | None]":
    return pump.refill.seconds_to_refill() if pump.ledger.known else (None, None)


def refill_s(pump: "Pump", program: "Program | None", content_nl: "int | None") -> object:
    """Seconds until ``content_nl`` is empty under ``program``; None if that is not known."""
    limits = pump.memory.limits
    if content_nl is None or program is None:
        return None
    return seconds_to(limits.empty_nl, content_nl, worst_day_nl(program, limits))


def wall_s(pump: "Pump", now_us: int) -> "int | None":
    """Wall time in s since 2000-01-01 00:00 local; None if the clock is not set."""
    return pump.calendar.wall_us(now_us) // US_PER_S if pump.calendar.known else None


def dose_per_day_ng(program: "Program", limits: "Limits") -> int:
    """Mean basal dose of a program in ng/day."""
    return dose_from_volume(program.mean_rate(limits), program.concentration_ug_per_ml)


def program(call: "Call") -> str:
    """PROG?: the program in use, an empty object if there is none."""
    pump = call.desk.pump
    current, limits = pump.memory.program, pump.memory.limits
    if current is None:
        return "{}"
    return obj(
        [
            ("kind", KINDS[current.kind]),
            ("concentration_ug_per_ml", current.concentration_ug_per_ml),
            ("bolus_dose_ng", current.bolus_dose_ng),
            ("bolus_s", current.bolus_s),
            ("lockout_s", current.lockout_s),
            ("daily_cap", current.daily_cap),
            ("mean_nl_per_day", current.mean_rate(limits)),
            ("mean_ng_per_day", dose_per_day_ng(current, limits)),
            ("segments", current.segments),
        ]
    )


def limits(call: "Call") -> str:
    """LIM?: the limits in force."""
    return _settings(call.desk.pump.memory.limits)


def calibration(call: "Call") -> str:
    """CAL?: the calibration."""
    return _settings(call.desk.pump.memory.calibration)


def _settings(values: "Settings") -> str:
    return obj([(row[0], getattr(values, row[0])) for row in values.FIELDS])


def reservoir(call: "Call") -> str:
    """RES?: the account."""
    pump = call.desk.pump
    ledger, content = pump.ledger, pump.refill
    low_s, empty_s = _refill_s(pump)
    return obj(
        [
            ("known", ledger.known),
            ("fill_nl", ledger.fill_nl),
            ("concentration_ug_per_ml", ledger.concentration_ug_per_ml),
            ("remaining_nl", remaining_nl(pump)),
            ("most_remaining_nl", ledger.most_remaining_nl if ledger.known else None),
            ("delivered_nl", ledger.delivered_nl),
            ("primed_nl", ledger.primed_nl),
            ("forward_steps", ledger.forward),
            ("reversed_steps", ledger.reversed),
            ("unsure_steps", ledger.unconfirmed_steps),
            ("low_nl", content.low_nl),
            ("empty_nl", pump.memory.limits.empty_nl),
            ("capacity_nl", pump.memory.calibration.capacity_nl),
            ("worst_day_nl", content.worst_day_nl),
            ("low_in_s", low_s),
            ("refill_in_s", empty_s),
        ]
    )


def bolus(call: "Call") -> str:
    """BOL?: what runs, what was given, what the patient may have."""
    pump, now_us = call.desk.pump, call.now_us
    running, history, current = pump.bolus, pump.history, pump.memory.program
    return obj(
        [
            ("running", None if running is None else BOLUS_NAMES[running.kind]),
            ("volume_nl", 0 if running is None else running.volume_nl),
            ("delivered_nl", 0 if running is None else running.delivered_nl(now_us)),
            ("patient_dose_ng", 0 if current is None else current.bolus_dose_ng),
            ("patient_count_24h", history.patient_count(now_us)),
            ("daily_cap", 0 if current is None else current.daily_cap),
            ("dose_24h_ng", history.dose_ng(now_us)),
            ("lockout_s", max(0, -(-(history.locked_until_us - now_us) // US_PER_S))),
        ]
    )


def alarms(call: "Call") -> str:
    """ALAR?: the alarms that stand, highest first, each with its state."""
    standing = call.desk.pump.alarms
    rows: "list[object]" = []
    for code in range(len(faults.FAULTS)):
        bit = 1 << code
        if standing.present & bit:
            rows.append(
                [
                    faults.name(code),
                    faults.PRIORITY_NAMES[faults.priority(code)],
                    "active" if standing.active & bit else "gone",
                    "acknowledged" if standing.acked & bit else "new",
                ]
            )
    first = standing.first_stop
    return obj([("first_stop", None if first < 0 else faults.name(first)), ("alarms", rows)])


def log(call: "Call") -> str:
    """LOG?: stored entries, as kept, in hex."""
    first, count = call.args
    entries = call.desk.pump.log.read(first, count)
    return obj([("entries", [binascii.hexlify(entry).decode() for entry in entries])])


def clock(call: "Call") -> str:
    """CLOC?: wall clock and program day."""
    pump, now_us = call.desk.pump, call.now_us
    calendar = pump.calendar
    return obj(
        [
            ("known", calendar.known),
            ("wall_s", wall_s(pump, now_us)),
            ("pump_s", now_us // US_PER_S),
            ("program_minute", _minute(pump, now_us)),
            ("mean", calendar.use_mean),
        ]
    )


def log_count(call: "Call") -> str:
    """LOG:COUN?: number of the oldest entry kept and of the next to come."""
    log = call.desk.pump.log
    return "{},{}".format(log.first(), log.sequence)


def _minute(pump: "Pump", now_us: int) -> "int | None":
    if not pump.calendar.known or pump.calendar.use_mean:
        return None
    return min(MINUTES_PER_DAY - 1, pump.calendar.minute(now_us))
