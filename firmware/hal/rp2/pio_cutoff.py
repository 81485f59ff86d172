"""The motor's hardware cut (F12): a PIO state machine that owns ENABLE and needs no processor.

It sees the pulses on the ``count`` pin, which is wired to STEP at the driver. A move is pulses
that follow each other without a pause of ``pause_us``; a line that stays high is a move, too. Once
a move has lasted MOVE_US, ENABLE goes off and stays off, whatever is put into a FIFO, until the
motor is switched off and on again on purpose. So a processor that runs wild and feeds the step
program tokens for ever is cut off as well. The cut is not protected against code that takes the
pin or the state machine itself, nor does it see anything while the wire from STEP is off; the pump
then stops because the count differs (D12).

The cut bounds a move, not a rate: moves with pauses between them may go on for ever. So the pause
is as long as legal moves allow. Single steps, a pause apart, are not cut: 32 mL/day with steps
below 56 nL, 52 mL/day on the default rig. Legal moves are these:

- therapy at the highest rate, 24 mL/day: a step each 323 ms on the default rig, or 3.6 us for each
  pL of the step; the pause is 3/4 of that at most;
- catching up: 16 steps 5 ms apart once the loop was held up by 2 steps or more, which was a
  pause; what is left is less than a step, so the next one comes at the rate's own period;
- drawing back after an occlusion: 16 steps 5 ms apart, 75 ms, begun 250 ms apart, which leaves
  175 ms (``cisterna/occlusion_response.py`` holds them apart). A burst that comes late shortens
  one pause and lengthens the one before it.

Anything faster, priming for one, must rest for ``pause_us`` at least every MOVE_US - ``pause_us``,
2.85 s: the time goes on until the pause is over.
"""

from array import array

import rp2
from machine import Pin

from cisterna.base.compat import TYPE_CHECKING, const

from .pio_stepper import COUNT_HZ, check_clock, empty

if TYPE_CHECKING:
    from rp2.asm_pio import (
        block,
        isr,
        jmp,
        label,
        mov,
        osr,
        pin,
        pull,
        wait,
        wrap,
        wrap_target,
        x,
        x_dec,
        y,
        y_dec,
    )

# F12.
MOVE_US = const(3_000_000)
# Less than the 175 ms that a burst of back-off leaves of its 250 ms.
LONGEST_PAUSE_US = const(150_000)

_CYCLES_PER_US = const(25)
# Each way through the program's loop takes as many.
_TURN_CYCLES = const(3)
# PULL without waiting, with side 1: given by hand, it must not switch the motor on.
_PULL_NOBLOCK = const(0x9080)


def pause_us(step_pl: int) -> int:
    """The pause that ends a move, for a step of ``step_pl``: 3/4 of its period at 24 mL/day."""
    return min(LONGEST_PAUSE_US, step_pl * 27 // 10)


@rp2.asm_pio(sideset_init=rp2.PIO.OUT_HIGH)
def CUTOFF():  # type: ignore[no-untyped-def]
    """X: turns left of the move; Y: of the pause. The side-set is ENABLE, low is on.

    Without both words of its token the program stays at the top, with the motor off. Only a new
    start leads out of "cut".
    """
    pull(block).side(1)
    mov(isr, osr).side(1)
    pull(block).side(1)
    wrap_target()
    mov(x, isr).side(0)
    wait(1, pin, 0).side(0)
    label("pulse")
    mov(y, osr).side(0)
    label("moving")
    jmp(x_dec, "look").side(0)
    label("cut")
    jmp("cut").side(1)
    label("look")
    jmp(pin, "pulse").side(0)
    jmp(y_dec, "moving").side(0)
    wrap()


class PioCutoff:
    """Switches the motor's current, and takes it away from a move that does not end."""

    def __init__(self, sm: int, enable: int, count: int, pause_us: int) -> None:
        """The motor is off from here on. ``sm`` is a state machine, 0..7; then pin numbers.

        ``pause_us`` ends a move.
        """
        self._enable_pin = enable
        Pin(enable, Pin.OUT, value=1)
        check_clock(COUNT_HZ)
        self._sm_id = sm
        self._count = Pin(count, Pin.IN, Pin.PULL_DOWN)
        self._token = array(
            "I",
            (
                MOVE_US * _CYCLES_PER_US // _TURN_CYCLES,
                pause_us * _CYCLES_PER_US // _TURN_CYCLES,
            ),
        )
        self._on = False
        self._sm = self._new()

    def _new(self) -> rp2.StateMachine:
        """The state machine at the program's start; it has the pin, which stays high."""
        sm = rp2.StateMachine(
            self._sm_id,
            CUTOFF,
            freq=COUNT_HZ,
            in_base=self._count,
            jmp_pin=self._count,
            sideset_base=Pin(self._enable_pin),
        )
        empty(sm, _PULL_NOBLOCK)
        return sm

    def enable(self, on: bool) -> None:
        """Energise the motor, or take its current away.

        After a cut it is energised by False and then True; True alone changes nothing.
        """
        if not on:
            self._on = False
            self._sm.active(0)
            Pin(self._enable_pin, Pin.OUT, value=1)  # takes the pin from the state machine
        elif not self._on:
            self._on = True
            self._sm = self._new()
            self._sm.active(1)
            self._sm.put(self._token)  # type: ignore[no-untyped-call]
