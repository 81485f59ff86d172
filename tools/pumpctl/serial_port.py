"""The way to a pump over whatever pyserial can open: a serial port, a pty, TCP."""

import contextlib
import io
import select
import socket
import time
from urllib.parse import urlsplit

import serial

from pumpctl import usb_ports
from pumpctl.errors import BadValue, LinkError, LinkLost, PortBusy, PortDenied, PortMissing

BAUD = 115_200  # of a serial bridge; USB and sockets have none
_CHUNK_BYTES = 4_096
_POLL_S = 0.005
_WRITE_S = 2.0


class SerialPort:
    """A Transport; its time is the host's."""

    def __init__(self, port: str, baud: int = BAUD) -> None:
        """``port`` is a device or a URL of pyserial: socket://host:port, rfc2217://host:port."""
        self.port = port
        self._baud = baud
        self._serial = self._open()

    def reopen(self) -> None:
        """Open it anew."""
        self._serial = self._open()

    def close(self) -> None:
        """Let go of the port; may be called twice."""
        left = getattr(self._serial, "_socket", None)
        if left is not None and self.port.startswith("socket://"):
            # pyserial would sleep 0.3 s here, and leaves a socket open that the other end has
            # reset.
            self._serial.is_open = False
            with contextlib.suppress(OSError):
                left.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._serial.close()
        if left is not None:
            left.close()

    def write(self, data: bytes) -> None:
        """Send all of it."""
        try:
            sent = self._serial.write(data)
        except (OSError, TypeError) as error:  # TypeError: pyserial, where a port has just closed
            raise self._lost(error) from None
        if sent != len(data):
            raise self._lost(OSError(f"only {sent} of {len(data)} bytes went"))

    def read(self, timeout_s: float) -> bytes:
        """What has come, waiting for it at most so long."""
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

    def now_s(self) -> float:
        """The host's monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

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
