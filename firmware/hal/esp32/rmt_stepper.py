"""The motor on an ESP32's RMT peripheral, which plays pulses that it was handed by itself.

Facts of MicroPython's RMT (ports/esp32/esp32_rmt.c of 1.25, and the driver under it) that shape
this:

- A channel holds 64 symbols of two levels each. More are fed to it by an interrupt, which a write
  to flash holds off for tens of ms; the hardware then plays its old content again, as pulses that
  nobody asked for. So a burst is handed over in parts that fit.
- ``write_pulses`` waits for ever while pulses play: it is only called when none do.
- A level lasts 1..32767 ticks; a longer gap is several levels. 0 would end the sequence.
- Nothing stops a sequence. An abort takes the pin away from the RMT (``Pin.init`` connects it to
  its own output register) and lets the rest play unseen; until then the stepper is busy. The RMT
  is set up anew before the next burst, which gives it the pin back.
"""

import time

from esp32 import RMT
from machine import Pin, Timer, disable_irq, enable_irq

from cisterna.base.compat import TYPE_CHECKING, const

if TYPE_CHECKING:
    from typing import Any

PULSE_US = const(10)
# 10 kHz; it leaves an abort room between two pulses (choice).
MIN_INTERVAL_US = const(100)
# A part of a burst must hold a step and the gap after it.
MAX_INTERVAL_US = const(1_000_000)

_CHANNEL = const(0)
_TIMER = const(0)
_CLOCK_DIV = const(80)  # 80 MHz: ticks of 1 us
_MAX_LEVELS = const(120)  # of 128; the driver adds an end mark
_MAX_TICKS = const(32_767)
_TICKS_MASK = const((1 << 30) - 1)  # time.ticks_us wraps there
# From the last look at the clock until the pin is taken away, at most (choice; about 10 us).
_CUT_US = const(30)
_PATIENCE_US = const(400)


class RmtStepper:
    """The core's Stepper port. DIR is low forward; ENABLE is low on."""

    def __init__(self, step: int, direction: int, enable: int) -> None:
        """Pins by number; the motor is off and the step line low from here on."""
        self._enable = Pin(enable, Pin.OUT, value=1)
        self._direction = Pin(direction, Pin.OUT, value=0)
        self._step = Pin(step, Pin.OUT, value=0)
        self._timer = Timer(_TIMER)
        self._emitted = 0  # without the part that plays
        self._left = 0  # steps not handed over yet
        self._part = 0  # steps of the part that plays
        self._part_us = 0
        self._interval_us = 0
        self._called_us = 0  # the first pulse came between the call that asked for it ..
        self._returned_us = 0  # .. and its return
        self._cut = False
        self._looking = False
        self._levels: "tuple[list[int], list[bool]]" = ([], [])
        self._levels_for = (0, 0, False)
        self._rmt = self._new_rmt()

    def _new_rmt(self) -> RMT:
        return RMT(_CHANNEL, pin=self._step, clock_div=_CLOCK_DIV, idle_level=False)

    def burst(self, steps: int, interval_us: int) -> None:
        """Emit ``|steps|`` pulses ``interval_us`` apart, the first one now; negative reverses.

        ValueError for 0 steps or an interval out of range; RuntimeError while busy. Nothing moves
        then.
        """
        if not steps:
            raise ValueError("burst of 0 steps; give 1 or more")
        if not MIN_INTERVAL_US <= interval_us <= MAX_INTERVAL_US:
            raise ValueError(
                f"interval_us = {interval_us}; give {MIN_INTERVAL_US}..{MAX_INTERVAL_US}"
            )
        if self.busy():
            raise RuntimeError(f"burst of {steps} steps while a burst runs; wait for its end")
        self._direction.value(steps < 0)
        self._interval_us = interval_us
        self._left = abs(steps)
        self._send()

    def _send(self) -> None:
        """Hand over the next part; nothing plays."""
        gap_us = self._interval_us - PULSE_US
        if self._left == 1:
            gap_us = MIN_INTERVAL_US - PULSE_US
        gaps = (gap_us + _MAX_TICKS - 1) // _MAX_TICKS
        steps = min(self._left, _MAX_LEVELS // (gaps + 1))
        last = steps == self._left
        key = (steps, self._interval_us, last)
        if key != self._levels_for:
            self._levels = _levels(steps, gap_us, gaps, last)
            self._levels_for = key
        durations, levels = self._levels
        self._part_us = sum(durations)
        self._left -= steps
        self._called_us = time.ticks_us()
        self._rmt.write_pulses(durations, levels)
        self._returned_us = time.ticks_us()
        self._part = steps
        if not last:
            wait_ms = self._part_us // 1000 + 1
            self._timer.init(mode=Timer.ONE_SHOT, period=wait_ms, callback=self._on_timer)

    def _on_timer(self, timer: "Any") -> None:
        # The look that it interrupted, or the part that plays a little longer, is done in 1 ms.
        if self._looking or (self._look() and self._left):
            timer.init(mode=Timer.ONE_SHOT, period=1, callback=self._on_timer)

    def _look(self) -> bool:
        """Take account of what has been played; True while something plays.

        The RMT is asked only when the clock says that it is done: newer drivers log a line each
        time that it is not.
        """
        self._looking = True
        since_us = (time.ticks_us() - self._called_us) & _TICKS_MASK
        if self._part and since_us >= self._part_us and self._rmt.wait_done(timeout=0):
            if self._cut:
                self._cut = False
                self._rmt.deinit()
                self._rmt = self._new_rmt()
            else:
                self._emitted += self._part
            self._part = 0
            if self._left:
                self._send()
        self._looking = False
        return self._part > 0

    def busy(self) -> bool:
        """True while pulses are to come, or the rest of an aborted burst plays unseen."""
        return self._look()

    def emitted(self) -> int:
        """Pulses since power-on; those of a running burst are counted late by us, never early."""
        if not self._look() or self._cut:
            return self._emitted
        since_us = (time.ticks_us() - self._returned_us) & _TICKS_MASK
        return self._emitted + min(self._part, since_us // self._interval_us + 1)

    def abort(self) -> None:
        """Stop between two pulses, within one step, and know how many there were.

        Waits, with nothing but the clock, until it is sure on which side of a pulse it is: less
        than the time the starting call took and _CUT_US. The count is exact if that call took
        less than the interval less 40 us; else it is too high by the steps that the call lasted,
        at most, and a pulse may be cut short.
        """
        self._left = 0
        if not self._look() or self._cut:
            return
        self._looking = True
        begun_us = time.ticks_us()
        while True:
            state = disable_irq()
            now_us = time.ticks_us()
            late = (now_us - self._returned_us) & _TICKS_MASK
            early = ((now_us - self._called_us) & _TICKS_MASK) + _CUT_US
            risen = late // self._interval_us + 1
            between = (
                late % self._interval_us >= PULSE_US and early // self._interval_us + 1 == risen
            )
            if between or (now_us - begun_us) & _TICKS_MASK > _PATIENCE_US:
                self._step.init(Pin.OUT, value=0)
                enable_irq(state)
                break
            enable_irq(state)
        self._emitted += min(self._part, early // self._interval_us + 1)
        self._cut = True
        self._looking = False

    def enable(self, on: bool) -> None:
        """Energise the motor, or take its current away."""
        self._enable.value(not on)


def _levels(steps: int, gap_us: int, gaps: int, last: bool) -> "tuple[list[int], list[bool]]":
    """Durations and levels of that many pulses; after the last of all only the shortest gap."""
    durations, levels = [PULSE_US], [True]
    durations.append(gap_us // gaps + gap_us % gaps)
    durations.extend([gap_us // gaps] * (gaps - 1))
    levels.extend([False] * gaps)
    durations, levels = durations * steps, levels * steps
    if last:
        del durations[-gaps:], levels[-gaps:]
        durations.append(MIN_INTERVAL_US - PULSE_US)
        levels.append(False)
    return durations, levels
