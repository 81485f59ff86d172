"""The core's ports on an RP2040."""

import machine
from machine import ADC, Pin

from cisterna.base.compat import const
from cisterna.parts.board import Board

from ..common import BoardHal
from .pio_cutoff import PioCutoff, pause_us
from .pio_stepper import PioCounter, PioStepper

# Watchdog scratch registers keep their content over every reset but power-on; 4..7 belong to the
# boot ROM. reset_cause() cannot tell an intended reset from the watchdog's, so it is noted here.
_SCRATCH0 = const(0x4005800C)
_MARK = const(0x0C157000)

_I2C_TIMEOUT_US = const(2_000)
_STEP_SM = const(0)
# Both see the count pin, so they share a PIO, and its 32 instructions.
_COUNT_SM = const(4)
_CUT_SM = const(5)


def give_reason(reason: int) -> None:
    """Note why the board is about to be reset on purpose."""
    machine.mem32[_SCRATCH0] = _MARK | reason


def restart(reason: int) -> None:
    """Reset the board, having noted why; 0..255."""
    give_reason(reason)
    machine.reset()


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


def board_hal(board: Board) -> BoardHal:
    """All ports of a Pico, with the motor off until the pump enables it."""
    pins = board.pins
    cutoff = PioCutoff(_CUT_SM, pins["enable"], pins["count"], pause_us(board.calibration.step_pl))
    stepper = PioStepper(_STEP_SM, pins["step"], pins["dir"], cutoff)
    return BoardHal(
        board, stepper, PioCounter(_COUNT_SM, pins["count"]), AnalogIn, _I2C_TIMEOUT_US
    )
