"""The core's ports on an ESP32."""

import esp32
import machine
from machine import ADC, I2C, PWM, RTC, WDT, Pin

from pump.board import Board
from pump.compat import TYPE_CHECKING, const

from .annunciator import Annunciator, Buzzer
from .as5600 import AS5600
from .files import FilesStore
from .rmt_stepper import RmtStepper

if TYPE_CHECKING:
    from typing import Any

    from pump.ports import Motion, Sensor

# The RTC's memory keeps its content over every reset but power-on.
_MARK = b"cisterna "
_COUNTER = const(0)
_COUNTER_RANGE = const(32_000)
_LAMPS = ("lamp_low", "lamp_medium", "lamp_high")
# An encoder that holds the bus is given up after this.
_I2C_TIMEOUT_US = const(5_000)


def give_reason(reason: int) -> None:
    """Note why the board is about to be reset on purpose; 0..255."""
    RTC().memory(_MARK + bytes((reason,)))


def take_reason() -> int:
    """The reason noted before the last reset, once; 0 if there is none."""
    noted = RTC().memory()
    RTC().memory(b"")
    return noted[-1] if len(noted) == len(_MARK) + 1 and noted[:-1] == _MARK else 0


def watchdog_reset() -> bool:
    """True if the watchdog reset the board."""
    return machine.reset_cause() == machine.WDT_RESET


class PcntCounter:
    """Pulses on the wire from STEP, counted by the PCNT hardware: the core's StepCounter port.

    Read it at least once in 31,999 pulses. MicroPython has had it since 1.26: machine.Counter
    where the build has that, else esp32.PCNT.
    """

    def __init__(self, pin: int) -> None:
        """RuntimeError, with what to do, if this build has neither."""
        self._source: "Any"
        source = Pin(pin, Pin.IN)
        if hasattr(machine, "Counter"):
            self._source = machine.Counter(_COUNTER, source)
        elif hasattr(esp32, "PCNT"):
            pcnt = esp32.PCNT(
                _COUNTER,
                pin=source,
                rising=esp32.PCNT.INCREMENT,
                min=-_COUNTER_RANGE,
                max=_COUNTER_RANGE,
            )
            pcnt.start()
            self._source = pcnt
        else:
            raise RuntimeError(
                "this MicroPython has no pulse counter (machine.Counter, esp32.PCNT): install "
                "1.26 or later"
            )
        self._last = self._source.value()
        self._count = 0

    def count(self) -> int:
        """Pulses seen since power-on, in either direction; never goes down.

        PCNT goes from 31,999 to 0, as Counter taken modulo the same range does.
        """
        value = self._source.value()
        self._count += (value - self._last) % _COUNTER_RANGE
        self._last = value
        return self._count


class AnalogIn:
    """An ADC channel, raw 0..65535 for 0..3.3 V: the median of five conversions.

    The calibrated voltage is read, since the converter itself is bent: the same board file figures
    then hold on every port. It reaches to about 3.1 V, in mV.
    """

    def __init__(self, pin: int) -> None:
        self._adc = ADC(Pin(pin), atten=ADC.ATTN_11DB)  # type: ignore[call-arg]  # as with I2C

    def read(self) -> int:
        """The median of five conversions."""
        read = self._adc.read_uv
        median_uv = sorted((read(), read(), read(), read(), read()))[2]
        return min(65_535, median_uv // 1000 * 65_535 // 3_300)


class Button:
    """A button to ground."""

    def __init__(self, pin: int) -> None:
        self._pin = Pin(pin, Pin.IN, Pin.PULL_UP)

    def pressed(self) -> bool:
        """True while it is held."""
        return not self._pin.value()


class BoardHal:
    """All ports of an ESP32, with the motor off until the pump enables it."""

    def __init__(self, board: Board) -> None:
        pins = board.pins
        self.stepper = RmtStepper(pins["step"], pins["dir"], pins["enable"])
        self.counter = PcntCounter(pins["count"])
        self.pressure: "Sensor" = AnalogIn(pins["pressure"])
        self.level: "Sensor | None" = AnalogIn(pins["level"]) if board.has_level else None
        self.supply: "Sensor" = AnalogIn(pins["supply"])
        self.encoder: "Motion | None" = None
        if board.has_encoder:
            bus = I2C(  # type: ignore[call-overload]  # the stubs leave out timeout
                0,
                scl=Pin(pins["scl"]),
                sda=Pin(pins["sda"]),
                freq=400_000,
                timeout=_I2C_TIMEOUT_US,
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
        self.stepper.abort()
        self.stepper.enable(False)
        self.signal.close()
