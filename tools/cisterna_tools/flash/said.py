"""What the firmware on a board says it does, once the board has been reset."""

import re
import time

import serial

from cisterna_tools.flash import FlashError

# What main prints when it starts or refuses to, and what a running pump replies to *IDN?.
_SAID = re.compile(rb"cisterna[ :][^\r\n]*(?=[\r\n])")
_REPLIED = re.compile(rb"Cisterna,([^,\r\n]*),[^,\r\n]*,([^,\r\n]*)(?=[\r\n])")
_WHO = b"*IDN?"
# Ctrl-C drops what was typed at a prompt, Ctrl-D starts main.py anew.
_ANEW = b"\x03\x04"
_SILENCE_S = 1
_POLL_S = 0.2


def said(device: str, patience_s: int) -> str:
    """The line in which it says what it does; FlashError if none comes within ``patience_s``.

    The line may have gone before the port was open again. So a board that is silent is asked: a
    pump that runs replies; a prompt echoes, and what did not run is started anew, to say why.
    """
    end_s = time.monotonic() + patience_s
    while time.monotonic() < end_s:
        try:
            with serial.serial_for_url(device, baudrate=115200, timeout=_SILENCE_S) as port:
                heard = b""
                while time.monotonic() < end_s:
                    new = port.read(port.in_waiting or 1)
                    heard += new
                    line = _line(heard)
                    if line:
                        return line
                    if not new:
                        port.write(_ANEW if heard.endswith(_WHO) else _WHO + b"\n")
        except OSError:
            time.sleep(_POLL_S)
    raise FlashError(
        f"{device}: all is copied, but the board has not said what it runs within "
        f"{patience_s} s; look with mpremote, or plug it in anew"
    )


def _line(heard: bytes) -> str:
    """What the firmware said of itself, in the words of its start; empty if nothing yet."""
    found = _SAID.search(heard)
    if found:
        return found[0].strip().decode(errors="replace")
    reply = _REPLIED.search(heard)
    if reply:
        board, version = (part.decode(errors="replace") for part in reply.groups())
        return f"cisterna {version} on {board} running"
    return ""
