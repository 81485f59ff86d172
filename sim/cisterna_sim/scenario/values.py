"""Kinds of value in a scenario file: each knows what is allowed and says so in words.

TOML's decimals are read as ``Decimal``, so that a dose written with three places is a whole number
of ng and not the double next to it. Every kind offers ``allowed``, the words for an error or for a
missing key, and ``check``, which returns the value in the unit the program works with.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from cisterna.base import faults

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALL_ALARMS = "ALL"
_SPAN = re.compile(r"(?:(\d{1,4})d )?([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


class Kind:
    """What a value may be: annotate a pydantic field's type with one."""

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        raise NotImplementedError

    def check(self, value: Any) -> Any:
        """The value in the program's unit; PydanticCustomError if it is not allowed."""
        raise NotImplementedError

    def refuse(self) -> PydanticCustomError:
        """The error to raise, with the allowed values."""
        return PydanticCustomError("refused", "allowed: {allowed}", {"allowed": self.allowed})

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.check, handler(source))


@dataclass(frozen=True)
class Number(Kind):
    """A finite number from ``low`` to ``high``; a whole one if ``whole``."""

    low: float
    high: float
    unit: str = ""
    whole: bool = False

    @property
    def allowed(self) -> str:
        note = ", a whole number" if self.whole else ""
        return f"{_figure(self.low)} to {_figure(self.high)} {self.unit}".rstrip() + note

    def check(self, value: Any) -> int | float:
        number = self._inside(value)
        return int(number) if self.whole else float(number)

    def _inside(self, value: Any) -> Decimal:
        # bool is an int to Python; true is no number to a reader.
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise self.refuse()
        if self.whole and not isinstance(value, int):
            raise self.refuse()
        number = _decimal(value)
        if not number.is_finite() or not _decimal(self.low) <= number <= _decimal(self.high):
            raise self.refuse()
        return number


@dataclass(frozen=True)
class Exact(Number):
    """A number with at most ``places`` decimals, taken as whole units of the last of them.

    With 3 places ug become ng; with 6, mL become nL.
    """

    places: int = 3

    @property
    def allowed(self) -> str:
        return f"{super().allowed}, at most {self.places} decimals"

    def check(self, value: Any) -> int:
        scaled = self._inside(value).scaleb(self.places)
        if scaled != int(scaled):
            raise self.refuse()
        return int(scaled)


@dataclass(frozen=True)
class Text(Kind):
    """A text that ``parse`` understands; it raises ValueError for any other."""

    words: str
    parse: Callable[[str], Any]

    @property
    def allowed(self) -> str:
        return self.words

    def check(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise self.refuse()
        try:
            return self.parse(value)
        except ValueError as error:
            hint = f"; {error}" if str(error) else ""
            raise PydanticCustomError(
                "refused", "allowed: {allowed}", {"allowed": self.allowed + hint}
            ) from None


def did_you_mean(wrong: str, known: list[str]) -> str:
    """'did you mean x?' for the closest known word, or the list of them."""
    close = get_close_matches(wrong, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"


def _figure(value: float) -> str:
    return f"{value:.10g}"


def _decimal(value: int | float | Decimal) -> Decimal:
    # repr() of a double is the shortest decimal that reads back as it: what a person wrote.
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _line(text: str) -> str:
    if not text.strip() or len(text) > 120 or not text.isprintable():
        raise ValueError
    return text


def _span(text: str) -> int:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _clock(text: str) -> int:
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError
    return int(match[1]) * 60 + int(match[2])


def _weekdays(text: str) -> int:
    mask = 0
    for part in text.split():
        first, _, last = part.partition("-")
        day, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        mask |= 1 << day
        while day != end:
            day = (day + 1) % 7
            mask |= 1 << day
    if not mask:
        raise ValueError
    return mask


def _weekday_mask(text: str) -> int:
    try:
        return _weekdays(text)
    except ValueError:
        raise ValueError from None


FAULT_NAMES = [row[0] for row in faults.FAULTS]


def _alarm(text: str) -> str:
    if text not in FAULT_NAMES:
        raise ValueError(did_you_mean(text, FAULT_NAMES))
    return text


def _alarm_or_all(text: str) -> str:
    return text if text == ALL_ALARMS else _alarm(text)


LINE = Text("one line of at most 120 characters", _line)
SPAN = Text('time since the start, "HH:MM", "2d HH:MM" or "2d HH:MM:SS"', _span)
CLOCK = Text('time of day, "HH:MM"', _clock)
DAYS = Text('weekdays, such as "mon tue" or "mon-fri"', _weekday_mask)
ALARM = Text("the name of a fault", _alarm)
ALARM_OR_ALL = Text("ALL or the name of a fault", _alarm_or_all)
