"""The emulated board for a person: at the pace of real time, its console on a pty and on TCP."""

import os
import pty
import selectors
import socket
import time
import tty
from collections.abc import Callable
from contextlib import suppress

from sim.board_rig import BoardRig

_SLICE_S = 0.01
_CHUNK_BYTES = 4_096


class Terminals:
    """Everybody at the console: what the board says goes to all, what anybody types to the board.

    A pty that nobody has open swallows what it is sent, as a serial port does.
    """

    def __init__(self, tcp_port: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", tcp_port))
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        # Kept open, or the master would report an error whenever nobody else has it open.
        self._slave = slave
        self._selector.register(self._master, selectors.EVENT_READ)
        self._peers: list[socket.socket] = []
        self.tcp = self._listener.getsockname()[1]
        self.pty = os.ttyname(slave)

    def close(self) -> None:
        """Hang up on everybody."""
        for peer in self._peers:
            peer.close()
        self._listener.close()
        self._selector.close()
        os.close(self._master)
        os.close(self._slave)

    def typed(self, wait_s: float) -> bytes:
        """What was typed, waiting at most so long."""
        data = b""
        for key, _ in self._selector.select(max(0.0, wait_s)):
            if key.fileobj is self._listener:
                peer, _ = self._listener.accept()
                peer.setblocking(False)
                self._peers.append(peer)
                self._selector.register(peer, selectors.EVENT_READ)
            elif key.fd == self._master:
                with suppress(BlockingIOError):
                    data += os.read(self._master, _CHUNK_BYTES)
            else:
                data += self._from_peer(key.fileobj)
        return data

    def _from_peer(self, peer: object) -> bytes:
        assert isinstance(peer, socket.socket)
        data = b""
        with suppress(ConnectionError):
            data = peer.recv(_CHUNK_BYTES)
        if not data:
            self._forget(peer)
        return data

    def _forget(self, peer: socket.socket) -> None:
        self._selector.unregister(peer)
        self._peers.remove(peer)
        peer.close()

    def say(self, data: bytes) -> None:
        """Pass on what the board said; what a peer cannot take now is lost to it."""
        with suppress(BlockingIOError):
            os.write(self._master, data)
        for peer in list(self._peers):
            try:
                peer.send(data)
            except BlockingIOError:
                pass
            except OSError:
                self._forget(peer)


def serve(rig: BoardRig, terminals: Terminals, going: Callable[[], bool] = lambda: True) -> None:
    """Run the board at the pace of real time, or as fast as it goes, as long as ``going()``."""
    due_s = time.monotonic()
    heard, resets = len(rig.chip.console.received), len(rig.chip.resets)
    while going():
        console = rig.chip.console
        if len(console.received) > heard:
            terminals.say(bytes(console.received[heard:]))
            heard = len(console.received)
        if len(rig.chip.resets) > resets:
            resets = len(rig.chip.resets)
            print(f"{rig.chip.now_us / 1e6:.1f} s: the board was reset")
        typed = terminals.typed(due_s - time.monotonic())
        if typed:
            console.send(typed)
        # What a busy board could not keep up with is not made up.
        due_s = max(due_s + _SLICE_S, time.monotonic())
        rig.run(_SLICE_S)
