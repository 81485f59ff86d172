"""Talks to a pump: ``from pumpctl import Pump``.

What it exports is loaded when it is first asked for, so that the command can hear a Ctrl-C
while the rest still loads.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pumpctl.client import Pump
    from pumpctl.errors import (
        AuthorityError,
        BadValue,
        LinkError,
        NoPump,
        NotConfirmed,
        PumpError,
        Refused,
        ReplyLost,
    )
    from pumpctl.keys import KeyRing
    from pumpctl.models import LogEvent, Sample
    from pumpctl.outcome import Outcome, Reconciled
    from pumpctl.staged import StagedChange
    from pumpctl.transport import Transport

_HOMES = {
    "AuthorityError": "errors",
    "BadValue": "errors",
    "KeyRing": "keys",
    "LinkError": "errors",
    "LogEvent": "models",
    "NoPump": "errors",
    "NotConfirmed": "errors",
    "Outcome": "outcome",
    "Pump": "client",
    "PumpError": "errors",
    "Reconciled": "outcome",
    "Refused": "errors",
    "ReplyLost": "errors",
    "Sample": "models",
    "StagedChange": "staged",
    "Transport": "transport",
}

__all__ = [
    "AuthorityError",
    "BadValue",
    "KeyRing",
    "LinkError",
    "LogEvent",
    "NoPump",
    "NotConfirmed",
    "Outcome",
    "Pump",
    "PumpError",
    "Reconciled",
    "Refused",
    "ReplyLost",
    "Sample",
    "StagedChange",
    "Transport",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"pumpctl.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
