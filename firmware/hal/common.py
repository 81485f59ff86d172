"""The core's ports on a board: what every chip has. The chip's own file adds what it alone has."""

import binascii
import os

import machine
from machine import I2C, PWM, WDT, Pin

from cisterna.base.compat import TYPE_CHECKING
from cisterna.parts.board import Board

from .annunciator import Annunciator, Buzzer
from .as5600 import AS5600
from .files import FilesStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from cisterna.base.ports import Motion, Sensor, StepCounter, Stepper

_LAMPS = ("lamp_low", "lamp_medium", "lamp_high")


class Button:
    """A button to ground."""

    def __init__(self, pin: int) -> None:
        self._pin = Pin(pin, Pin.IN, Pin.PULL_UP)

    def pressed(self) -> bool:
        """True while it is held."""
        return not self._pin.value()


class BoardHal:
    """All ports of a board."""

    def __init__(
        self,
        board: Board,
        stepper: "Stepper",
        counter: "StepCounter",
        analog: "Callable[[int], Sensor]",
        i2c_timeout_us: int,
    ) -> None:
        """``stepper`` comes with the motor off; ``analog`` makes the sensor of a pin.

        An encoder that holds the bus for ``i2c_timeout_us`` is given up for that reading.
        """
        pins = board.pins
        self.stepper = stepper
        self.counter = counter
        self.pressure = analog(pins["pressure"])
        self.level = analog(pins["level"]) if board.has_level else None
        self.supply = analog(pins["supply"])
        self.encoder: "Motion | None" = None
        if board.has_encoder:
            bus = I2C(  # type: ignore[call-overload]  # the stubs leave out timeout
                board.i2c,
                scl=Pin(pins["scl"]),
                sda=Pin(pins["sda"]),
                freq=400_000,
                timeout=i2c_timeout_us,
            )
            self.encoder = AS5600(bus, board.steps_per_turn)
        self.button = Button(pins["button"])
        buzzer = Buzzer(PWM(Pin(pins["buzzer"]), freq=Buzzer.FREQUENCY_HZ, duty_u16=0))
        lamps = [Pin(pins[name], Pin.OUT, value=0) for name in _LAMPS]
        self.signal = Annunciator(buzzer.sound, tuple(lamps))
        self._service = Button(pins["service"])
        self.store = FilesStore("/state")
        self._watchdog: "WDT | None" = None

    def serial(self) -> str:
        """The chip's own number, in hex."""
        return binascii.hexlify(machine.unique_id()).decode().upper()

    def entropy(self, count: int) -> bytes:
        """Random bytes from the chip's noise."""
        return os.urandom(count)

    def service(self) -> bool:
        """True if the service strap is set."""
        return self._service.pressed()

    def start_watchdog(self, timeout_ms: int) -> None:
        """Start the watchdog; nothing can stop it."""
        self._watchdog = WDT(timeout=timeout_ms)

    def feed(self) -> None:
        """Feed the watchdog."""
        if self._watchdog is not None:
            self._watchdog.feed()

    def close(self) -> None:
        """Take the motor's current away and stop; silence."""
        self.stepper.enable(False)
        self.stepper.abort()
        self.signal.close()
