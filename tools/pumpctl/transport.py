"""What carries bytes between the client and a pump, and the clock by which the client waits.

Anything with these methods will do: pumpctl.serial_port has the one over pyserial,
pumpctl.simulated a pump in the same process.
"""

from typing import Protocol


class Transport(Protocol):
    """One way to one pump; it is open as soon as it is made.

    Everything raises LinkError: LinkLost once the way is cut. ``port`` is its name for people.
    """

    port: str

    def reopen(self) -> None:
        """Try once to open it anew, after ``close``."""

    def close(self) -> None:
        """Let go of it; may be called twice."""

    def write(self, data: bytes) -> None:
        """Send all of it."""

    def read(self, timeout_s: float) -> bytes:
        """What has come. Waits for it at most about so long; nothing may come sooner, too."""

    def now_s(self) -> float:
        """The time by which the client counts, from any beginning."""

    def sleep(self, seconds: float) -> None:
        """Let so much of that time pass."""
