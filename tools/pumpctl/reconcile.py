"""Changes whose reply has not come: noted on the host before they are sent, settled afterwards.

A note is a small file, so that another program, after a crash of this one, can ask as well.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pumpctl.errors import PumpError
from pumpctl.keys import write_private
from pumpctl.outcome import Outcome, Pending, Reconciled

FOLDER = "pending"


# By the pump's own word.
_OUTCOMES = {
    "done": Outcome.ACCEPTED,
    "refused": Outcome.REFUSED,
    "unknown": Outcome.ACCEPTED_UNKNOWN,
    "none": Outcome.NOT_ACCEPTED,
}


@dataclass(frozen=True)
class LastChange:
    """What SYST:LAST? says of the last change that the pump accepted."""

    counter: int
    tag: str
    result: str

    @classmethod
    def parse(cls, text: str) -> "LastChange":
        """PumpError: it is not such a reply."""
        try:
            counter, tag, result = text.split(",")
            _OUTCOMES[result]
            return cls(int(counter), tag, result)
        except (KeyError, ValueError):
            raise PumpError(f"the pump answers SYST:LAST? with {text[:60]!r}") from None

    def is_of(self, pending: Pending) -> bool:
        """True if the pump took this change up last, whatever came of it."""
        return (self.counter, self.tag) == (pending.counter, pending.tag)

    def judge(self, pending: Pending) -> Reconciled:
        """What this says of a change. A counter that was passed over can never be accepted."""
        if self.is_of(pending):
            return Reconciled(pending, _OUTCOMES[self.result])
        if self.counter > pending.counter:
            return Reconciled(pending, Outcome.SUPERSEDED)
        return Reconciled(pending, Outcome.NOT_ACCEPTED)


class Notes:
    """The pending changes noted beside a keys file."""

    def __init__(self, keys_path: Path) -> None:
        self._folder = keys_path.parent / FOLDER

    def put(self, pending: Pending) -> None:
        """Note a change; on return it is on the disk."""
        write_private(self._path(pending), json.dumps(asdict(pending)) + "\n")

    def drop(self, pending: Pending) -> None:
        """It is known what became of it."""
        self._path(pending).unlink(missing_ok=True)

    def of(self, serial: str) -> list[Pending]:
        """What is pending for a pump, in the order it was sent; a damaged note is dropped."""
        found = []
        for path in self._folder.glob(f"{serial}.*.json"):
            try:
                found.append(Pending(**json.loads(path.read_text(encoding="utf-8"))))
            except FileNotFoundError:
                continue
            except (TypeError, ValueError):
                path.unlink(missing_ok=True)
        return sorted(found, key=lambda pending: pending.counter)

    def _path(self, pending: Pending) -> Path:
        return self._folder / f"{pending.serial}.{pending.tag}.json"
