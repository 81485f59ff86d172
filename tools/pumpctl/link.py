"""The wire: lines out, lines in, over whatever pyserial can open.

Telemetry may come between a request and its reply, so lines that begin with ``~`` are set aside
in a queue of their own, bounded, and the oldest is dropped when it is full.
"""

import contextlib
import io
import re
import select
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import serial

from pumpctl import usb_ports
from pumpctl.errors import BadValue, LinkError, LinkLost, PortBusy, PortDenied, PortMissing
from pumpctl.framing import LINE_BYTES

BAUD = 115_200  # of a serial bridge; USB and sockets have none
QUEUE_LINES = 1_000
_CHUNK_BYTES = 4_096
_POLL_S = 0.005
_WRITE_S = 2.0
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
    """An open port. Everything raises LinkError, one of a kind that says what happened."""

    def __init__(self, port: str, baud: int = BAUD, queue_lines: int = QUEUE_LINES) -> None:
        """``port`` is a device or a URL of pyserial: socket://host:port, rfc2217://host:port."""
        self.port = port
        self.dropped = 0  # telemetry lines that the queue had no room for
        self.boots = 0  # how often the pump said that it had started
        self.heard = Heard()
        self.tap: Callable[[bool, bytes], None] = _nobody  # hears (sent by us, bytes)
        self.waiting: Callable[[float], object] = bool  # told for how long a cut link is awaited
        self._baud = baud
        self._telemetry: deque[bytes] = deque(maxlen=queue_lines)
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._serial = self._open()

    def close(self) -> None:
        """Let go of the port; may be called twice."""
        # pyserial leaves a socket open that the other end has reset.
        left = getattr(self._serial, "_socket", None)
        with contextlib.suppress(OSError):
            self._serial.close()
        if left is not None:
            left.close()

    def reopen(self, patience_s: float) -> None:
        """Open the port anew, as after a pulled cable; LinkError if it is not back in time."""
        self.close()
        self._lines.clear()
        self._rest = b""
        end_s = time.monotonic() + patience_s
        if patience_s:
            self.waiting(patience_s)
        while True:
            try:
                self._serial = self._open()
            except LinkError:
                if time.monotonic() >= end_s:
                    raise
                time.sleep(_REOPEN_EVERY_S)
            else:
                return

    def send(self, line: str) -> None:
        """Send one line."""
        data = line.encode("ascii") + b"\n"
        self.tap(True, data)
        try:
            sent = self._serial.write(data)
        except (OSError, TypeError) as error:  # TypeError: pyserial, where a port has just closed
            raise self._lost(error) from None
        if sent != len(data):
            raise self._lost(OSError(f"only {sent} of {len(data)} bytes went"))

    def reply(self, timeout_s: float) -> bytes | None:
        """The next line that is not telemetry, without its end; None if none came in time."""
        return self._next(self._lines, timeout_s)

    def telemetry(self, timeout_s: float) -> bytes | None:
        """The next telemetry line, without its end; None if none came in time."""
        return self._next(self._telemetry, timeout_s)

    def _next(self, queue: deque[bytes], timeout_s: float) -> bytes | None:
        end_s = time.monotonic() + timeout_s
        while not queue:
            left_s = end_s - time.monotonic()
            # At least one look, so that a time-out of 0 asks what is there.
            self._take(self._read(max(0.0, left_s)))
            if left_s <= 0 and not queue:
                return None
        return queue.popleft()

    def _read(self, timeout_s: float) -> bytes:
        try:
            data = bytes(self._serial.read(_CHUNK_BYTES))
            if data or not timeout_s:
                return data
            try:
                select.select([self._serial.fileno()], [], [], timeout_s)
            except io.UnsupportedOperation:  # rfc2217:// and loop:// have no descriptor
                time.sleep(min(timeout_s, _POLL_S))
            return bytes(self._serial.read(_CHUNK_BYTES))
        except (OSError, TypeError, ValueError) as error:
            raise self._lost(error) from None

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

    def _lost(self, error: Exception) -> LinkLost:
        return LinkLost(
            f"{self.port}: the link was cut ({error}); look at cable and power, then try again"
        )

    def _senseless(self, why: object) -> BadValue:
        return BadValue(f"port = {self.port}: {why}; give /dev/..., socket://host:port or sim")

    def _open(self) -> serial.SerialBase:
        try:
            return serial.serial_for_url(
                self.port,
                baudrate=self._baud,
                timeout=0,
                write_timeout=_WRITE_S,
                exclusive=True,
            )
        except ValueError as error:
            raise self._senseless(error) from None
        except (OSError, TypeError) as error:
            if "://" in self.port and not _complete(self.port):
                raise self._senseless("host and port are wanted") from None
            kind: type[LinkError] = LinkError
            why = usb_ports.why(error)
            if usb_ports.denied(error):
                kind = PortDenied
            elif usb_ports.busy(error):
                kind = PortBusy
            elif usb_ports.missing(error):
                kind = PortMissing
            elif "refused" in str(error) or "://" in self.port:
                kind = PortMissing
                why = f"nobody answers there ({error}); is the server up, are host and port right?"
            raise kind(f"{self.port}: {why}") from None


def _complete(url: str) -> bool:
    """True if a URL has a host and a port."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname and parts.port)
    except ValueError:
        return False
