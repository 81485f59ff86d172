"""Which serial ports may have a board on them, and why a port cannot be used."""

import errno
from collections.abc import Iterable

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

# USB vendors (and products) that a board shows itself with, by MicroPython port. RP2:
# MicroPython's own. ESP32: the common serial bridges on development boards, and Espressif's
# built-in one.
KNOWN: dict[str, tuple[tuple[int, int | None], ...]] = {
    "rp2": ((0x2E8A, 0x0005),),
    "esp32": ((0x10C4, None), (0x1A86, None), (0x0403, None), (0x303A, None)),
}


def boards(*kinds: str) -> list[ListPortInfo]:
    """The serial ports that look like a board of these kinds, of any if none is given."""
    ids = [pair for kind in kinds or KNOWN for pair in KNOWN[kind]]
    return [
        info
        for info in list_ports.comports()
        if any(info.vid == vid and pid in (None, info.pid) for vid, pid in ids)
    ]


def names(found: Iterable[ListPortInfo]) -> str:
    """The ports for people: device and what it calls itself."""
    return ", ".join(f"{info.device} ({info.description})" for info in found)


def denied(error: Exception) -> bool:
    """True if the user may not open the port."""
    return getattr(error, "errno", None) == errno.EACCES or "Permission" in str(error)


def busy(error: Exception) -> bool:
    """True if another program holds the port."""
    return getattr(error, "errno", None) in (errno.EBUSY, errno.EAGAIN) or "lock" in str(error)


def missing(error: Exception) -> bool:
    """True if there is no such port."""
    return getattr(error, "errno", None) == errno.ENOENT or "No such file" in str(error)


def unfit(error: Exception) -> bool:
    """True if what has the port's name is a file, a folder or another device."""
    numbers = (errno.ENOTTY, errno.EISDIR)
    # pyserial tells the errno of a failed configuration in its text alone.
    return getattr(error, "errno", None) in numbers or f"({errno.ENOTTY}, " in str(error)


def why(error: Exception) -> str:
    """What to do about an error of opening a port."""
    if denied(error):
        return (
            "permission denied: add yourself to the group that owns it, on Debian and Ubuntu "
            "sudo usermod -aG dialout $USER, then log in anew"
        )
    if busy(error):
        return "in use by another program: close mpremote, Thonny or the serial monitor"
    if missing(error):
        return "there is no such port; name none to have the board looked for"
    if unfit(error):
        return "that is no serial port; give /dev/..., as doctor or list names it"
    return str(error)
