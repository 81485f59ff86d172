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
    from pumpctl.reconcile import Outcome, Reconciled
    from pumpctl.staged import StagedChange

__all__ = [
    "AuthorityError",
    "BadValue",
    "KeyRing",
    "LinkError",
    "NoPump",
    "NotConfirmed",
    "Outcome",
    "Pump",
    "PumpError",
    "Reconciled",
    "Refused",
    "ReplyLost",
    "StagedChange",
]

_ELSEWHERE = {
    "Pump": "client",
    "KeyRing": "keys",
    "Outcome": "reconcile",
    "Reconciled": "reconcile",
    "StagedChange": "staged",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"pumpctl.{_ELSEWHERE.get(name, 'errors')}"), name)
