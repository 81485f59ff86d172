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

from . import changes, queries
from .auth import KEY_BYTES, ROLES
from .compat import TYPE_CHECKING, const
from .queries import MAX_LOG_ENTRIES
from .reports import MAX_PERIOD_MS
from .therapy import KINDS
from .version import VERSION
from .wire import (
    DATA_TYPE,
    ILLEGAL_VALUE,
    MAC_DIGITS,
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
    from typing import Any

    from .telemetry import Call

PROTOCOL = const(1)

READ = const(0)
LINK = const(1)
OPEN = const(2)
SESSION = const(3)
CHANGE = const(4)
KIND_NAMES = ("read", "link", "open", "session", "change")

# Roles, as masks.
ANY = const(0b1111)
P_C = const(0b0110)
C = const(0b0100)
S = const(0b1000)
C_S = const(0b1100)

# What an argument can be: (INT, name, lowest, highest, unit), (ONE_OF, name, words),
# (HEX, name, digits), (TEXT, name).
INT = const(0)
ONE_OF = const(1)
HEX = const(2)
TEXT = const(3)

_MAX_32 = const(0xFFFF_FFFF)
_ID = (INT, "id", 0, 10**15, "")
_ECHO = (HEX, "echo", 8)
_KEY_DIGITS = 2 * KEY_BYTES


def _commit(what: str, roles: int) -> "tuple[Any, ...]":
    return (
        what + ":COMM", CHANGE, roles, (_ID, _ECHO), 2, 0, changes.commit,
        "OK", "Do what {}:STAG staged, once the button was pressed".format(what),
    )  # fmt: skip


def _error(call: "Call") -> str:
    errors = call.desk.errors
    if not errors:
        return '0,"No error"'
    number, detail = errors.pop(0)
    return error_text(number, detail)


def _clear(call: "Call") -> str:
    call.desk.errors.clear()
    return changes.OK


def _help(call: "Call") -> str:
    if call.args:
        return describe(find(call.args[0]))
    return ",".join([row[0] for row in COMMANDS])


def _count(call: "Call") -> str:
    log = call.desk.pump.log
    return "{},{}".format(log.first(), log.sequence)


def _last(call: "Call") -> str:
    counter = call.desk.sessions.counter
    return "{},{},{}".format(counter.changed, counter.tag or "-", call.desk.outcome)


# Places in a row: header, kind, roles, arguments, how many of them are needed, how many of the
# last may come again and again, what carries it out, reply, help.
HEADER, KIND, ROLES_MASK, ARGUMENTS, NEEDED, AGAIN, HANDLER, REPLY, HELP = range(9)

COMMANDS: "tuple[tuple[Any, ...], ...]" = (
    ("*IDN?", READ, 0, (), 0, 0,
     lambda call: "Cisterna,{},{},{}".format(call.desk.name, call.desk.serial, VERSION),
     "Cisterna,board,serial,version", "Who is there"),
    ("*OPC?", READ, 0, (), 0, 0, lambda call: "1", "1", "All commands so far are done"),
    ("*CLS", LINK, 0, (), 0, 0, _clear, "OK", "Empty the error queue"),
    ("*RST", CHANGE, S, (), 0, 0, changes.restart, "OK", "Restart a pump that is at rest"),
    ("SYST:ERR?", READ, 0, (), 0, 0, _error, 'number,"text"', "Take the oldest error"),
    ("SYST:ERR:COUN?", READ, 0, (), 0, 0, lambda call: str(len(call.desk.errors)),
     "errors", "Errors in the queue"),
    ("SYST:HELP?", READ, 0, ((TEXT, "header"),), 0, 0, _help, "headers, or one command's line",
     "All commands, or one of them"),
    ("SYST:VERS?", READ, 0, (), 0, 0, lambda call: "1999.0", "1999.0", "SCPI version"),
    ("SYST:PROT?", READ, 0, (), 0, 0, lambda call: str(PROTOCOL), "protocol",
     "Version of this protocol"),
    ("SYST:LAST?", READ, 0, (), 0, 0, _last, "counter,tag,outcome",
     "The last change: none, done, refused, or unknown after a restart"),
    ("SYST:LINK?", READ, 0, (), 0, 0, lambda call: call.desk.link_counts(), "JSON",
     "Lines taken, refused and dropped since the start"),
    ("STAT?", READ, 0, (), 0, 0, lambda call: queries.status(call.desk.pump, call.now_us),
     "JSON", "Everything at a glance"),
    ("MEAS:PRES?", READ, 0, (), 0, 0,
     lambda call: queries.measured(queries.pressure_pa(call.desk.pump)), "pressure_pa",
     "Line pressure, gauge; 9.91E37 if it cannot be measured"),
    ("MEAS:LEV?", READ, 0, (), 0, 0,
     lambda call: queries.measured(queries.level_nl(call.desk.pump)), "level_nl",
     "Measured content; 9.91E37 if it cannot be measured"),
    ("MEAS:SUPP?", READ, 0, (), 0, 0,
     lambda call: queries.measured(queries.supply_mv(call.desk.pump)), "supply_mv",
     "Supply voltage; 9.91E37 if it cannot be measured"),
    ("PROG?", READ, 0, (), 0, 0, lambda call: queries.program(call.desk.pump), "JSON",
     "The program in use"),
    ("PROG:RATE?", READ, 0, (), 0, 0,
     lambda call: str(queries.rate_now(call.desk.pump)), "rate_nl_per_day",
     "Rate at which the pump delivers now"),
    ("PROG:STAG", SESSION, C,
     ((ONE_OF, "kind", KINDS), (INT, "concentration_ug_per_ml", 50, 2000, "ug/mL"),
      (INT, "bolus_dose_ng", 0, 1_000_000, "ng"), (INT, "bolus_s", 60, 14_400, "s"),
      (INT, "lockout_s", 300, 86_400, "s"), (INT, "daily_cap", 0, 24, ""),
      (INT, "days", 1, 127, "mask, bit 0 Monday"), (INT, "start_min", 0, 1_439, "min"),
      (INT, "dose_ng_per_day", 1, 100_000_000, "ng/day")), 6, 3,
     changes.stage_program, "JSON", "Prepare a program"),
    _commit("PROG", C),
    ("LIM?", READ, 0, (), 0, 0, lambda call: queries.settings(call.desk.pump.memory.limits),
     "JSON", "The limits in force"),
    ("LIM:STAG", SESSION, S, ((TEXT, "name"), (TEXT, "value")), 2, 2,
     changes.stage_limits, "JSON", "Prepare new limits, by name and value"),
    _commit("LIM", S),
    ("CAL?", READ, 0, (), 0, 0,
     lambda call: queries.settings(call.desk.pump.memory.calibration), "JSON",
     "Calibration, from the board file"),
    ("RES?", READ, 0, (), 0, 0, lambda call: queries.reservoir(call.desk.pump), "JSON",
     "The reservoir's account"),
    ("RES:VOL?", READ, 0, (), 0, 0,
     lambda call: queries.measured(queries.remaining_nl(call.desk.pump)), "remaining_nl",
     "Volume left by the account; 9.91E37 if it is not known"),
    ("RES:REF:STAG", SESSION, C,
     ((INT, "volume_nl", 1, 50_000_000, "nL"), (INT, "concentration_ug_per_ml", 50, 2000, "ug/mL"),
      (INT, "residual_nl", 0, 50_000_000, "nL")), 2, 0,
     changes.stage_refill, "JSON", "Prepare a refill; residual is what was drawn off before"),
    _commit("RES:REF", C),
    ("BOL?", READ, 0, (), 0, 0, lambda call: queries.bolus(call.desk.pump, call.now_us), "JSON",
     "The running bolus, those of the last 24 h, the lockout"),
    ("BOL:PAT", CHANGE, P_C, (), 0, 0, changes.patient_bolus, "OK", "Ask for the patient's bolus"),
    ("BOL:STAG", SESSION, C,
     ((INT, "dose_ng", 1, 5_000_000, "ng"), (INT, "duration_s", 60, 14_400, "s")), 2, 0,
     changes.stage_bolus, "JSON", "Prepare a single bolus"),
    _commit("BOL", C),
    ("DEL:STAR:STAG", SESSION, C, (), 0, 0, changes.stage_start, "JSON",
     "Prepare to start the program"),
    _commit("DEL:STAR", C),
    ("DEL:STOP", CHANGE, C_S, (), 0, 0, changes.stop, "OK", "Stop until started again"),
    ("DEL:SUSP", CHANGE, C_S, (), 0, 0, changes.suspend, "OK",
     "Suspend for 2 min, or renew a suspension"),
    ("DEL:RES", CHANGE, C_S, (), 0, 0, changes.resume, "OK",
     "Go on after a suspension or an acknowledged fault"),
    ("ALAR?", READ, 0, (), 0, 0, lambda call: queries.alarms(call.desk.pump), "JSON",
     "Alarms that stand: name, priority, active or gone, new or acknowledged"),
    ("ALAR:ACK", CHANGE, C_S, ((TEXT, "alarm"),), 1, 1, changes.acknowledge, "OK",
     "Acknowledge alarms by name, or ALL"),
    ("ALAR:PAUS", CHANGE, C_S, ((INT, "pause_s", 1, 120, "s"),), 1, 0, changes.pause_audio, "OK",
     "Silence the alarms for a while"),
    ("ALAR:TEST", CHANGE, C_S, (), 0, 0, changes.test_alarms, "OK", "Sound every priority"),
    ("LOG?", READ, 0,
     ((INT, "first", 0, _MAX_32, ""), (INT, "count", 1, MAX_LOG_ENTRIES, "")), 2, 0,
     lambda call: queries.log(call.desk.pump, call.args[0], call.args[1]), "JSON",
     "Entries of the event log from a number on, as stored, in hex"),
    ("LOG:COUN?", READ, 0, (), 0, 0, _count, "first,next",
     "Number of the oldest entry kept and of the next to come"),
    ("CLOC?", READ, 0, (), 0, 0, lambda call: queries.clock(call.desk.pump, call.now_us),
     "JSON", "Wall clock and program day"),
    ("CLOC:SET", CHANGE, C_S,
     ((INT, "wall_s", 0, 36_525 * 86_400, "s since 2000-01-01 00:00 local"),), 1, 0,
     changes.set_clock, "OK", "Set the wall clock; never changes the daily total"),
    ("TEL?", READ, 0, (), 0, 0, lambda call: str(call.desk.reports.period_ms), "period_ms",
     "Period of telemetry lines, 0 if off"),
    ("TEL:PER", LINK, 0, ((INT, "period_ms", 0, MAX_PERIOD_MS, "ms"),), 1, 0,
     changes.telemetry_period, "OK", "Telemetry lines every so often from 100 ms on; 0 for none"),
    ("TEL:MAC", SESSION, ANY, ((INT, "on", 0, 1, ""),), 1, 0, changes.telemetry_mac, "OK",
     "Put this session's MAC on telemetry lines"),
    ("STAG?", READ, 0, (), 0, 0, lambda call: call.desk.staging.show(call.now_us), "JSON",
     "What is staged and what it waits for"),
    ("STAG:DROP", SESSION, C_S, (), 0, 0, changes.drop, "OK", "Forget what is staged"),
    ("CONF", SESSION, C_S, (_ID, _ECHO), 2, 0, changes.confirm, "OK",
     "Confirm, as a second role, what is staged"),
    ("SERV:CLE:STAG", SESSION, S, ((TEXT, "fault"),), 1, 0, changes.stage_service, "JSON",
     "Prepare to end a fault that is latched for service"),
    _commit("SERV:CLE", S),
    ("AUTH?", READ, 0, (), 0, 0, lambda call: call.desk.authority(call.now_us), "JSON",
     "Open sessions and back-off"),
    ("AUTH:HELL", OPEN, 0, ((ONE_OF, "role", ROLES), (HEX, "nonce", 32)), 2, 0, changes.hello,
     "session,nonce,counter", "Ask for a session"),
    ("AUTH:PROV", OPEN, 0, ((HEX, "session", 4), (HEX, "mac", MAC_DIGITS)), 2, 0, changes.prove,
     "mac", "Prove the role's key and open the session"),
    ("AUTH:BYE", SESSION, ANY, (), 0, 0, changes.bye, "OK", "End the session"),
    ("KEY?", READ, 0, (), 0, 0, lambda call: call.desk.key_prints(), "JSON",
     "Fingerprint of each role's key"),
    ("KEY:PROV", OPEN, 0, tuple([(HEX, role, _KEY_DIGITS) for role in ROLES]), 4, 0,
     changes.provision, "OK", "Give a pump without keys its keys; USB, and the button held"),
    ("KEY:WIPE", OPEN, 0, (), 0, 0, changes.wipe, "OK",
     "Forget all keys, within 60 s of a start with the button held for its first 5 s"),
    ("KEY:ROT:STAG", SESSION, S, ((ONE_OF, "role", ROLES), (HEX, "wrapped", _KEY_DIGITS)), 2, 0,
     changes.stage_rotation, "JSON", "Prepare a new key for a role, wrapped for this session"),
    _commit("KEY:ROT", S),
)  # fmt: skip

# Long forms of the mnemonics whose short form differs.
LONG = (
    "SYSTEM", "ERROR", "COUNT", "VERSION", "PROTOCOL", "STATUS", "MEASURE", "PRESSURE", "LEVEL",
    "SUPPLY", "PROGRAM", "STAGE", "COMMIT", "LIMITS", "CALIBRATION", "RESERVOIR", "VOLUME",
    "REFILL", "BOLUS", "PATIENT", "DELIVERY", "START", "SUSPEND", "RESUME", "ALARM",
    "ACKNOWLEDGE", "PAUSE", "CLOCK", "TELEMETRY", "PERIOD", "CONFIRM", "SERVICE", "CLEAR",
    "AUTHORITY", "HELLO", "PROVE", "PROVISION", "ROTATE",
)  # fmt: skip


def short(mnemonic: str) -> str:
    """SCPI's short form: four letters, or three if the fourth would be a vowel."""
    if len(mnemonic) <= 4:
        return mnemonic
    return mnemonic[: 3 if mnemonic[3] in "AEIOU" else 4]


_SHORT = {word: short(word) for word in LONG}
_SHORT["ACKNOWLEDGE"] = "ACK"  # as everybody says
_ROWS = {row[0]: row for row in COMMANDS}


def find(header: str) -> "tuple[Any, ...]":
    """The row of a command, by its short or long name; CommandError if there is none."""
    text = header.upper()
    query = text.endswith("?")
    words = (text[:-1] if query else text).split(":")
    if words and not words[0]:  # a leading colon is SCPI's root
        words = words[1:]
    name = ":".join([_SHORT.get(word, word) for word in words]) + ("?" if query else "")
    row = _ROWS.get(name)
    if row is None:
        raise CommandError(
            UNDEFINED_HEADER, "no command {}; SYST:HELP? lists them".format(header[:40])
        )
    return row


def arguments(row: "tuple[Any, ...]", texts: "list[str]") -> "list[Any]":
    """The values of a command's arguments; CommandError names the one that is wrong."""
    specs, needed, again = row[3], row[4], row[5]
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
    specs, needed, again = row[3], row[4], row[5]
    parts = []
    for i in range(len(specs)):
        parts.append(specs[i][1] if i < needed else "[{}]".format(specs[i][1]))
    text = ",".join(parts) + (",.." if again else "")
    return row[0] + (" " + text if text else "")


def describe(row: "tuple[Any, ...]") -> str:
    """One line of help: usage, who may, reply, what it does."""
    roles = [ROLES[i] for i in range(len(ROLES)) if row[2] >> i & 1]
    who = "/".join(roles) if roles else KIND_NAMES[row[1]]
    return "{} ({}) -> {}: {}".format(usage(row), who, row[7], row[8])
