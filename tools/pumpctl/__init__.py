"""Talks to a pump: ``from tools.pumpctl import Pump``."""

from tools.pumpctl.client import Pump
from tools.pumpctl.errors import (
    AuthorityError,
    BadValue,
    LinkError,
    NoPump,
    NotConfirmed,
    PumpError,
    Refused,
    ReplyLost,
)
from tools.pumpctl.keys import KeyRing
from tools.pumpctl.reconcile import Outcome, Reconciled
from tools.pumpctl.staged import StagedChange

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
