"""The core's ports on an RP2040."""

import machine
from machine import ADC, I2C, PWM, WDT, Pin

from pump.board import Board
from pump.compat import TYPE_CHECKING, const

from .annunciator import Annunciator, Buzzer
from .as5600 import AS5600
from .files import FilesStore
from .pio_stepper import PioCounter, PioStepper

if TYPE_CHECKING:
    from pump.ports import Motion, Sensor

# Watchdog scratch registers keep their content over every reset but power-on; 4..7 belong to the
# boot ROM. reset_cause() cannot tell an intended reset from the watchdog's, so it is noted here.
_SCRATCH0 = const(0x4005800C)
_MARK = const(0x0C157000)

_LAMPS = ("lamp_low", "lamp_medium", "lamp_high")
_I2C_TIMEOUT_US = const(2_000)
_STEP_SM = const(0)
_COUNT_SM = const(4)


def give_reason(reason: int) -> None:
    """Note why the board is about to be reset on purpose."""
    machine.mem32[_SCRATCH0] = _MARK | reason


def take_reason() -> int:
    """The reason noted before the last reset, once; 0 if there is none."""
    value = machine.mem32[_SCRATCH0]
    machine.mem32[_SCRATCH0] = 0
    return value & 0xFF if value & ~0xFF == _MARK else 0


def watchdog_reset() -> bool:
    """True if the watchdog reset the board."""
    return machine.reset_cause() == machine.WDT_RESET


class AnalogIn:
    """An ADC channel, raw 0..65535: the median of five, with the converter's noise left in it.

    A spike of one conversion is dropped; the median still moves by more than a count of the
    converter, which the sampler takes as a sign of life.
    """

    def __init__(self, pin: int) -> None:
        self._adc = ADC(Pin(pin))

    def read(self) -> int:
        """The median of five conversions."""
        read = self._adc.read_u16
        return sorted((read(), read(), read(), read(), read()))[2]


class Button:
    """A button to ground."""

    def __init__(self, pin: int) -> None:
        self._pin = Pin(pin, Pin.IN, Pin.PULL_UP)

    def pressed(self) -> bool:
        """True while it is held."""
        return not self._pin.value()


class BoardHal:
    """All ports of a Pico, with the motor off until the pump enables it."""

    def __init__(self, board: Board) -> None:
        pins = board.pins
        self.stepper = PioStepper(_STEP_SM, pins["step"], pins["dir"], pins["enable"])
        self.counter = PioCounter(_COUNT_SM, pins["count"])
        self.pressure: "Sensor" = AnalogIn(pins["pressure"])
        self.level: "Sensor | None" = AnalogIn(pins["level"]) if board.has_level else None
        self.supply: "Sensor" = AnalogIn(pins["supply"])
        self.encoder: "Motion | None" = None
        if board.has_encoder:
            sda, scl = Pin(pins["sda"]), Pin(pins["scl"])
            # The stubs lack the timeout.
            bus = I2C(  # type: ignore[call-overload]
                board.i2c, sda=sda, scl=scl, freq=400_000, timeout=_I2C_TIMEOUT_US
            )
            self.encoder = AS5600(bus, board.steps_per_turn)
        self.button = Button(pins["button"])
        buzzer = Buzzer(PWM(Pin(pins["buzzer"]), freq=Buzzer.FREQUENCY_HZ, duty_u16=0))
        lamps = [Pin(pins[name], Pin.OUT, value=0) for name in _LAMPS]
        self.signal = Annunciator(buzzer.sound, tuple(lamps))
        self._service = Button(pins["service"])
        self.store = FilesStore("/state")
        self._watchdog: "WDT | None" = None

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
        """Stop and take the motor's current away; silence."""
        self.stepper.enable(False)
        self.stepper.abort()
        self.signal.show(0, False)
        self.signal.close()
