"""What can be asked of the pump: a function of a call answers one read command with one line of
text, and its row stands above it.

None of them changes anything of the pump, not even by a tick; SYST:ERR? alone takes what it gives.
"""

import binascii

from ..base import faults, modes
from ..base.compat import TYPE_CHECKING, const
from ..base.roles import ROLES
from ..base.units import US_PER_S
from ..base.version import VERSION
from ..parts.bolus import BOLUS_NAMES
from ..parts.calendar import MINUTES_PER_DAY
from . import figures
from .figures import obj
from .rows import Rows
from .wire import error_text

if TYPE_CHECKING:
    from ..base.settings import Settings
    from ..pump import Pump
    from .desk import Call

PROTOCOL = const(1)
# Entries of the log that are read at a time, so that LOG? does not hold a step up.
LOG_PAGE = const(4)
ROWS = Rows()


# -- the interface ------------------------------------------------------------------------------


@ROWS.add("*IDN?", "read | - | Cisterna,board,serial,version | Who is there")
def identity(call: "Call") -> str:
    """Who is there."""
    return f"Cisterna,{call.desk.name},{call.desk.serial},{VERSION}"


@ROWS.add("*OPC?", "read | - | 1 | All commands so far are done")
def done(call: "Call") -> str:
    """Always 1: a line is answered once it is done."""
    return "1"


@ROWS.add("SYST:ERR?", 'read | - | number,"text" | Take the oldest error')
def error(call: "Call") -> str:
    """The oldest error, which leaves the queue."""
    errors = call.desk.errors
    if not errors:
        return '0,"No error"'
    number, detail = errors.pop(0)
    return error_text(number, detail)


@ROWS.add("SYST:ERR:COUN?", "read | - | errors | Errors in the queue")
def error_count(call: "Call") -> int:
    """How many errors wait."""
    return len(call.desk.errors)


@ROWS.add("SYST:VERS?", "read | - | 1999.0 | SCPI version")
def scpi_version(call: "Call") -> str:
    """The SCPI that the commands follow."""
    return "1999.0"


@ROWS.add("SYST:PROT?", "read | - | protocol | Version of this protocol")
def protocol(call: "Call") -> int:
    """The version of the protocol."""
    return PROTOCOL


@ROWS.add(
    "SYST:LAST?",
    "read | - | counter,tag,outcome | "
    "The last change: none, done, refused, or unknown after a restart",
)
def last(call: "Call") -> str:
    """The last change and what became of it."""
    counter = call.desk.sessions.counter
    return f"{counter.changed},{counter.tag or '-'},{call.desk.outcome}"


@ROWS.add("SYST:LINK?", "read | - | JSON | Lines taken, refused and dropped since the start")
def link(call: "Call") -> str:
    """What has come over the line so far."""
    desk = call.desk
    return obj(
        [
            ("lines", desk.lines),
            ("refused", desk.refused),
            ("corrupt", desk.corrupt),
            ("wrong_macs", desk.sessions.failures),
            ("dropped", desk.stream.dropped),
        ]
    )


@ROWS.add("TEL?", "read | - | period_ms | Period of telemetry lines, 0 if off")
def telemetry(call: "Call") -> int:
    """How often the state is told."""
    return call.desk.stream.period_ms


@ROWS.add("STAG?", "read | - | JSON | What is staged and what it waits for")
def staged(call: "Call") -> str:
    """The change that waits to be committed."""
    return call.desk.staging.show(call.now_us)


@ROWS.add("AUTH?", "read | - | JSON | Open sessions and back-off")
def authority(call: "Call") -> str:
    """Who has a session."""
    keys, sessions = call.desk.keys, call.desk.sessions
    return obj(
        [
            ("provisioned", keys.provisioned),
            ("damaged", keys.damaged),
            ("sessions", [[s.name, ROLES[s.role]] for s in sessions.open]),
            ("counter", sessions.counter.value),
            ("barred_s", sessions.barred_s(call.now_us)),
        ]
    )


@ROWS.add("KEY?", "read | - | JSON | Fingerprint of each role's key")
def key_prints(call: "Call") -> str:
    """What tells the keys apart."""
    keys = call.desk.keys
    return obj([(ROLES[role], keys.fingerprint(role)) for role in range(len(ROLES))])


# -- the pump -----------------------------------------------------------------------------------


@ROWS.add("STAT?", "read | - | JSON | Everything at a glance")
def status(call: "Call") -> str:
    """STAT?: everything at a glance."""
    pump, now_us = call.desk.pump, call.now_us
    alarms, calendar = pump.alarms, pump.calendar
    priority, audible = alarms.signal(now_us)
    low_s, refill_s = _refill_s(pump)
    number = figures.number
    return (
        f'{{{figures.state(pump)},"resting":"{modes.MODE_NAMES[pump.modes.resting]}",'
        f'"basal_nl_per_day":{pump.schedule.rate_nl_per_day},'
        f'"programmed":{int(pump.memory.program is not None)},'
        f'"signal":"{faults.PRIORITY_NAMES[priority]}","audible":{int(audible)},'
        f'"low_in_s":{number(low_s)},"refill_in_s":{number(refill_s)},'
        f'"supply_mv":{number(figures.supply_mv(pump))},'
        f'"level_nl":{number(figures.level_nl(pump))},"clock_known":{int(calendar.known)},'
        f'"wall_s":{number(figures.wall_s(pump, now_us))},"pump_s":{now_us // US_PER_S},'
        f'"stopped_s":{_stopped_s(pump, now_us)},"missed_nl":{pump.stoppage.missed_nl}}}'
    )


def _stopped_s(pump: "Pump", now_us: int) -> int:
    since_us = pump.stoppage.since_us
    return (now_us - since_us) // US_PER_S if since_us else 0


def _refill_s(pump: "Pump") -> "tuple[int | None, int | None]":
    return pump.refill.seconds_to_refill() if pump.ledger.known else (None, None)


@ROWS.add(
    "MEAS:PRES?", "read | - | pressure_pa | Line pressure, gauge; 9.91E37 if it cannot be measured"
)
def pressure(call: "Call") -> str:
    """MEAS:PRES?"""
    return _measured(figures.pressure_pa(call.desk.pump))


@ROWS.add("MEAS:LEV?", "read | - | level_nl | Measured content; 9.91E37 if it cannot be measured")
def level(call: "Call") -> str:
    """MEAS:LEV?"""
    return _measured(figures.level_nl(call.desk.pump))


@ROWS.add("MEAS:SUPP?", "read | - | supply_mv | Supply voltage; 9.91E37 if it cannot be measured")
def supply(call: "Call") -> str:
    """MEAS:SUPP?"""
    return _measured(figures.supply_mv(call.desk.pump))


@ROWS.add("PROG?", "read | - | JSON | The program in use")
def program(call: "Call") -> str:
    """PROG?: the program in use, an empty object if there is none."""
    pump = call.desk.pump
    current, limits = pump.memory.program, pump.memory.limits
    if current is None:
        return "{}"
    return obj(
        [
            ("kind", current.kind_name),
            ("concentration_ug_per_ml", current.concentration_ug_per_ml),
            ("bolus_dose_ng", current.bolus_dose_ng),
            ("bolus_s", current.bolus_s),
            ("lockout_s", current.lockout_s),
            ("daily_cap", current.daily_cap),
            ("mean_nl_per_day", current.mean_rate(limits)),
            ("mean_ng_per_day", figures.dose_per_day_ng(current, limits)),
            ("segments", current.segments),
        ]
    )


@ROWS.add("PROG:RATE?", "read | - | rate_nl_per_day | Rate at which the pump delivers now")
def rate(call: "Call") -> str:
    """PROG:RATE?"""
    return str(figures.rate_now(call.desk.pump))


@ROWS.add("LIM?", "read | - | JSON | The limits in force")
def limits(call: "Call") -> str:
    """LIM?: the limits in force."""
    return _settings(call.desk.pump.memory.limits)


@ROWS.add("CAL?", "read | - | JSON | Calibration, from the board file")
def calibration(call: "Call") -> str:
    """CAL?: the calibration."""
    return _settings(call.desk.pump.memory.calibration)


def _settings(values: "Settings") -> str:
    return obj([(row[0], getattr(values, row[0])) for row in values.FIELDS])


@ROWS.add("RES?", "read | - | JSON | The reservoir's account")
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
            ("remaining_nl", figures.remaining_nl(pump)),
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


@ROWS.add(
    "RES:VOL?", "read | - | remaining_nl | Volume left by the account; 9.91E37 if it is not known"
)
def volume(call: "Call") -> str:
    """RES:VOL?"""
    return _measured(figures.remaining_nl(call.desk.pump))


def _measured(value: "int | None") -> str:
    """A reading as text; SCPI's NaN where there is none."""
    return "9.91E37" if value is None else str(value)


@ROWS.add("BOL?", "read | - | JSON | The running bolus, those of the last 24 h, the lockout")
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


@ROWS.add(
    "ALAR?",
    "read | - | JSON | Alarms that stand: name, priority, active or gone, new or acknowledged",
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


@ROWS.add(
    "LOG?",
    "read | first 0..4294967295, count 1..16 | JSON | Entries of the event log from a number "
    "on, as stored, in hex; at most 4 at a time",
)
def log(call: "Call") -> str:
    """LOG?: stored entries, as kept, in hex."""
    first, count = call.args
    entries = call.desk.pump.log.read(first, min(count, LOG_PAGE))
    texts = [f'"{binascii.hexlify(entry).decode()}"' for entry in entries]
    return f'{{"entries":[{",".join(texts)}]}}'


@ROWS.add(
    "LOG:COUN?", "read | - | first,next | Number of the oldest entry kept and of the next to come"
)
def log_count(call: "Call") -> str:
    """LOG:COUN?: number of the oldest entry kept and of the next to come."""
    log = call.desk.pump.log
    return f"{log.first()},{log.sequence}"


@ROWS.add("CLOC?", "read | - | JSON | Wall clock and program day")
def clock(call: "Call") -> str:
    """CLOC?: wall clock and program day."""
    pump, now_us = call.desk.pump, call.now_us
    calendar = pump.calendar
    return obj(
        [
            ("known", calendar.known),
            ("wall_s", figures.wall_s(pump, now_us)),
            ("pump_s", now_us // US_PER_S),
            ("program_minute", _minute(pump, now_us)),
            ("mean", calendar.use_mean),
        ]
    )


def _minute(pump: "Pump", now_us: int) -> "int | None":
    if not pump.calendar.known or pump.calendar.use_mean:
        return None
    return min(MINUTES_PER_DAY - 1, pump.calendar.minute(now_us))
