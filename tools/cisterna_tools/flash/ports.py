"""Finds the serial port of a board to flash, or says why there is none."""

import serial

from cisterna_tools.flash import FlashError
from pumpctl import usb_ports

SEEK = {
    "rp2": (
        "plug it in with a data cable; if it shows as the drive RPI-RP2 it has no MicroPython "
        "yet: make flash IMAGE=1 puts the pump and MicroPython on it"
    ),
    "esp32": (
        "plug it in with a data cable; it must already run MicroPython 1.25 or later, which "
        "esptool puts there"
    ),
}


def find(port: str) -> str:
    """The device of the only board of this kind; FlashError lists several or explains."""
    found = usb_ports.boards(port)
    if not found:
        raise FlashError(f"no {port} board found: {SEEK[port]}; or give PORT=/dev/...")
    if len(found) > 1:
        raise FlashError(f"several boards found, give one as PORT=: {usb_ports.names(found)}")
    return str(found[0].device)


def check(device: str) -> None:
    """Raise FlashError if the device cannot be opened."""
    try:
        serial.serial_for_url(device, exclusive=True).close()
    except (OSError, ValueError) as error:
        raise FlashError(f"PORT = {device}: {usb_ports.why(error)}") from None
