"""One console for everybody: a pty and a TCP port that say the same, as a cable with many ends."""

import os
import pty
import selectors
import socket
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_CHUNK_BYTES = 4_096
# What an end that does not read is kept; then it loses what it is sent, as a serial port does.
_BACKLOG_BYTES = 16_384


class _End:
    """Where bytes are said to, as fast as it takes them."""

    def __init__(self, write: Callable[[bytes], int]) -> None:
        self._write = write
        self._backlog = b""

    def say(self, data: bytes) -> None:
        """Send, or keep for later, or lose; OSError if the end is gone."""
        self._backlog += data[: _BACKLOG_BYTES - len(self._backlog)]
        with suppress(BlockingIOError):
            while self._backlog:
                self._backlog = self._backlog[self._write(self._backlog) :]


class Terminals:
    """Everybody at the console: what the board says goes to all, what anybody types to the board.

    A pty that nobody has open swallows what it is sent. ``link`` is made a symbolic link to the
    pty, so that it has the same name at every start. OSError: the port or the link cannot be had.
    """

    def __init__(self, tcp_port: int, link: Path | None = None) -> None:
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
        self._pty_end = _End(lambda data: os.write(self._master, data))
        self._peers: dict[socket.socket, _End] = {}
        self.tcp = self._listener.getsockname()[1]
        self.pty = os.ttyname(slave)
        self._link = link
        if link is not None:
            if link.is_symlink():
                link.unlink()
            link.symlink_to(self.pty)

    def typed(self, wait_s: float) -> bytes:
        """What was typed, waiting at most so long."""
        self.say(b"")
        data = b""
        for key, _ in self._selector.select(max(0.0, wait_s)):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fd == self._master:
                with suppress(BlockingIOError):
                    data += os.read(self._master, _CHUNK_BYTES)
            else:
                data += self._from_peer(key.fileobj)
        return data

    def _accept(self) -> None:
        with suppress(OSError):  # it may have hung up already
            peer, _ = self._listener.accept()
            peer.setblocking(False)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[peer] = _End(peer.send)
            self._selector.register(peer, selectors.EVENT_READ)

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
        del self._peers[peer]
        peer.close()

    def say(self, data: bytes) -> None:
        """Pass on what the board said."""
        self._pty_end.say(data)
        for peer, end in list(self._peers.items()):
            try:
                end.say(data)
            except OSError:
                self._forget(peer)

    def close(self) -> None:
        """Hang up on everybody."""
        for peer in list(self._peers):
            self._forget(peer)
        self._selector.close()
        self._listener.close()
        os.close(self._master)
        os.close(self._slave)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
