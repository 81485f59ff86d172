"""The client's way to an emulated board in this process: board time passes while it waits.

A fork of the process takes board, cable and sessions along.
"""

import time

from cisterna_sim.emulated.board_rig import BoardRig

# How exactly the time of a reply is known, and how long one read waits at most.
_SLICE_S = 0.0005
_READ_US = 50_000


class Cable:
    """A transport for pumpctl to the USB console of ``rig``; time-outs are of the host's clock."""

    port = "emulated board"

    def __init__(self, rig: BoardRig) -> None:
        self._rig = rig
        self.reopen()

    def reopen(self) -> None:
        """Hear what comes from now on."""
        self._heard = len(self._rig.chip.console.received)

    def close(self) -> None:
        """Nothing holds the port."""

    def write(self, data: bytes) -> None:
        """Type it."""
        self._rig.chip.console.send(data)

    def read(self, timeout_s: float) -> bytes:
        """What has come; board time passes if nothing has."""
        end_us = self._rig.now_us + _READ_US
        console = self._rig.chip.console
        while len(console.received) == self._heard and self._rig.now_us < end_us:
            self._rig.run(_SLICE_S)
        data = bytes(console.received[self._heard :])
        self._heard += len(data)
        return data

    def now_s(self) -> float:
        """The host's clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let so much board time pass."""
        self._rig.run(seconds)
