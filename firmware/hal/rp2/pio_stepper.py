"""The motor's pulses and their independent count, by two state machines of the RP2040's PIO.

A burst is a token of two words in the FIFO: how many pulses, and how far apart. Without a token
there is no pulse, and there is never more than one token: a processor that hangs delivers what is
left of the burst that runs, and no more.

What the step program holds by itself, whatever is put into its FIFO:
- it emits exactly as many pulses as the token says, none for 0, at most MAX_STEPS;
- rising edges are at least MIN_INTERVAL_US apart, also from one token to the next;
- a pulse is high for 2 us (choice; a TMC2209 wants 0.1 us (recall));
- from the token to the first edge it takes 1.6 us, so DIR, set before the token, is stable by then
  (a TMC2209 wants 0.02 us (recall)).

Steps need current: ENABLE belongs to the hardware cut (``pio_cutoff.py``).

Both programs run at an integer divider of the system clock, so no edge jitters. The period is
5 * (interval - MIN_INTERVAL_US) + 20 cycles of 0.2 us: exactly the interval.
"""

from array import array

import machine
import rp2
from machine import Pin

from cisterna.base.compat import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Protocol

    from rp2.asm_pio import (
        block,
        isr,
        jmp,
        label,
        mov,
        noblock,
        not_y,
        null,
        osr,
        out,
        pin,
        pull,
        push,
        wait,
        wrap,
        wrap_target,
        x,
        x_dec,
        y,
        y_dec,
    )

    class Current(Protocol):
        """What switches the motor's current."""

        def enable(self, on: bool) -> None:
            """Energise the motor, or take its current away."""


STEP_HZ = const(5_000_000)
# 25 MHz: a pulse of 80 ns is seen, shorter than a driver takes for a step; an edge takes three
# cycles, or five when a reading comes between, so the counter follows 5 million pulses/s.
COUNT_HZ = const(25_000_000)

MIN_INTERVAL_US = const(4)
# 17.9 min: what a board keeps in an integer without heap. The program itself could wait 71 min.
MAX_INTERVAL_US = const((1 << 30) - 1)
# 12 bits; the program takes no more of the word.
MAX_STEPS = const(4_095)

_FIFO_WORDS = const(4)
# Looks at a FIFO for a word that is at most 3 us away; a look takes longer than 1 us.
_PATIENCE = const(100)

# Instructions given by hand, encoded so that no assembler runs on the board; with side 0, so each
# of them also leaves STEP low.
PULL_NOBLOCK = const(0x8080)
PUSH_NOBLOCK = const(0x8000)
MOV_ISR_Y = const(0xA0C2)
MOV_ISR_NOT_X = const(0xA0C9)
MOV_X_NOT_NULL = const(0xA02B)


@rp2.asm_pio(sideset_init=rp2.PIO.OUT_LOW, out_shiftdir=rp2.PIO.SHIFT_RIGHT)
def STEPS():  # type: ignore[no-untyped-def]
    """Y: pulses left. It goes down in the very cycle that STEP rises, so no stop can part them.

    While it waits for the next pulse, the program says once a us what is left, so that it can be
    asked without being disturbed; a full FIFO drops what is said. At the end it says 0, and that
    is never dropped.
    """
    label("idle")
    pull(block).side(0)
    out(y, 12).side(0)
    pull(block).side(0)
    jmp(not_y, "end").side(0)
    wrap_target()
    mov(x, osr).side(0)[3]
    jmp(y_dec, "low").side(1)[9]
    label("low")
    jmp(not_y, "end").side(0)
    label("wait")
    mov(isr, y).side(0)
    push(noblock).side(0)
    jmp(x_dec, "wait").side(0)[2]
    wrap()
    label("end")
    mov(isr, null).side(0)
    push(block).side(0)
    jmp("idle").side(0)


@rp2.asm_pio()
def EDGES():  # type: ignore[no-untyped-def]
    """X: all ones less the rising edges seen."""
    label("next")
    wait(0, pin, 0)
    wait(1, pin, 0)
    jmp(x_dec, "next")


def check_clock(program_hz: int) -> None:
    """ValueError if the system clock is no multiple of a program's."""
    if machine.freq() % program_hz:
        raise ValueError(
            f"system clock = {machine.freq()} Hz is no multiple of {program_hz} Hz; use 125 MHz"
        )


def empty(sm: rp2.StateMachine, pull_word: int = PULL_NOBLOCK) -> None:
    """Drop what is in both FIFOs of a state machine that is stopped.

    ``pull_word`` is its PULL without waiting, with the side-set that it is to keep. Making it
    anew empties them on the chip, but not on every emulator.
    """
    for _ in range(_FIFO_WORDS):
        if sm.tx_fifo():
            sm.exec(pull_word)
        if sm.rx_fifo():
            sm.get()


class PioStepper:
    """Port Stepper. DIR is low forward."""

    def __init__(self, sm: int, step: int, direction: int, current: "Current") -> None:
        """Make everything safe, whatever a soft reset left behind.

        ``sm`` is a state machine, 0..7; then pin numbers. ``current`` is off until ``enable``.
        """
        self._current = current
        self._step = Pin(step, Pin.OUT, value=0)
        self._direction = Pin(direction, Pin.OUT, value=0)
        check_clock(STEP_HZ)
        self._sm_id = sm
        self._token = array("I", (0, 0))
        self._word = array("I", (0,))
        self._steps = 0  # of the burst that runs; 0 if none does
        self._ordered = 0  # emitted once no burst runs
        self._start()

    def _start(self) -> None:
        """Put the state machine at the program's start, with nothing to emit and STEP low."""
        self._sm = rp2.StateMachine(self._sm_id, STEPS, freq=STEP_HZ, sideset_base=self._step)
        empty(self._sm)
        self._sm.active(1)

    def burst(self, steps: int, interval_us: int) -> None:
        """Emit ``|steps|`` pulses ``interval_us`` apart, the first one now; negative reverses.

        ValueError for 0 or more than MAX_STEPS steps, or an interval out of range; RuntimeError
        while a burst runs. Nothing moves then.
        """
        count = abs(steps)
        if not 0 < count <= MAX_STEPS:
            raise ValueError(f"burst of {steps} steps; give 1..{MAX_STEPS}")
        if not MIN_INTERVAL_US <= interval_us <= MAX_INTERVAL_US:
            raise ValueError(
                f"interval_us = {interval_us}; give {MIN_INTERVAL_US}..{MAX_INTERVAL_US}"
            )
        # A word too many would be taken for the next burst, and `put` would wait for room.
        if self._left() or self._sm.tx_fifo():
            raise RuntimeError(f"burst of {steps} steps while a burst runs; wait or abort")
        self._direction.value(steps < 0)
        self._token[0] = count
        self._token[1] = interval_us - MIN_INTERVAL_US
        self._steps = count
        self._ordered += count
        self._sm.put(self._token)  # type: ignore[no-untyped-call]

    def abort(self) -> None:
        """Stop; no edge rises once this returns, and STEP is low. What was emitted counts."""
        sm = self._sm
        sm.active(0)
        # Also ends the delay of an instruction, and lowers STEP. Y stays.
        sm.restart()
        if self._steps:
            # A word that is still there belongs to a token that the program had not begun.
            left = self._steps
            if not sm.tx_fifo():
                while sm.rx_fifo():
                    sm.get()
                sm.exec(MOV_ISR_Y)
                sm.exec(PUSH_NOBLOCK)
                left = self._answer()
            self._ordered -= left
            self._steps = 0
        self._start()

    def emitted(self) -> int:
        """Pulses emitted since power-on, in either direction."""
        return self._ordered - self._left()

    def busy(self) -> bool:
        """True while a burst still has pulses to emit."""
        return self._left() > 0

    def enable(self, on: bool) -> None:
        """Energise the motor, or take its current away."""
        self._current.enable(on)

    def _left(self) -> int:
        """Pulses of the burst that are still to come; RuntimeError if the program is dead."""
        if not self._steps:
            return 0
        sm, word = self._sm, self._word
        if sm.tx_fifo():
            return self._steps
        # What is there may be old; what comes after it is not. A 0 is the last word of a burst.
        for _ in range(sm.rx_fifo()):
            sm.get(word)
            if not word[0]:
                self._steps = 0
                return 0
        left = self._answer()
        if not left:
            self._steps = 0
        return left

    def _answer(self) -> int:
        """The program's next word."""
        for _ in range(_PATIENCE):
            if self._sm.rx_fifo():
                self._sm.get(self._word)
                return self._word[0]
        raise RuntimeError("the step program gives no answer; reset the board")


class PioCounter:
    """Port StepCounter: rising edges on a pin that is wired to STEP. Wraps at 2**32."""

    def __init__(self, sm: int, pin: int) -> None:
        """``sm`` is a state machine, 0..7; pulled down, so a wire that is off counts nothing."""
        check_clock(COUNT_HZ)
        self._word = array("I", (0,))
        self._sm = rp2.StateMachine(
            sm, EDGES, freq=COUNT_HZ, in_base=Pin(pin, Pin.IN, Pin.PULL_DOWN)
        )
        empty(self._sm)
        self._sm.exec(MOV_X_NOT_NULL)
        self._sm.active(1)

    def count(self) -> int:
        """Pulses seen since power-on; RuntimeError if the program is dead.

        The two instructions delay the program by a cycle each, and lose no edge.
        """
        sm, word = self._sm, self._word
        sm.exec(MOV_ISR_NOT_X)
        sm.exec(PUSH_NOBLOCK)
        for _ in range(_PATIENCE):
            words = sm.rx_fifo()
            if words:
                for _ in range(words):
                    sm.get(word)
                return word[0]
        raise RuntimeError("the counting program gives no answer; reset the board")
