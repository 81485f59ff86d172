"""A board at the other end of a serial port, through mpremote's transport."""

import binascii
import contextlib
import io
import json
import struct
import time
from typing import Any, Protocol

from cisterna_tools.flash import FlashError
from cisterna_tools.flash.said import said

ANSWER_S = 15
_POLL_S = 0.2
# For a prompt, once the port is open, and for any byte of mpremote's exchange with it.
_PROMPT_S = 5
_RESET_S = 1
_CHUNK_BYTES = 1_536
# hal/loop.py: REASON_SERVICE.
_SERVICE = 2

# The firmware in a board's root, of this version and of 0.1.0: all of it is of this project.
FOLDERS = ("cisterna", "hal", "pump")
# Folders of these names would hide MicroPython's own modules.
HIDING = ("asyncio", "rp2")
_FILES = ("main.py", "main.mpy", "board.py", "board.mpy", "release.json", "package.json")

# Runs on the board. Imports only what every MicroPython has; prints one line of JSON.
_FACTS = f"""
import sys, os, json, hashlib, binascii
try:
    import frozen_release
    frozen = frozen_release.VERSION
except ImportError:
    frozen = ""
def digest(path):
    block = bytearray(512)
    view = memoryview(block)
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            size = file.readinto(block)
            if not size:
                return binascii.hexlify(sha.digest()).decode()
            sha.update(view[:size])
def walk(folder):
    for name, kind, *_ in os.ilistdir(folder or "/"):
        path = folder + "/" + name
        if kind == 0x4000:
            if folder or name in {FOLDERS + HIDING!r}:
                walk(path)
        elif folder or name.endswith((".py", ".mpy")) or name == "release.json":
            print(json.dumps([path, digest(path)]))
print(json.dumps([list(sys.implementation[1][:3]), frozen]))
walk("")
"""

# A folder that is left empty would still be taken for a package, in place of the frozen one.
_CLEAR = f"""
import os, json
def clear(path):
    for name, kind, *_ in list(os.ilistdir(path)):
        if kind == 0x4000:
            clear(path + "/" + name)
        else:
            os.remove(path + "/" + name)
    os.rmdir(path)
gone = []
for name, kind, *_ in list(os.ilistdir("/")):
    if kind == 0x4000 and name in {FOLDERS!r}:
        clear("/" + name)
    elif kind != 0x4000 and name in {_FILES!r}:
        os.remove("/" + name)
    else:
        continue
    gone.append("/" + name)
print(json.dumps(sorted(gone)))
"""

_BEFORE = "before_reset"
_RESET = f"{_BEFORE} = True\nimport machine\nmachine.reset()\n"
_BOOT_LOADER = "import machine\nmachine.bootloader()\n"

# Base64, since a literal of any bytes takes twice the room on the line.
_FOLDER = """
import os
try:
    os.mkdir({folder!r})
except OSError:
    pass
"""
_WRITE = """
from binascii import a2b_base64
with open({path!r}, {mode!r}) as file:
    file.write(a2b_base64({text!r}))
"""

_CHIP = """
try:
    from hal.{port} import ports as chip
except ImportError:
    from hal import {port} as chip  # as 0.1.0 had it
"""
_TO_SERVICE = _CHIP + "chip.give_reason({reason})\n"
_FORGET = _CHIP + "chip.take_reason()\n"


class Transport(Protocol):
    """What is used of mpremote's SerialTransport."""

    serial: Any

    def enter_raw_repl(self, soft_reset: bool = ..., timeout_overall: int = ...) -> None: ...
    def exec(self, command: str) -> bytes: ...
    def exec_raw(self, command: str, timeout: int = ...) -> tuple[bytes, bytes]: ...
    def exec_raw_no_follow(self, command: str) -> None: ...
    def close(self) -> None: ...


class Facts:
    """What a board is and holds. ``hashes`` of the files that the firmware could import."""

    def __init__(self, lines: list[str]) -> None:
        head, *rows = [json.loads(line) for line in lines]
        self.micropython: tuple[int, ...] = tuple(head[0])
        self.frozen: str = head[1]
        self.hashes: dict[str, str] = dict(rows)


class Remote:
    """A board at its MicroPython prompt, with the pump stopped and no watchdog running."""

    def __init__(self, device: str, patience_s: int = ANSWER_S) -> None:
        """Connect; FlashError says why not. ``patience_s``: how long a start may take."""
        self.device = device
        self._patience_s = patience_s
        self._transport = self._enter()

    def to_service(self, port: str) -> None:
        """Restart into service, since a stopped pump's watchdog would restart it in mid-copy.

        A board without firmware has no watchdog running, and nothing is done.
        """
        command = _TO_SERVICE.format(port=port, reason=_SERVICE)
        try:
            self._do(command)
        except FlashError:
            return
        self._reset()
        self._transport = self._enter()
        # In case the prompt came before the reason was taken: the next start is a plain one.
        with contextlib.suppress(FlashError):
            self._do(_FORGET.format(port=port))

    def port(self) -> str:
        """MicroPython's name for the kind of chip."""
        return self._do("import sys\nprint(sys.platform)\n").strip()

    def facts(self) -> Facts:
        """Ask what it is and holds."""
        return Facts(self._do(_FACTS).splitlines())

    def remove(self, path: str) -> None:
        """Delete a file, if it is there."""
        self._do(f"import os\ntry:\n    os.remove({path!r})\nexcept OSError:\n    pass\n")

    def write(self, path: str, data: bytes) -> None:
        """Write a file, with the folder it lies in."""
        before = _FOLDER.format(folder=path.rpartition("/")[0]) if path.count("/") > 1 else ""
        mode = "wb"
        for start in range(0, len(data) or 1, _CHUNK_BYTES):
            text = binascii.b2a_base64(data[start : start + _CHUNK_BYTES], newline=False)
            self._do(before + _WRITE.format(path=path, mode=mode, text=text))
            before, mode = "", "ab"

    def clear(self) -> list[str]:
        """Delete the firmware's files and folders; what there was of them in the root."""
        removed: list[str] = json.loads(self._do(_CLEAR))
        return removed

    def to_boot_loader(self) -> None:
        """Restart as a drive; nothing more can be asked of it here."""
        self._leave(_BOOT_LOADER)

    def start(self) -> str:
        """Reset it and return the line in which the firmware says what it does."""
        self._reset()
        return said(self.device, self._patience_s)

    def close(self) -> None:
        """Give the port back."""
        self._transport.close()

    def _enter(self) -> Transport:
        """A transport at the raw prompt; asks again until the board is back from a reset."""
        from mpremote.transport import TransportError
        from mpremote.transport_serial import SerialTransport

        end_s = time.monotonic() + self._patience_s
        while time.monotonic() < end_s:
            transport: Transport | None = None
            try:
                # Without its own limit a read from a dumb pty or half-dead board waits for ever.
                transport = SerialTransport(self.device, timeout=_PROMPT_S)
                assert transport is not None
                with contextlib.redirect_stdout(io.StringIO()):  # it prints what it did not like
                    transport.enter_raw_repl(soft_reset=False, timeout_overall=_PROMPT_S)
                # Still the one from before a reset: interrupted in it, or too slow.
                if b"True" not in transport.exec(f"print({_BEFORE!r} in globals())"):
                    return transport
                transport.exec_raw_no_follow(_RESET)
                transport.close()
            except (TransportError, OSError, struct.error):
                if transport is not None:
                    _close(transport)
                time.sleep(_POLL_S)
        raise FlashError(
            f"{self.device}: no MicroPython prompt within {self._patience_s} s; set the service "
            "strap (the pin named service in the board file, to ground), plug in, try again"
        )

    def _do(self, command: str) -> str:
        from mpremote.transport import TransportError

        try:
            said, wrong = self._transport.exec_raw(command, timeout=self._patience_s)
        except (TransportError, OSError, struct.error) as error:
            raise FlashError(
                f"{self.device}: the line broke, {error}; plug the board in anew and run make "
                "flash again"
            ) from None
        if wrong:
            last = wrong.decode(errors="replace").strip().splitlines()[-1]
            raise FlashError(f"{self.device}: {last}")
        return said.decode()

    def _reset(self) -> None:
        self._leave(_RESET)

    def _leave(self, command: str) -> None:
        """Run a command by which the board drops the line."""
        from mpremote.transport import TransportError

        with contextlib.suppress(TransportError, OSError, struct.error):
            self._transport.exec_raw_no_follow(command)
            time.sleep(_RESET_S)
        _close(self._transport)


def _close(transport: Transport) -> None:
    # It may have gone with the reset.
    with contextlib.suppress(OSError):
        transport.close()
