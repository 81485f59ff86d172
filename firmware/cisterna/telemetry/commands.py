"""Every command of the telemetry interface, in one table that the pump, its help, the client and
the protocol page all read.

The kinds:

- ``READ``: answered to anybody, and changes nothing.
- ``LINK``: open to anybody; changes only what this line carries.
- ``OPEN``: leads to authority and proves it in its own way (a nonce, a MAC, a hand on the pump).
- ``SESSION``: needs a session of one of the roles; changes nothing that outlives the session.
- ``CHANGE``: likewise; changes the pump, so counter and tag are stored before it is done.

No role is above another: each command names the roles that may give it, nobody else may.
"""

from ..base.compat import TYPE_CHECKING, const
from ..base.roles import ROLES
from ..base.version import VERSION
from . import reads, writes
from .wire import (
    DATA_TYPE,
    ILLEGAL_VALUE,
    MISSING,
    NOT_ALLOWED,
    OUT_OF_RANGE,
    UNDEFINED_HEADER,
    CommandError,
    error_text,
    is_hex,
    to_int,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .server import Call

PROTOCOL = const(1)

READ = const(0)
LINK = const(1)
OPEN = const(2)
SESSION = const(3)
CHANGE = const(4)
KIND_NAMES = ("read", "link", "open", "session", "change")

# What an argument can be: (INT, name, lowest, highest, unit), (ONE_OF, name, words),
# (HEX, name, digits), (TEXT, name).
INT = const(0)
ONE_OF = const(1)
HEX = const(2)
TEXT = const(3)

# A command a line: header | kind, initials of the roles | arguments | reply | help.
# An argument is a name and its range and unit, its words, or its hexadecimal digits. One in
# brackets may be left out; those with a star may come again and again, together.
# One text, since a Pico would need three times the memory for the same as objects.
_TABLE = """
*IDN? | read | - | Cisterna,board,serial,version | Who is there
*OPC? | read | - | 1 | All commands so far are done
*CLS | link | - | OK | Empty the error queue
*RST | change s | - | OK | Restart a pump that is at rest
SYST:ERR? | read | - | number,"text" | Take the oldest error
SYST:ERR:COUN? | read | - | errors | Errors in the queue
SYST:HELP? | read | [header] | headers, or one command's line | All commands, or one of them
SYST:VERS? | read | - | 1999.0 | SCPI version
SYST:PROT? | read | - | protocol | Version of this protocol
SYST:LAST? | read | - | counter,tag,outcome | \
The last change: none, done, refused, or unknown after a restart
SYST:LINK? | read | - | JSON | Lines taken, refused and dropped since the start
STAT? | read | - | JSON | Everything at a glance
MEAS:PRES? | read | - | pressure_pa | Line pressure, gauge; 9.91E37 if it cannot be measured
MEAS:LEV? | read | - | level_nl | Measured content; 9.91E37 if it cannot be measured
MEAS:SUPP? | read | - | supply_mv | Supply voltage; 9.91E37 if it cannot be measured
PROG? | read | - | JSON | The program in use
PROG:RATE? | read | - | rate_nl_per_day | Rate at which the pump delivers now
PROG:STAG | session c | kind stopped/minimum/continuous/profile, \
concentration_ug_per_ml 50..2000 ug/mL, bolus_dose_ng 0..1000000 ng, bolus_s 60..14400 s, \
lockout_s 300..86400 s, daily_cap 0..24, [days 1..127 mask with 1 for Monday*], \
[start_min 0..1439 min*], [dose_ng_per_day 1..100000000 ng/day*] | JSON | Prepare a program
PROG:COMM | change c | id 0..999999999999999, echo hex8 | OK | \
Do what was staged, once the button was pressed
LIM? | read | - | JSON | The limits in force
LIM:STAG | session s | name*, value* | JSON | Prepare new limits, by name and value
LIM:COMM | change s | id 0..999999999999999, echo hex8 | OK | \
Do what was staged, once the button was pressed
CAL? | read | - | JSON | Calibration, from the board file
RES? | read | - | JSON | The reservoir's account
RES:VOL? | read | - | remaining_nl | Volume left by the account; 9.91E37 if it is not known
RES:REF:STAG | session c | volume_nl 1..50000000 nL, concentration_ug_per_ml 50..2000 ug/mL, \
[residual_nl 0..50000000 nL] | JSON | Prepare a refill; residual is what was drawn off before
RES:REF:COMM | change c | id 0..999999999999999, echo hex8 | OK | \
Do what was staged, once the button was pressed
BOL? | read | - | JSON | The running bolus, those of the last 24 h, the lockout
BOL:PAT | change pc | - | OK | Ask for the patient's bolus
BOL:STAG | session c | dose_ng 1..5000000 ng, duration_s 60..14400 s | JSON | \
Prepare a single bolus
BOL:COMM | change c | id 0..999999999999999, echo hex8 | OK | \
Do what was staged, once the button was pressed
DEL:STAR:STAG | session c | - | JSON | Prepare to start the program
DEL:STAR:COMM | change c | id 0..999999999999999, echo hex8 | OK | \
Do what was staged, once the button was pressed
DEL:STOP | change cs | - | OK | Stop until started again
DEL:SUSP | change cs | - | OK | Suspend for 2 min, or renew a suspension
DEL:RES | change cs | - | OK | Go on after a suspension or an acknowledged fault
ALAR? | read | - | JSON | Alarms that stand: name, priority, active or gone, new or acknowledged
ALAR:ACK | change cs | alarm* | OK | Acknowledge alarms by name, or ALL
ALAR:PAUS | change cs | pause_s 1..120 s | OK | Silence the alarms for a while
ALAR:TEST | change cs | - | OK | Sound every priority
LOG? | read | first 0..4294967295, count 1..16 | JSON | \
Entries of the event log from a number on, as stored, in hex
LOG:COUN? | read | - | first,next | Number of the oldest entry kept and of the next to come
CLOC? | read | - | JSON | Wall clock and program day
CLOC:SET | change cs | wall_s 0..3155760000 s since 2000-01-01 00:00 local | OK | \
Set the wall clock; never changes the daily total
TEL? | read | - | period_ms | Period of telemetry lines, 0 if off
TEL:PER | link | period_ms 0..3600000 ms | OK | \
Telemetry lines every so often from 100 ms on; 0 for none
TEL:MAC | session opcs | on 0..1 | OK | Put this session's MAC on telemetry lines
STAG? | read | - | JSON | What is staged and what it waits for
STAG:DROP | session cs | - | OK | Forget what is staged
CONF | session cs | id 0..999999999999999, echo hex8 | OK | \
Confirm, as a second role, what is staged
SERV:CLE:STAG | session s | fault | JSON | Prepare to end a fault that is latched for service
SERV:CLE:COMM | change s | id 0..999999999999999, echo hex8 | OK | \
Do what was staged, once the button was pressed
AUTH? | read | - | JSON | Open sessions and back-off
AUTH:HELL | open | role observer/patient/clinician/service, nonce hex32 | \
session,nonce,counter | Ask for a session
AUTH:PROV | open | session hex4, mac hex32 | mac | Prove the role's key and open the session
AUTH:BYE | session opcs | - | OK | End the session
KEY? | read | - | JSON | Fingerprint of each role's key
KEY:PROV | open | observer hex64, patient hex64, clinician hex64, service hex64 | OK | \
Give a pump without keys its keys; USB, and the button held
KEY:WIPE | open | - | OK | Forget all keys, \
within 60 s of a start with the button held for its first 5 s
KEY:ROT:STAG | session s | role observer/patient/clinician/service, wrapped hex64 | JSON | \
Prepare a new key for a role, wrapped for this session
KEY:ROT:COMM | change s | id 0..999999999999999, echo hex8 | OK | \
Do what was staged, once the button was pressed
"""

# Places in a row: header, kind, roles as a mask, arguments, how many of them are needed, how many
# of the last may come again and again, reply, help.
HEADER, KIND, ROLES_MASK, ARGUMENTS, NEEDED, AGAIN, REPLY, HELP = range(8)

# Mnemonics whose short form differs from the long one.
LONG = (
    "SYSTEM ERROR COUNT VERSION PROTOCOL STATUS MEASURE PRESSURE LEVEL SUPPLY PROGRAM STAGE "
    "COMMIT LIMITS CALIBRATION RESERVOIR VOLUME REFILL BOLUS PATIENT DELIVERY START SUSPEND "
    "RESUME ALARM ACKNOWLEDGE PAUSE CLOCK TELEMETRY PERIOD CONFIRM SERVICE CLEAR AUTHORITY "
    "HELLO PROVE PROVISION ROTATE"
)


def _identity(call: "Call") -> str:
    return "Cisterna,{},{},{}".format(call.desk.name, call.desk.serial, VERSION)


def _error(call: "Call") -> str:
    errors = call.desk.errors
    if not errors:
        return '0,"No error"'
    number, detail = errors.pop(0)
    return error_text(number, detail)


def _clear(call: "Call") -> str:
    call.desk.errors.clear()
    return writes.OK


def _help(call: "Call") -> str:
    if call.args:
        return describe(find(call.args[0]))
    return ",".join([line[: line.index(" ")] for line in _lines()])


def _last(call: "Call") -> str:
    counter = call.desk.sessions.counter
    return "{},{},{}".format(counter.changed, counter.tag or "-", call.desk.outcome)


_HANDLERS: "dict[str, Callable[[Call], Any]]" = {
    "*IDN?": _identity,
    "*OPC?": lambda call: "1",
    "*CLS": _clear,
    "*RST": writes.restart,
    "SYST:ERR?": _error,
    "SYST:ERR:COUN?": lambda call: len(call.desk.errors),
    "SYST:HELP?": _help,
    "SYST:VERS?": lambda call: "1999.0",
    "SYST:PROT?": lambda call: PROTOCOL,
    "SYST:LAST?": _last,
    "SYST:LINK?": lambda call: call.desk.link_counts(),
    "STAT?": reads.status,
    "MEAS:PRES?": reads.pressure,
    "MEAS:LEV?": reads.level,
    "MEAS:SUPP?": reads.supply,
    "PROG?": reads.program,
    "PROG:RATE?": reads.rate,
    "PROG:STAG": writes.stage_program,
    "LIM?": reads.limits,
    "LIM:STAG": writes.stage_limits,
    "CAL?": reads.calibration,
    "RES?": reads.reservoir,
    "RES:VOL?": reads.volume,
    "RES:REF:STAG": writes.stage_refill,
    "BOL?": reads.bolus,
    "BOL:PAT": writes.patient_bolus,
    "BOL:STAG": writes.stage_bolus,
    "DEL:STAR:STAG": writes.stage_start,
    "DEL:STOP": writes.stop,
    "DEL:SUSP": writes.suspend,
    "DEL:RES": writes.resume,
    "ALAR?": reads.alarms,
    "ALAR:ACK": writes.acknowledge,
    "ALAR:PAUS": writes.pause_audio,
    "ALAR:TEST": writes.test_alarms,
    "LOG?": reads.log,
    "LOG:COUN?": reads.log_count,
    "CLOC?": reads.clock,
    "CLOC:SET": writes.set_clock,
    "TEL?": lambda call: call.desk.reports.period_ms,
    "TEL:PER": writes.telemetry_period,
    "TEL:MAC": writes.telemetry_mac,
    "STAG?": lambda call: call.desk.staging.show(call.now_us),
    "STAG:DROP": writes.drop,
    "CONF": writes.confirm,
    "SERV:CLE:STAG": writes.stage_service,
    "AUTH?": lambda call: call.desk.authority(call.now_us),
    "AUTH:HELL": writes.hello,
    "AUTH:PROV": writes.prove,
    "AUTH:BYE": writes.bye,
    "KEY?": lambda call: call.desk.key_prints(),
    "KEY:PROV": writes.provision,
    "KEY:WIPE": writes.wipe,
    "KEY:ROT:STAG": writes.stage_rotation,
}


def handler(row: "tuple[Any, ...]") -> "Callable[[Call], Any]":
    """What carries out a command: it gives the reply, as text or a number, or what to stage."""
    header = row[HEADER]
    return writes.commit if header.endswith(":COMM") else _HANDLERS[header]


def _lines() -> "list[str]":
    return _TABLE.strip().split("\n")


def all_rows() -> "list[tuple[Any, ...]]":
    """All commands. A board looks them up one by one, with ``find``."""
    return [_row(line) for line in _lines()]


def _row(line: str) -> "tuple[Any, ...]":
    header, who, arguments, reply, text = line.split(" | ")
    kind, _, roles = who.partition(" ")
    mask = needed = again = 0
    for i in range(len(ROLES)):
        mask |= (ROLES[i][0] in roles) << i
    specs = []
    for argument in arguments.split(", ") if arguments != "-" else ():
        needed += argument[0] != "["
        argument = argument.strip("[]")
        again += argument[-1] == "*"
        specs.append(_spec(argument.rstrip("*")))
    return header, KIND_NAMES.index(kind), mask, tuple(specs), needed, again, reply, text


def _spec(text: str) -> "tuple[Any, ...]":
    name, _, what = text.partition(" ")
    if not what:
        return TEXT, name
    if "/" in what and ".." not in what:
        return ONE_OF, name, tuple(what.split("/"))
    if what.startswith("hex"):
        return HEX, name, int(what[3:])
    between, _, unit = what.partition(" ")
    lowest, _, highest = between.partition("..")
    return INT, name, int(lowest), int(highest), unit


def short(mnemonic: str) -> str:
    """SCPI's short form: four letters, or three if the fourth would be a vowel."""
    if mnemonic == "ACKNOWLEDGE":
        return "ACK"  # as everybody says
    if len(mnemonic) <= 4:
        return mnemonic
    return mnemonic[: 3 if mnemonic[3] in "AEIOU" else 4]


def find(header: str) -> "tuple[Any, ...]":
    """The row of a command, by its short or long name; CommandError if there is none."""
    text = header.upper()
    query = text.endswith("?")
    words = (text[:-1] if query else text).split(":")
    if words and not words[0]:  # a leading colon is SCPI's root
        words = words[1:]
    long = LONG.split()
    name = ":".join([short(word) if word in long else word for word in words])
    start = _TABLE.find("\n{}{} | ".format(name, "?" if query else ""))
    if start < 0:
        raise CommandError(
            UNDEFINED_HEADER, "no command {}; SYST:HELP? lists them".format(header[:40])
        )
    return _row(_TABLE[start + 1 : _TABLE.index("\n", start + 1)])


def arguments(row: "tuple[Any, ...]", texts: "list[str]") -> "list[Any]":
    """The values of a command's arguments; CommandError names the one that is wrong."""
    specs, needed, again = row[ARGUMENTS], row[NEEDED], row[AGAIN]
    if len(texts) < needed:
        raise CommandError(MISSING, "{} is missing: {}".format(specs[len(texts)][1], usage(row)))
    most = len(specs)
    if len(texts) > most and not again:
        raise CommandError(NOT_ALLOWED, "too many arguments: {}".format(usage(row)))
    beyond = len(texts) - needed
    if again and beyond % again:
        raise CommandError(
            MISSING, "the last {} arguments come together: {}".format(again, usage(row))
        )
    values = []
    for i in range(len(texts)):
        place = i if i < most else most - again + (i - most) % again
        values.append(_argument(specs[place], texts[i]))
    return values


def _argument(spec: "tuple[Any, ...]", text: str) -> "Any":
    kind, name = spec[0], spec[1]
    if not text:
        raise CommandError(MISSING, "{} is empty".format(name))
    if kind == INT:
        value = to_int(name, text)
        if not spec[2] <= value <= spec[3]:
            raise CommandError(
                OUT_OF_RANGE,
                "{} = {} {} is outside {}..{}".format(
                    name, value, spec[4], spec[2], spec[3]
                ).replace("  ", " "),
            )
        return value
    if kind == ONE_OF:
        if text.lower() not in spec[2]:
            raise CommandError(
                ILLEGAL_VALUE,
                "{} = {} is none of {}".format(name, text[:40], ", ".join(spec[2])),
            )
        return text.lower()
    if kind == HEX and (len(text) != spec[2] or not is_hex(text)):
        raise CommandError(DATA_TYPE, "{} is not {} hexadecimal digits".format(name, spec[2]))
    return text


def usage(row: "tuple[Any, ...]") -> str:
    """A command and its arguments."""
    specs, needed, again = row[ARGUMENTS], row[NEEDED], row[AGAIN]
    parts = []
    for i in range(len(specs)):
        parts.append(specs[i][1] if i < needed else "[{}]".format(specs[i][1]))
    text = ",".join(parts) + (",.." if again else "")
    return str(row[HEADER]) + (" " + text if text else "")


def describe(row: "tuple[Any, ...]") -> str:
    """One line of help: usage, who may, reply, what it does."""
    roles = [ROLES[i] for i in range(len(ROLES)) if row[ROLES_MASK] >> i & 1]
    who = "/".join(roles) if roles else KIND_NAMES[row[KIND]]
    return "{} ({}) -> {}: {}".format(usage(row), who, row[REPLY], row[HELP])
