"""The text link to a host, on the board's USB or serial console. No call of it ever blocks.

MicroPython waits up to 500 ms for room when a host has the port open and does not read, and reads
block until all bytes asked for have come. So bytes are moved one at a time, each after asking
whether it can go. Bytes that cannot go wait in a ring; a line for which the ring has no room is
dropped whole and counted.
"""

import select
import sys

from cisterna.base.compat import TYPE_CHECKING, const

# The longest reply, a program of 168 segments, takes 3.7 kB.
RING_BYTES = const(4_096)
# At 115200 baud 64 bytes take 5.6 ms: what a serial console may cost at a time.
FLUSH_BYTES = const(64)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    class Source(Protocol):
        """A raw byte stream to read."""

        def readinto(self, __buf: bytearray) -> "int | None":
            """Fill the buffer."""

    class Sink(Protocol):
        """A raw byte stream to write."""

        def write(self, __buf: bytearray) -> "int | None":
            """Write the buffer; 0 or None if it could not go."""


class Console:
    """Bytes in and out: the core's Link. ``dropped`` counts the lines that found the ring full."""

    # A board's console is a cable: whoever uses it is beside the pump.
    local = True

    def __init__(
        self,
        source: "Source",
        sink: "Sink",
        readable: "Callable[[], bool]",
        room: "Callable[[int], Iterable[object]]",
        ring_bytes: int = RING_BYTES,
    ) -> None:
        """``readable`` says whether a byte has come. ``room`` takes a time to wait in ms, here 0,
        and yields something if one byte can go: it is a poll's ``ipoll`` itself, since a call
        between the two would cost time for each byte of each reply."""
        self._source = source
        self._sink = sink
        self._readable = readable
        self._room = room
        self._ring = bytearray(ring_bytes)
        self._first = 0
        self._one = bytearray(1)
        self.held = 0  # bytes in the ring
        self.dropped = 0

    def read(self) -> int:
        """The next byte, or -1 if none has come."""
        if not self._readable() or not self._source.readinto(self._one):
            return -1
        return self._one[0]

    def write(self, line: bytes) -> bool:
        """Queue ``line``; False if it was dropped, all of it, for want of room."""
        ring = self._ring
        size = len(ring)
        if len(line) > size - self.held:
            self.dropped += 1
            return False
        place = (self._first + self.held) % size
        first = min(len(line), size - place)  # up to the ring's end
        ring[place : place + first] = line[:first]
        ring[: len(line) - first] = line[first:]
        self.held += len(line)
        return True

    def flush(self, limit: int = FLUSH_BYTES) -> int:
        """Pass on as much of the ring as goes now, at most ``limit`` bytes; bytes still held."""
        # Local names: this loop takes most of the time of a long reply.
        one, ring, room, write = self._one, self._ring, self._room, self._sink.write
        place, size = self._first, len(self._ring)
        left = self.held
        stay = max(0, left - limit)
        while left > stay:
            for _ in room(0):
                break
            else:
                break
            one[0] = ring[place]
            if not write(one):
                break
            left -= 1
            place += 1
            if place == size:
                place = 0
        self._first = place
        self.held = left
        return left


def on_stdio() -> Console:
    """The console on the board's own standard input and output, raw: LF stays LF."""
    into, out = select.poll(), select.poll()
    into.register(sys.stdin, select.POLLIN)
    out.register(sys.stdout, select.POLLOUT)

    def readable() -> bool:
        for _ in into.ipoll(0):
            return True
        return False

    return Console(sys.stdin.buffer, sys.stdout.buffer, readable, out.ipoll)
