"""The client's link to an emulated board in this process: board time passes while it waits.

A fork of the process takes board, link and sessions along.
"""

import io
from typing import Any

from cisterna_sim.emulated.board_rig import BoardRig
from pumpctl.link import Link

# How exactly the time of a reply is known, and how long one look for it is at most.
_SLICE_S = 0.0005
_LOOK_US = 50_000


class BoardLink(Link):
    """A Link to the USB console of ``rig``; its time-outs are those of the host's clock."""

    def __init__(self, rig: BoardRig) -> None:
        self._rig = rig
        super().__init__("emulated board")

    def _open(self) -> Any:
        return _Port(self._rig)


class _Port:
    """As much of a serial port as Link uses."""

    def __init__(self, rig: BoardRig) -> None:
        self._rig = rig
        self._heard = len(rig.chip.console.received)

    def read(self, size: int) -> bytes:
        """What has come; time passes if nothing has."""
        end_us = self._rig.now_us + _LOOK_US
        console = self._rig.chip.console
        while len(console.received) == self._heard and self._rig.now_us < end_us:
            self._rig.run(_SLICE_S)
        data = bytes(console.received[self._heard :])
        self._heard += len(data)
        return data

    def write(self, data: bytes) -> int:
        """Type it."""
        self._rig.chip.console.send(data)
        return len(data)

    def fileno(self) -> int:
        """None: there is nothing that the host could wait for."""
        raise io.UnsupportedOperation

    def close(self) -> None:
        """Nothing holds the port."""
