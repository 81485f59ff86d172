"""Non-volatile memory of the simulated board: a dictionary whose power can be cut in a write."""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

RING_ENTRIES = 2048


class PowerCut(Exception):
    """The supply failed during a write."""


class DictStore:
    """Keeps records and events across controllers; ``on_event`` hears every entry appended.

    ``cut_at``: the number of the write (records and events alike, from 1) that a power cut tears:
    half of it is stored, then PowerCut is raised.
    """

    def __init__(self, on_event: Callable[[bytes], None] | None = None) -> None:
        self.records: dict[str, bytes] = {}
        self.ring: deque[bytes] = deque(maxlen=RING_ENTRIES)
        self.on_event = on_event
        self.writes = 0
        self.cut_at: int | None = None

    def _cut(self) -> bool:
        self.writes += 1
        return self.writes == self.cut_at

    def read(self, name: str) -> bytes | None:
        """The record of that name, or None."""
        return self.records.get(name)

    def write(self, name: str, data: bytes) -> None:
        """Replace a record."""
        if self._cut():
            self.records[name] = data[: len(data) // 2]
            raise PowerCut(name)
        self.records[name] = data

    def append(self, entry: bytes) -> None:
        """Add an entry to the ring."""
        if self._cut():
            self.ring.append(entry[: len(entry) // 2])
            raise PowerCut("event")
        self.ring.append(entry)
        if self.on_event is not None:
            self.on_event(entry)

    def entries(self, skip: int = 0) -> Iterator[bytes]:
        """The ring's entries after the first ``skip``, oldest first."""
        return islice(self.ring, skip, None)
