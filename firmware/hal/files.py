"""The pump's memory as files in a folder of its own, on a board's LittleFS or any file system.

A record is the file of its name, written whole. The event ring is a row of segments
``events.<number>`` of up to SEGMENT_ENTRIES entries, the highest number being the newest. When a
new segment is begun the oldest go, as long as ``min_entries`` stay; opening removes none, since
newer firmware that keeps more may have written them.

The store relies on this: a power cut while a file is written leaves it as it was before it was
opened or as it is after ``close``. LittleFS promises that, but for the first write of a new file,
which it may leave empty; an empty file therefore counts as no file. Where the promise does not
hold, a torn record is found by its CRC (cisterna/base/journal.py), and a torn entry at a segment's
end is passed over: the next entry begins a new segment.
"""

import errno
import os

from cisterna.base.compat import TYPE_CHECKING, const
from cisterna.base.journal import ENTRY_SIZE, MIN_ENTRIES

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = "/state"
SEGMENT_ENTRIES = const(256)
_PREFIX = "events."


class StoreError(Exception):
    """The file system is missing, full, damaged or read-only; nothing can be kept."""


class FilesStore:
    """The Store port on the files of ``folder``, which is made if it is not there.

    Anything that goes wrong raises StoreError; a record that cannot be read counts as damaged. No
    more of the ring is held in RAM than the number and length of each segment.
    """

    def __init__(
        self,
        folder: str = FOLDER,
        segment_entries: int = SEGMENT_ENTRIES,
        min_entries: int = MIN_ENTRIES,
    ) -> None:
        self._folder = folder
        self._min_entries = min_entries
        self._segment_entries = segment_entries
        self._segments: "list[list[int]]" = []  # [number, entries], the oldest first
        self._torn = False
        try:
            names = self._names()
            for number in sorted([_number(name) for name in names]):
                if number >= 0:
                    size = os.stat(self._segment(number))[6]
                    self._segments.append([number, size // ENTRY_SIZE])
                    self._torn = size % ENTRY_SIZE != 0
        except OSError as error:
            raise self._error("be opened", folder, error) from error

    def _names(self) -> "list[str]":
        try:
            return os.listdir(self._folder)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        os.mkdir(self._folder)
        return []

    def _error(self, what: str, path: str, error: OSError) -> StoreError:
        return StoreError(
            f"{path} cannot {what}: error {error.errno}; check that a file system is mounted "
            "there, is not read-only and has room, or erase the flash and install again"
        )

    def _segment(self, number: int) -> str:
        return f"{self._folder}/{_PREFIX}{number:08d}"

    def read(self, name: str) -> "bytes | None":
        """The record of that name, or None where there is none."""
        try:
            with open(self._folder + "/" + name, "rb") as file:
                return file.read() or None
        except OSError as error:
            return None if error.errno == errno.ENOENT else b""

    def write(self, name: str, data: bytes) -> None:
        """Replace the record; on return it is stored."""
        self._put(self._folder + "/" + name, "wb", data)

    def _put(self, path: str, mode: str, data: bytes) -> None:
        try:
            # On LittleFS nothing of it holds before the close.
            with open(path, mode) as file:
                file.write(data)
        except OSError as error:
            raise self._error("be written", path, error) from error

    def append(self, entry: bytes) -> None:
        """Add an entry to the event ring; the oldest segment goes when there are enough."""
        segments = self._segments
        new = self._torn or not segments or segments[-1][1] >= self._segment_entries
        number = segments[-1][0] if segments else 0
        if new:
            number += 1
        self._torn = True  # unless it goes well
        self._put(self._segment(number), "wb" if new else "ab", entry)
        self._torn = False
        if new:
            segments.append([number, 1])
            self._forget_oldest()
        else:
            segments[-1][1] += 1

    def _forget_oldest(self) -> None:
        segments = self._segments
        kept = sum([entries for _, entries in segments])
        while segments and kept - segments[0][1] >= self._min_entries:
            path = self._segment(segments[0][0])
            try:
                os.remove(path)
            except OSError as error:
                raise self._error("be removed", path, error) from error
            kept -= segments.pop(0)[1]

    def entries(self, skip: int = 0) -> "Iterator[bytes]":
        """The entries of the ring after the first ``skip``, oldest first; a torn one is passed
        over."""
        for number, count in list(self._segments):
            if skip >= count:
                skip -= count
                continue
            path = self._segment(number)
            try:
                with open(path, "rb") as file:
                    file.seek(skip * ENTRY_SIZE)
                    count, skip = count - skip, 0
                    for _ in range(count):
                        yield file.read(ENTRY_SIZE)
            except OSError as error:
                if error.errno != errno.ENOENT:  # or it was removed since the reading began
                    raise self._error("be read", path, error) from error


def _number(name: str) -> int:
    """Number of the segment of that name; -1 if it is no segment's."""
    digits = name[len(_PREFIX) :]
    if name.startswith(_PREFIX) and digits.isdigit():
        return int(digits)
    return -1
