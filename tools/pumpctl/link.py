"""Lines out, lines in, over a transport.

Telemetry may come between a request and its reply, so lines that begin with ``~`` are set aside
in a queue of their own. It is bounded: the oldest line is dropped when it is full.
"""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pumpctl.errors import LinkError
from pumpctl.framing import LINE_BYTES
from pumpctl.transport import Transport

QUEUE_LINES = 1_000
_REOPEN_EVERY_S = 0.25
# Longest line worth keeping: a log page of 16 entries and its frame are far shorter.
_KEPT_BYTES = 4 * LINE_BYTES
_BOOT = re.compile(rb"cisterna .* on |cisterna: not dosing")


@dataclass
class Heard:
    """What came in that no reply was made of, to tell what is at the other end."""

    octets: int = 0
    unprintable: int = 0
    last_text: str = ""

    def note(self, line: bytes) -> None:
        """Take up a line that is neither telemetry nor a reply to us."""
        strange = sum(not 0x20 <= byte < 0x7F for byte in line.replace(b"\r", b""))
        self.octets += len(line)
        self.unprintable += strange
        if line.strip() and not strange:
            self.last_text = line.decode("ascii").strip()


def _nobody(sent: bool, data: bytes) -> None:
    """Nobody listens."""


class Link:
    """The lines of one transport. Everything raises LinkError, one of a kind that says what
    happened."""

    def __init__(self, transport: Transport, queue_lines: int = QUEUE_LINES) -> None:
        self.transport = transport
        self.dropped = 0  # telemetry lines that the queue had no room for
        self.boots = 0  # how often the pump said that it had started
        self.heard = Heard()
        self.tap: Callable[[bool, bytes], None] = _nobody  # hears (sent by us, bytes)
        self.waiting: Callable[[float], object] = bool  # told for how long a cut link is awaited
        self._telemetry: deque[bytes] = deque(maxlen=queue_lines)
        self._lines: deque[bytes] = deque()
        self._rest = b""

    @property
    def port(self) -> str:
        """The transport's name for people."""
        return self.transport.port

    def close(self) -> None:
        """Let go of the transport; may be called twice."""
        self.transport.close()

    def reopen(self, patience_s: float) -> None:
        """Open it anew, as after a pulled cable; LinkError if it is not back in time."""
        transport = self.transport
        transport.close()
        self._lines.clear()
        self._rest = b""
        end_s = transport.now_s() + patience_s
        if patience_s:
            self.waiting(patience_s)
        while True:
            try:
                transport.reopen()
            except LinkError:
                if transport.now_s() >= end_s:
                    raise
                transport.sleep(_REOPEN_EVERY_S)
            else:
                return

    def send(self, line: str) -> None:
        """Send one line."""
        data = line.encode("ascii") + b"\n"
        self.tap(True, data)
        self.transport.write(data)

    def reply(self, timeout_s: float) -> bytes | None:
        """The next line that is not telemetry, without its end; None if none came in time."""
        return self._next(self._lines, timeout_s)

    def telemetry(self, timeout_s: float) -> bytes | None:
        """The next telemetry line, without its end; None if none came in time."""
        return self._next(self._telemetry, timeout_s)

    def _next(self, queue: deque[bytes], timeout_s: float) -> bytes | None:
        transport = self.transport
        end_s = transport.now_s() + timeout_s
        while not queue:
            left_s = end_s - transport.now_s()
            # At least one read, so that a time-out of 0 asks what is there.
            self._take(transport.read(max(0.0, left_s)))
            if left_s <= 0 and not queue:
                return None
        return queue.popleft()

    def _take(self, data: bytes) -> None:
        if data:
            self.tap(False, data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"~"):
                self.dropped += len(self._telemetry) == self._telemetry.maxlen
                self._telemetry.append(line)
            elif line:
                if _BOOT.match(line):
                    self.boots += 1
                self._lines.append(line)
        if len(self._rest) > _KEPT_BYTES:
            self.heard.note(self._rest)
            self._rest = b""

    def unfinished(self) -> bytes:
        """What has come of a line that has no end yet."""
        return self._rest
