"""Finds the serial port of a board, and says in a line why a port cannot be used."""

import errno

import serial
from serial.tools import list_ports

from tools.flash import FlashError

# USB vendors (and products) that a board shows itself with. RP2: MicroPython's own. ESP32: the
# common serial bridges on development boards, and Espressif's built-in one.
KNOWN: dict[str, tuple[tuple[int, int | None], ...]] = {
    "rp2": ((0x2E8A, 0x0005),),
    "esp32": ((0x10C4, None), (0x1A86, None), (0x0403, None), (0x303A, None)),
}
SEEK = {
    "rp2": (
        "plug it in with a data cable; if it shows as the drive RPI-RP2 it has no MicroPython "
        "yet: drag MicroPython 1.25 for the Pico, or the result of make image, onto the drive"
    ),
    "esp32": (
        "plug it in with a data cable; it must already run MicroPython 1.25 or later, which "
        "esptool puts there"
    ),
}


def find(port: str) -> str:
    """The device of the only board of this kind; FlashError lists several or explains."""
    found = [
        info
        for info in list_ports.comports()
        if any(info.vid == vid and pid in (None, info.pid) for vid, pid in KNOWN[port])
    ]
    if not found:
        raise FlashError(f"no {port} board found: {SEEK[port]}; or give PORT=/dev/...")
    if len(found) > 1:
        names = ", ".join(f"{info.device} ({info.description})" for info in found)
        raise FlashError(f"several boards found, give one as PORT=: {names}")
    return str(found[0].device)


def check(device: str) -> None:
    """Raise FlashError if the device cannot be opened."""
    try:
        serial.serial_for_url(device, exclusive=True).close()
    except (OSError, ValueError) as error:
        raise FlashError(f"PORT = {device}: {_why(error)}") from None


def _why(error: OSError | ValueError) -> str:
    """What to do about an error of opening a port."""
    code = getattr(error, "errno", None)
    text = str(error)
    if code == errno.EACCES or "Permission" in text:
        return (
            "permission denied: add yourself to the group that owns it, on Debian and Ubuntu "
            "sudo usermod -aG dialout $USER, then log in anew"
        )
    if code in (errno.EBUSY, errno.EAGAIN) or "lock" in text:
        return "in use by another program: close mpremote, Thonny or the serial monitor"
    if code == errno.ENOENT or "No such file" in text:
        return "there is no such port; leave PORT out to have the board looked for"
    return text
