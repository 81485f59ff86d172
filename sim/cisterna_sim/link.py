"""The simulated telemetry line, and the simulated rig at its other end.

``LinkedRig`` has the telemetry interface that a board has: what is typed goes in by ``send``, what
the pump says comes out of ``link``. Nothing on the line takes time.
"""

import random
from typing import Any

from cisterna.events import BOOT_CAUSES
from cisterna.telemetry.server import Telemetry
from cisterna_sim.rig import Rig
from cisterna_sim.store import PowerCut

BOARD_NAME = "sim"
_RESTART = BOOT_CAUSES.index("restart")


class SimLink:
    """The pump's end of the line. ``room`` is how many bytes pile up if the host does not read,
    None for any number; ``local`` tells the pump that it is a cable."""

    def __init__(self) -> None:
        self.local = True
        self.room: int | None = None
        self.dropped = 0
        self._out = bytearray()

    def write(self, line: bytes) -> bool:
        """Send a line, or drop it for want of room."""
        if self.room is not None and len(self._out) + len(line) > self.room:
            self.dropped += 1
            return False
        self._out += line
        return True

    def take(self) -> bytes:
        """What the pump has said since the last call."""
        data, self._out = bytes(self._out), bytearray()
        return data


class LinkedRig(Rig):
    """The rig with a telemetry line. ``telemetry`` is the interface of the present boot."""

    def __init__(self, *args: Any, serial: str = "SIM0001", seed: int = 1, **options: Any) -> None:
        """``seed`` makes the pump's random numbers; the rest is Rig's."""
        self.link = SimLink()
        self.serial = serial
        self._random = random.Random(seed)
        super().__init__(*args, **options)

    def boot(self, cause: int) -> None:
        super().boot(cause)
        self.telemetry = Telemetry(
            self.controller,
            self.orders,
            self.link,
            self._random.randbytes,
            BOARD_NAME,
            self.serial,
        )

    def tick_firmware(self, now_us: int) -> int:
        return self.telemetry.tick(now_us)

    def send(self, data: bytes) -> None:
        """Type something; what it asks for is done when this returns. Lost without power."""
        pump_us = self.pump_us  # asked for once: it is half the time of a flood
        for byte in data:
            if not self.powered:
                return
            try:
                changed = self.telemetry.receive(pump_us, byte)
                while self.telemetry.busy:
                    changed = self.telemetry.proceed(pump_us)
            except PowerCut:
                self.power_down()
                raise
            if changed:
                self._tick()
                self.attend()
                if self.telemetry.desk.restart:
                    self.power_down()
                    self.power_up(_RESTART)
                    pump_us = self.pump_us

    def ask(self, line: str) -> str:
        """Send a line and return the reply, telemetry lines left out."""
        self.link.take()
        self.send(line.encode() + b"\n")
        replies = [text for text in self.link.take().decode().splitlines() if text[:1] != "~"]
        return "\n".join(replies)

    def press_and_release(self, seconds: float = 0.6) -> None:
        """Press the button for so long, and let the pump see it come and go."""
        self.press(seconds)
        self.run_for(seconds + 0.5)
