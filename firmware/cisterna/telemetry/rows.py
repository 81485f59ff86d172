"""What a command is, by the row beside its function: who may give it, with which arguments.

A row is the header and one text: ``kind roles | arguments | reply | help``.

1. The kind is ``read``: answered to anybody, and changes nothing; ``link``: open to anybody,
   changes only what this line carries; ``open``: leads to authority and proves it in its own way
   (a nonce, a MAC, a hand on the pump); ``session``: needs a session of one of the roles, and
   changes nothing that outlives it; ``change``: likewise, but changes the pump, so that counter
   and tag are stored before it is done.
2. The roles stand as their initials. No role is above another: whoever is not named may not.
3. An argument is a name and its range and unit, its words, or its hexadecimal digits; a field of
   a program, by its own or another name, has the range that the program gives it. Others are any
   text. One in brackets may be left out; those with a star may come again and again, together.

A row stays one text, and is taken apart when its command comes: as objects the rows would take
more than twice the memory on a board that runs from files.
"""

from ..base.compat import TYPE_CHECKING, const
from ..base.roles import ROLES
from ..parts.program import FIELDS, KINDS, SEGMENT_FIELDS
from .wire import (
    DATA_TYPE,
    ILLEGAL_VALUE,
    MISSING,
    NOT_ALLOWED,
    OUT_OF_RANGE,
    CommandError,
    is_hex,
    to_int,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Act = TypeVar("Act", bound="Callable[..., object]")

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
# Words that arguments of several commands take.
_WORDS = {"KINDS": KINDS, "ROLES": ROLES}


class Rows:
    """The commands of one file, each put in beside the function that carries it out."""

    def __init__(self) -> None:
        self._rows: "dict[str, tuple[str, Callable[..., Any]]]" = {}

    def add(self, header: str, text: str) -> "Callable[[Act], Act]":
        """What is put above the function."""

        def keep(act: "Act") -> "Act":
            self.put(header, text, act)
            return act

        return keep

    def put(self, header: str, text: str, act: "Callable[..., Any]") -> None:
        """Take up a command: its row's text and its function."""
        self._rows[header] = (text, act)

    def headers(self) -> "list[str]":
        """Their headers; MicroPython gives them in no order."""
        return list(self._rows)

    def get(self, header: str) -> "Row | None":
        """The row of that header, if it is one of these."""
        found = self._rows.get(header)
        return None if found is None else Row(header, found[0], found[1])


class Row:
    """One command. ``roles`` are initials, ``arguments`` what each can be, ``needed`` how many of
    them must come, ``again`` how many of the last may come again and again; ``act`` takes a Call
    and gives the reply, as text or a number, or what to stage."""

    def __init__(self, header: str, text: str, act: "Callable[..., Any]") -> None:
        who, arguments, self.reply, self.help = text.split(" | ")
        kind, _, self.roles = who.partition(" ")
        self.header = header
        self.kind = KIND_NAMES.index(kind)
        self.act = act
        self.needed = self.again = 0
        self.arguments: "list[tuple[Any, ...]]" = []
        for argument in arguments.split(", ") if arguments != "-" else ():
            self.needed += argument[0] != "["
            argument = argument.strip("[]")
            self.again += argument[-1] == "*"
            self.arguments.append(_spec(argument.rstrip("*")))

    def may(self, role: int) -> bool:
        """True if a session of that role may give it."""
        return ROLES[role][0] in self.roles

    def usage(self) -> str:
        """The command and its arguments."""
        parts = []
        for i in range(len(self.arguments)):
            name = self.arguments[i][1]
            parts.append(name if i < self.needed else f"[{name}]")
        text = ",".join(parts) + (",.." if self.again else "")
        return f"{self.header} {text}" if text else self.header

    def describe(self) -> str:
        """One line of help: usage, who may, reply, what it does."""
        roles = [ROLES[role] for role in range(len(ROLES)) if self.may(role)]
        who = "/".join(roles) if roles else KIND_NAMES[self.kind]
        return f"{self.usage()} ({who}) -> {self.reply}: {self.help}"

    def check(self, texts: "list[str]") -> None:
        """Raise CommandError if there are too few arguments, too many, or not whole groups."""
        again, count = self.again, len(texts)
        if count < self.needed:
            raise CommandError(MISSING, f"{self.arguments[count][1]} is missing: {self.usage()}")
        if count > len(self.arguments) and not again:
            raise CommandError(NOT_ALLOWED, f"too many arguments: {self.usage()}")
        if again and (count - self.needed) % again:
            raise CommandError(
                MISSING, f"the last {again} arguments come together: {self.usage()}"
            )

    def value(self, place: int, text: str) -> "Any":
        """The value of the argument in that place; CommandError says what is wrong with it."""
        most = len(self.arguments)
        if place >= most:
            place = most - self.again + (place - most) % self.again
        return _value(self.arguments[place], text)


def _spec(text: str) -> "tuple[Any, ...]":
    name, _, what = text.partition(" ")
    for field in FIELDS + SEGMENT_FIELDS:
        if field[0] == (what or name):
            return INT, name, field[1], field[2], field[3]
    if not what:
        return TEXT, name
    if what in _WORDS:
        return ONE_OF, name, _WORDS[what]
    if what.startswith("hex"):
        return HEX, name, int(what[3:])
    between, _, unit = what.partition(" ")
    lowest, _, highest = between.partition("..")
    return INT, name, int(lowest), int(highest), unit


def _value(spec: "tuple[Any, ...]", text: str) -> "Any":
    kind, name = spec[0], spec[1]
    if not text:
        raise CommandError(MISSING, f"{name} is empty")
    if kind == INT:
        value = to_int(name, text)
        if not spec[2] <= value <= spec[3]:
            said = f"{name} = {value} {spec[4]}".rstrip()
            raise CommandError(OUT_OF_RANGE, f"{said} is outside {spec[2]}..{spec[3]}")
        return value
    if kind == ONE_OF:
        if text.lower() not in spec[2]:
            words = ", ".join(spec[2])
            raise CommandError(ILLEGAL_VALUE, f"{name} = {text[:40]} is none of {words}")
        return text.lower()
    if kind == HEX and (len(text) != spec[2] or not is_hex(text)):
        raise CommandError(DATA_TYPE, f"{name} is not {spec[2]} hexadecimal digits")
    return text
