"""Finds the pump when no port is given."""

from pumpctl import usb_ports
from pumpctl.errors import NoPump


def only_port() -> str:
    """The device of the only board that is plugged in; NoPump lists several or explains."""
    found = usb_ports.boards()
    if not found:
        raise NoPump(
            "no pump found on USB: plug it in with a data cable, or name its port: /dev/..., "
            "socket://host:port or sim"
        )
    if len(found) > 1:
        raise NoPump(f"several boards found, name the port of one: {usb_ports.names(found)}")
    return str(found[0].device)
