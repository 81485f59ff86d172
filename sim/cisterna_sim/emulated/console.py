"""The chip's USB console, with a host at the other end that can be slow or deaf."""

from typing import Any

from rp2040py.usb.cdc import USBCDC

# In the USB block's memory: control words of the endpoints' buffers, 8 bytes an endpoint (IN,
# OUT), and the bit that hands a buffer over.
_BUFFERS = 0x80
_AVAILABLE = 1 << 10


class Console:
    """``received`` is what the chip has sent so far; ``reading = False`` is a host that has the
    port open and takes nothing.

    The emulator's own host answers a chip that asks for input with an empty packet, so the chip
    asks again, and never sleeps. This one answers when there is something to send.
    """

    def __init__(self, usb: Any) -> None:
        self.received = bytearray()
        self._usb = usb
        self._cdc = cdc = USBCDC(usb)
        self._typed = bytearray()
        self._asked: tuple[int, int] | None = None
        self._withheld: list[tuple[int, int]] = []
        self._reading = True
        cdc.on_serial_data = self.received.extend
        self._answer = usb.on_endpoint_read
        usb.on_endpoint_read = self._on_asked
        self._hand_over = usb.dpram_updated
        usb.dpram_updated = self._on_buffer
        self._drop_out = usb.on_reset
        usb.on_reset = self._on_reset

    def send(self, data: bytes) -> None:
        """Type something; any number of bytes, passed on as the chip takes them."""
        self._typed += data
        if self._asked is not None and data:
            endpoint, size = self._asked
            self._asked = None
            self._on_asked(endpoint, size)

    @property
    def reading(self) -> bool:
        """False: the host has the port open and takes nothing."""
        return self._reading

    @reading.setter
    def reading(self, on: bool) -> None:
        self._reading = on
        if on:
            withheld, self._withheld = self._withheld, []
            for offset, value in withheld:
                self._hand_over(offset, value)

    def _on_asked(self, endpoint: int, size: int) -> None:
        if endpoint == self._cdc._out_endpoint:
            if not self._typed:
                self._asked = (endpoint, size)
                return
            for byte in self._typed[:size]:
                self._cdc.send_serial_byte(byte)
            del self._typed[:size]
        self._answer(endpoint, size)

    def _on_buffer(self, offset: int, value: int) -> None:
        ours = offset == _BUFFERS + 8 * self._cdc._in_endpoint
        if ours and not self._reading and value & _AVAILABLE:
            self._withheld.append((offset, value))
        else:
            self._hand_over(offset, value)

    def _on_reset(self) -> None:
        self._asked = None
        self._withheld.clear()
        self._drop_out()
