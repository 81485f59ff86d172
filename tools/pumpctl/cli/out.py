"""What verbs print: JSON alone on standard output, or text for people; talk goes to stderr."""

import dataclasses
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from pumpctl.cli.settings import Settings


def plain(value: Any) -> Any:
    """A value as JSON has it: models and dataclasses as objects, times in ISO 8601."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Path):
        return str(value)
    return value


def console() -> Console:
    """The console of standard output; made when used, so that a redirection counts."""
    return Console(highlight=False, soft_wrap=True)


def talk_console() -> Console:
    """The console of standard error: questions, countdowns, warnings."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def tell(settings: Settings, data: Any, text: "str | Callable[[Console], object]") -> None:
    """Print the result of a verb: ``data`` as JSON if so wanted, else ``text``."""
    if settings.json:
        click.echo(json.dumps(plain(data)))
    elif isinstance(text, str):
        click.echo(text)
    else:
        text(console())


def rows(pairs: "list[tuple[str, str]]", title: str = "") -> Callable[[Console], None]:
    """Name and value, a line each."""

    def show(out: Console) -> None:
        table = Table.grid(padding=(0, 2))
        for name, value in pairs:
            table.add_row(name, value)
        if title:
            out.print(title, style="bold")
        out.print(table)

    return show


def span(seconds: "int | None") -> str:
    """Seconds as '12d 3h', '3h 05min', '4min 10s' or '7s'."""
    if seconds is None:
        return "unknown"
    minutes, rest_s = divmod(seconds, 60)
    hours, rest_min = divmod(minutes, 60)
    days, rest_h = divmod(hours, 24)
    if days:
        return f"{days}d {rest_h}h"
    if hours:
        return f"{hours}h {rest_min:02}min"
    return f"{minutes}min {rest_s:02}s" if minutes else f"{rest_s}s"


def scaled(value: "int | None", thousands: int, unit: str) -> str:
    """An integer shown in a larger unit, exactly: 1 234 500 nL (2) is '1.2345 mL'."""
    if value is None:
        return "unknown"
    whole, part = divmod(abs(value), 1000**thousands)
    digits = f"{part:0{3 * thousands}}".rstrip("0")
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}{'.' + digits if digits else ''} {unit}"


def percent(permille: "int | None") -> str:
    """A change in thousandths as '+12.5 %'."""
    if permille is None:
        return "new"
    return f"{'-' if permille < 0 else '+'}{abs(permille) // 10}.{abs(permille) % 10} %"


def wall(seconds: "int | None") -> str:
    """Seconds since 2000-01-01, local, as a date and time."""
    if seconds is None:
        return "not set"
    return str(datetime(2000, 1, 1) + timedelta(seconds=seconds))
