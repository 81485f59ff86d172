"""What survives a power cut: records in two slots, and the chained event log.

A record is written to its two slots in turn, with a sequence number and a CRC; a cut can tear the
slot being written and never the other. Reading takes the newer good one. Entries of the event log
each carry a hash over the entry before, so a missing or changed one shows.

How firmware of one version reads what another wrote:

1. A slot begins with a magic number and the version of its frame, and ends in a CRC-32 over all
   before. That never changes, so a slot of any version can be told from a damaged one.
2. Frame 1 is that of 0.1.0. Frame 2 also holds the layout of the data: ``LAYOUTS`` says which one
   this firmware writes of each record, 0 being 0.1.0's. Who changes what a record holds adds 1 and
   reads the layouts before it.
3. An older layout is migrated by the record's owner when it is loaded.
4. A frame or layout that this firmware does not know was written by a newer one.
   ``check_versions`` refuses it by name, before anything on the store is changed.
5. The event log has entries of one size and form; another form would be kept under another name.
"""

import binascii
import hashlib
import struct

from .compat import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .ports import Store

# A row, since a dictionary has no order on MicroPython.
LAYOUTS = (
    ("state", 2),
    ("program", 0),
    ("limits", 0),
    ("calibration", 0),
    ("keys", 0),
    ("counter", 0),
)

_MAGIC = const(0xC157)
_FRAME = const(2)
# magic, frame, layout (0 in frame 1), sequence, size of the data
_HEAD = "<HBBIH"
_HEAD_SIZE = struct.calcsize(_HEAD)

MISSING = const(0)
GOOD = const(1)
DEGRADED = const(2)
CORRUPT = const(3)

_ENTRY = "<IQBBi"
_CHAIN = const(8)
ENTRY_SIZE = struct.calcsize(_ENTRY) + _CHAIN
MIN_ENTRIES = const(1000)


class ForeignRecord(Exception):
    """A record was written by newer firmware. The text names it and says what to do."""


class Record:
    """One named record in the slots ``name.a`` and ``name.b``.

    ``load`` first, always: it finds where to write next. ``layout`` is that of the data it takes,
    ``found_layout`` of the data it gave.
    """

    def __init__(self, store: "Store", name: str) -> None:
        self._store = store
        self._slots = _slots(name)
        self._sequence = 0
        self.layout = max([layout for known, layout in LAYOUTS if known == name] + [0])
        self.found_layout = self.layout

    def load(self) -> "tuple[int, bytes]":
        """(MISSING, GOOD, DEGRADED: one slot unreadable, CORRUPT: both; the newest good data)."""
        best = -1
        data = b""
        bad = missing = 0
        for index in (0, 1):
            raw = self._store.read(self._slots[index])
            if raw is None:
                missing += 1
                continue
            found = _open(raw)
            if found is None:
                bad += 1
            elif found[0] > best:
                best, self.found_layout, data = found
        if best < 0:
            return (CORRUPT if bad else MISSING), b""
        self._sequence = best
        lost = missing and best > 1  # both slots had been written
        return (DEGRADED if bad or lost else GOOD), data

    def save(self, data: bytes) -> None:
        """Write ``data`` to the older slot; on return it is stored."""
        sequence = self._sequence + 1
        head = struct.pack(_HEAD, _MAGIC, _FRAME, self.layout, sequence, len(data))
        body = head + data
        raw = body + struct.pack("<I", binascii.crc32(body))
        self._store.write(self._slots[sequence & 1], raw)
        self._sequence = sequence


def check_versions(store: "Store") -> None:
    """Raise ForeignRecord if any record was written by firmware newer than this one."""
    for name, known in LAYOUTS:
        for slot in _slots(name):
            raw = store.read(slot)
            if raw is None or not _whole(raw):
                continue
            _, frame, layout, _, _ = struct.unpack(_HEAD, raw[:_HEAD_SIZE])
            if frame > _FRAME or layout > known:
                raise ForeignRecord(
                    f"the record {slot} is of version {frame}.{layout}, this firmware reads up to "
                    f"{_FRAME}.{known}; flash the newer firmware that wrote it. Nothing "
                    "was changed"
                )


def _slots(name: str) -> "tuple[str, str]":
    return name + ".a", name + ".b"


def _whole(raw: bytes) -> bool:
    """True if it is a slot of some version, and not damaged."""
    if len(raw) < _HEAD_SIZE + 4 or struct.unpack("<H", raw[:2])[0] != _MAGIC:
        return False
    return bool(struct.unpack("<I", raw[-4:])[0] == binascii.crc32(raw[:-4]))


def _open(raw: bytes) -> "tuple[int, int, bytes] | None":
    """(sequence, layout, data) of a slot, or None if it is damaged."""
    if not _whole(raw):
        return None
    _, frame, layout, sequence, size = struct.unpack(_HEAD, raw[:_HEAD_SIZE])
    if not 1 <= frame <= _FRAME or len(raw) != _HEAD_SIZE + size + 4:
        return None
    return sequence, layout, raw[_HEAD_SIZE:-4]


class EventLog:
    """The event ring: entries of (sequence, pump time in 10 ms, event, subject, value).

    Each ends in the first 8 bytes of SHA-256 over the chain value before it and its own content.
    ``on_add`` hears (pump time, sequence, event, subject, value) of each entry that is added.
    """

    def __init__(self, store: "Store") -> None:
        self._store = store
        self.sequence = 0
        self.on_add: "Callable[[int, int, int, int, int], None] | None" = None
        self._link = b"\0" * _CHAIN
        for raw in store.entries():
            if len(raw) == ENTRY_SIZE:
                self.sequence = struct.unpack("<I", raw[:4])[0] + 1
                self._link = raw[-_CHAIN:]

    def add(self, now_us: int, event: int, subject: int, value: int) -> None:
        """Append an event; ``value`` is clipped to 32 bits."""
        value = max(-(1 << 31), min((1 << 31) - 1, value))
        body = struct.pack(_ENTRY, self.sequence, max(0, now_us) // 10_000, event, subject, value)
        self._link = _chain(self._link, body)
        self._store.append(body + self._link)
        self.sequence += 1
        if self.on_add is not None:
            self.on_add(now_us, self.sequence - 1, event, subject, value)

    def first(self) -> int:
        """Sequence number of the oldest entry kept; that of the next one if there is none."""
        for raw in self._store.entries():
            if len(raw) == ENTRY_SIZE:
                return decode_entry(raw)[0]
        return self.sequence

    def read(self, first: int, count: int) -> "list[bytes]":
        """At most ``count`` stored entries from number ``first`` on, or from the oldest kept."""
        found: "list[bytes]" = []
        for raw in self._store.entries(max(0, first - self.first())):
            if len(found) >= count:
                break
            if len(raw) == ENTRY_SIZE and decode_entry(raw)[0] >= first:
                found.append(raw)
        return found


def _chain(link: bytes, body: bytes) -> bytes:
    return hashlib.sha256(link + body).digest()[:_CHAIN]


def decode_entry(raw: bytes) -> "tuple[int, int, int, int, int]":
    """(sequence, pump time in 10 ms, event, subject, value) of a stored entry."""
    return struct.unpack(_ENTRY, raw[:-_CHAIN])


def first_break(entries: "Iterator[bytes]") -> int:
    """Place of the first entry that does not follow from the one before it; -1 if all do.

    Where older entries were dropped, the oldest kept has nothing to be checked against.
    """
    link = b"\0" * _CHAIN
    expected = 0
    for place, raw in enumerate(entries):
        if len(raw) != ENTRY_SIZE:
            return place
        body = raw[:-_CHAIN]
        sequence = struct.unpack("<I", raw[:4])[0]
        known = place or not sequence  # what came before it
        if known and (sequence != expected or _chain(link, body) != raw[-_CHAIN:]):
            return place
        link = raw[-_CHAIN:]
        expected = sequence + 1
    return -1
