"""The page's tables: of commands, alarms, events and the rest, as Markdown."""

from collections.abc import Iterable
from typing import Any

from cisterna import events
from cisterna.base import faults, modes
from cisterna.base.roles import ROLES
from cisterna.base.settings import LIMIT_FIELDS
from cisterna.telemetry import wire
from cisterna.telemetry.commands import LONG, all_rows, short
from cisterna.telemetry.rows import HEX, INT, KIND_NAMES, ONE_OF, SESSION, Row
from cisterna_tools.protocol.members import MEMBERS

# Sections of the page, and the first mnemonics of their commands.
GROUPS = {
    "Any SCPI instrument": ("*IDN", "*OPC", "*CLS", "*RST"),
    "System": ("SYST",),
    "State and measured values": ("STAT", "MEAS"),
    "Delivery": ("DEL",),
    "Program": ("PROG",),
    "Bolus": ("BOL",),
    "Reservoir": ("RES",),
    "Alarms": ("ALAR",),
    "Event log": ("LOG",),
    "Clock": ("CLOC",),
    "Limits and calibration": ("LIM", "CAL"),
    "Telemetry lines": ("TEL",),
    "What is staged": ("STAG", "CONF"),
    "Sessions": ("AUTH",),
    "Keys": ("KEY",),
    "Service": ("SERV",),
}


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    cells = [list(columns)]
    cells.append(["---"] * len(cells[0]))
    cells += [[str(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def commands(examples: dict[str, tuple[str, str]]) -> str:
    """A section for each group; ``examples`` are commands and their replies by header."""
    return "\n\n".join(
        f"### {title}\n\n{_group(_rows(mnemonics), examples)}"
        for title, mnemonics in GROUPS.items()
    )


def _rows(mnemonics: tuple[str, ...]) -> list[Row]:
    return [row for row in all_rows() if row.header.rstrip("?").partition(":")[0] in mnemonics]


def _group(rows: list[Row], examples: dict[str, tuple[str, str]]) -> str:
    parts = [
        table(
            ("command", "kind", "who", "reply", ""),
            ((f"`{row.usage()}`", KIND_NAMES[row.kind], who(row), row.reply, row.help)
             for row in rows),
        )
    ]  # fmt: skip
    # What several commands of a group take is told once; what all COMMs take, with CONF.
    told = dict.fromkeys(
        spec for row in rows for spec in row.arguments if not row.header.endswith(":COMM")
    )
    if told:
        parts.append(table(("argument", "what it can be", "unit"), map(_argument, told)))
    shown = [row.header for row in rows if row.header in examples]
    if shown:
        lines = ["> {}\n< {}".format(*examples[header]) for header in shown]
        parts.append("```text\n" + "\n".join(lines) + "\n```")
    return "\n\n".join(parts)


def who(row: Row) -> str:
    """Whom the pump takes a command from."""
    if row.kind < SESSION:
        return "anyone"
    return ", ".join(role for place, role in enumerate(ROLES) if row.may(place))


def _argument(spec: tuple[Any, ...]) -> tuple[str, str, str]:
    kind, name = spec[:2]
    if kind == INT:
        low, high, unit = spec[2:]
        return f"`{name}`", f"{number(low)} to {number(high)}", unit
    if kind == ONE_OF:
        text = ", ".join(spec[2])
    elif kind == HEX:
        text = f"{spec[2]} hex digits"
    else:
        text = _WORDS[name]
    return f"`{name}`", text, ""


_WORDS = {
    "header": "a command, such as PROG:STAG",
    "name": "of a [limit](#limits)",
    "value": "a whole number, in that limit's unit",
    "alarm": "name of an [alarm](#alarms), or ALL",
    "fault": "name of an [alarm](#alarms) that service lets go of",
}


def number(value: int) -> str:
    """A number for people. Not with commas: those part arguments."""
    return f"{value:,}".replace(",", " ")


def mnemonics() -> str:
    """Every mnemonic with a long form, as SCPI writes it: the short form in capitals."""
    return ", ".join(
        f"`{_short(word)}{word[len(_short(word)) :].lower()}`" for word in LONG.split()
    )


def _short(word: str) -> str:
    return "ACK" if word == "ACKNOWLEDGE" else short(word)


def errors() -> str:
    """SCPI's numbers, and when the pump gives them."""
    return table(("number", "text", "when"), ((n, t, _WHEN[n]) for n, t in wire.ERRORS))


_WHEN = {
    wire.INVALID_CHARACTER: "a byte of the line is not printable ASCII",
    wire.SYNTAX: "a tag, an argument or what follows `@` is malformed",
    wire.DATA_TYPE: "an argument is no whole number, or has the wrong number of hex digits",
    wire.NOT_ALLOWED: "too many arguments",
    wire.MISSING: "too few",
    wire.UNDEFINED_HEADER: "there is no such command",
    wire.PROTECTED: "authority: no session, wrong role, MAC, counter or key, no button, back-off",
    wire.CONFLICT: "not now: mode, alarm, lockout, nothing staged; the text says which",
    wire.OUT_OF_RANGE: "a number is outside its range, or past a limit of the pump",
    wire.ILLEGAL_VALUE: "a word is none of those it may be",
    wire.SYSTEM: "the pump failed to answer a question; please report it",
    wire.QUEUE_OVERFLOW: "in the error queue: later errors were lost",
    wire.COMMUNICATION: "the CRC is wrong, or missing from a line with a tag",
    wire.OVERRUN: "the line is too long",
}


def alarms() -> str:
    """Every alarm: what it means, what the pump does, what ends it."""
    rows = (
        (f"`{name}`", text, faults.PRIORITY_NAMES[priority], faults.RESPONSE_NAMES[response],
         clears, faults.LATCH_NAMES[latch])
        for name, priority, response, latch, text, clears in faults.FAULTS
    )  # fmt: skip
    return table(("alarm", "what is wrong", "priority", "response", "ended by", "let go by"), rows)


def log_events() -> str:
    """Every event of the log."""
    rows = (
        (code, f"`{name}`", _subjects(names), unit)
        for code, (name, names, unit) in enumerate(events.EVENTS)
    )
    return table(("code", "event", "subject", "value"), rows)


def _subjects(names: tuple[str, ...] | None) -> str:
    if names is None:
        return ""
    if names is events.FAULT_NAMES:
        former = range(len(faults.FAULTS), len(names))
        return (
            "alarm, by its place in [that table](#alarms) from 0 on; in logs of 0.1.0 also "
            + ", ".join(f"{code} {names[code]}" for code in former)
        )
    return ", ".join(f"{place} {name}" for place, name in enumerate(names))


def pump_modes() -> str:
    """Every mode, and the events that lead out of it."""
    rows = []
    for mode, name in enumerate(modes.MODE_NAMES):
        ways = [
            f"{modes.EVENT_NAMES[event]} to "
            + ("the resting mode" if target == modes.RETURN else modes.MODE_NAMES[target])
            for start, event, target in modes.TABLE
            if start == mode
        ]
        rows.append((f"`{name}`", "yes" if mode in modes.RESTING else "", ", ".join(ways)))
    return table(("mode", "resting", "ways out"), rows)


def limits() -> str:
    """What LIM:STAG can set."""
    return table(
        ("limit", "range", "default", "unit"),
        (
            (f"`{name}`", f"{number(low)} to {number(high)}", number(default), unit)
            for name, low, high, default, unit in LIMIT_FIELDS
        ),
    )


def members() -> str:
    """The names in JSON replies and telemetry lines."""
    return table(("name", "what"), ((f"`{name}`", what) for name, what in MEMBERS.items()))
