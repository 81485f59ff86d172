"""Talks to a pump: ``from pumpctl import Pump``."""

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
