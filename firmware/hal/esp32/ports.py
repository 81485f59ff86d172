"""The core's ports on an ESP32."""

import esp32
import machine
from machine import ADC, RTC, Pin

from cisterna.base.compat import TYPE_CHECKING, const
from cisterna.parts.board import Board

from ..common import BoardHal
from .rmt_stepper import RmtStepper

if TYPE_CHECKING:
    from typing import Any

# The RTC's memory keeps its content over every reset but power-on.
_MARK = b"cisterna "
_COUNTER = const(0)
_COUNTER_RANGE = const(32_000)
_I2C_TIMEOUT_US = const(5_000)


def give_reason(reason: int) -> None:
    """Note why the board is about to be reset on purpose; 0..255."""
    RTC().memory(_MARK + bytes((reason,)))


def restart(reason: int) -> None:
    """Reset the board, having noted why; 0..255."""
    give_reason(reason)
    machine.reset()


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


def board_hal(board: Board) -> BoardHal:
    """All ports of an ESP32, with the motor off until the pump enables it."""
    pins = board.pins
    stepper = RmtStepper(pins["step"], pins["dir"], pins["enable"])
    return BoardHal(board, stepper, PcntCounter(pins["count"]), AnalogIn, _I2C_TIMEOUT_US)
