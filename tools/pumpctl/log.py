"""The pump's event log on the host: entries decoded, their chain of hashes checked."""

import binascii
import json
from dataclasses import dataclass, field

from cisterna.base.journal import ENTRY_SIZE, decode_entry, first_break
from cisterna.events import describe
from pumpctl.errors import PumpError

# A pump gives at most so many a reply.
BATCH = 16


@dataclass(frozen=True)
class Entry:
    """One event: when, by the pump's own clock in 10 ms, what, and the bytes as stored."""

    sequence: int
    pump_cs: int
    name: str
    detail: str
    raw: bytes = field(repr=False)

    @classmethod
    def decode(cls, raw: bytes) -> "Entry":
        """An entry as the pump stores it; events that a newer pump knows keep their numbers."""
        sequence, pump_cs, event, subject, value = decode_entry(raw)
        try:
            name, detail = describe(event, subject, value)
        except IndexError:
            name, detail = f"EVENT_{event}", f"{subject} {value}"
        return cls(sequence, pump_cs, name, detail, raw)


@dataclass
class Log:
    """Entries in the order of the pump."""

    entries: list[Entry] = field(default_factory=list)

    def add_page(self, text: str) -> int:
        """Take up a LOG? reply; the sequence after its last entry, or 0 if it had none."""
        try:
            page = [binascii.unhexlify(entry) for entry in json.loads(text)["entries"]]
        except (KeyError, TypeError, ValueError):
            raise PumpError(f"the pump answers LOG? with {text[:60]!r}, no log") from None
        if any(len(raw) != ENTRY_SIZE for raw in page):
            raise PumpError(f"an entry of the pump's log has not {ENTRY_SIZE} bytes")
        self.entries += [Entry.decode(raw) for raw in page]
        return self.entries[-1].sequence + 1 if page else 0

    @property
    def broken_at(self) -> Entry | None:
        """The first entry that does not follow from the one before: changed, or one is missing.

        None if all do. The first one kept has nothing to be checked against.
        """
        place = first_break(entry.raw for entry in self.entries)
        return None if place < 0 else self.entries[place]
