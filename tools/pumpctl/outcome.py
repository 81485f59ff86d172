"""What became of a change whose reply was lost."""

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What the pump made of it."""

    ACCEPTED = "accepted"
    REFUSED = "refused, nothing was done"
    NOT_ACCEPTED = "not accepted"
    ACCEPTED_UNKNOWN = "accepted, outcome unknown (pump restarted)"
    SUPERSEDED = "not known, another change came after it"


@dataclass(frozen=True)
class Pending:
    """A change that was sent, or was about to be."""

    serial: str
    tag: str
    counter: int
    header: str


@dataclass(frozen=True)
class Reconciled:
    """A pending change, and what the pump made of it."""

    pending: Pending
    outcome: Outcome

    def __str__(self) -> str:
        return f"{self.pending.header}, whose reply was lost: {self.outcome.value}"
