"""The other end of a line, played by a script: over a real pty or a real TCP connection."""

import contextlib
import os
import pty
import select
import socket
import struct
import threading
import tty
from collections.abc import Callable

from pumpctl.framing import crc

# What a peer says to a line; None: nothing.
Answer = Callable[[bytes], bytes | None]


def reply(line: bytes, payload: str, mac: str = "") -> bytes:
    """A right reply to a request line: its tag, the payload, a check sum."""
    words = line.decode().split(" ")
    if not words[0].startswith("#"):
        return f"{payload}\n".encode()
    text = f"{words[0]} {payload}" + (f" @{mac}" if mac else "")
    return f"{text} *{crc(text)}\n".encode()


def header(line: bytes) -> str:
    """The command of a request line."""
    words = line.decode().split(" ")
    return words[1 if words[0].startswith("#") else 0]


def pump(**payloads: str) -> Answer:
    """Answers as a pump would that knows no more than who it is; ``payloads`` by header, with
    _ for : and without the question mark."""
    known = {"*IDN": "Cisterna,pico,E66,0.1.0", "SYST:PROT": "1"}
    known.update({name.replace("_", ":"): payload for name, payload in payloads.items()})

    def answer(line: bytes) -> bytes | None:
        name = header(line).removesuffix("?")
        if not name:
            return None
        return reply(line, known.get(name, 'ERR -113,"Undefined header"'))

    return answer


class Peer:
    """Serves one end until ``close``; ``lines`` is what came in, without line ends."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.idle: Callable[[], bytes] = bytes  # what to say unasked, asked for all the time
        self.lines: list[bytes] = []
        self.port = ""
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Peer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.write(self._stopped, b"x")
        self._thread.join(5)
        assert not self._thread.is_alive()
        self.pull()
        os.close(self._stop)
        os.close(self._stopped)

    def say(self, data: bytes) -> None:
        raise NotImplementedError

    def pull(self) -> None:
        """Cut the line, as a pulled cable does; may be called twice."""
        raise NotImplementedError

    def _ends(self) -> list[int]:
        """What may have something to read."""
        raise NotImplementedError

    def _read(self, end: int) -> bytes:
        raise NotImplementedError

    def _serve(self) -> None:
        rest = b""
        while True:
            try:
                ready, _, _ = select.select([self._stop, *self._ends()], [], [], 0.02)
            except (OSError, ValueError):  # pulled in between
                continue
            if self._stop in ready:
                return
            if unasked := self.idle():
                with contextlib.suppress(OSError):
                    self.say(unasked)
            data = b""
            for end in ready:
                with contextlib.suppress(OSError):
                    data += self._read(end)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self.lines.append(line)
                said = self.answer(line)
                if said is not None:
                    with contextlib.suppress(OSError):
                        self.say(said)


class PtyPeer(Peer):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)

    def _ends(self) -> list[int]:
        return [self._master] if self._master >= 0 else []

    def _read(self, end: int) -> bytes:
        return os.read(end, 4096)

    def say(self, data: bytes) -> None:
        os.write(self._master, data)

    def pull(self) -> None:
        if self._master >= 0:
            os.close(self._master)
            os.close(self._slave)
            self._master = -1


class TcpPeer(Peer):
    """Takes one connection after the other; ``pull`` resets the present one."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._socket: socket.socket | None = None
        self.port = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def _ends(self) -> list[int]:
        ends = [self._listener.fileno()]
        return ends if self._socket is None else [*ends, self._socket.fileno()]

    def _read(self, end: int) -> bytes:
        if end == self._listener.fileno():
            self.pull()
            self._socket, _ = self._listener.accept()
            return b""
        if self._socket is None:
            return b""
        data = self._socket.recv(4096)
        if not data:
            self.pull()
        return data

    def say(self, data: bytes) -> None:
        if self._socket is not None:
            self._socket.sendall(data)

    def pull(self) -> None:
        if self._socket is not None:
            # Without lingering a close is a reset.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        super().close()
        self._listener.close()


PEERS = {"pty": PtyPeer, "tcp": TcpPeer}
