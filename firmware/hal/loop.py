"""The board's loop: looks at sensors, ticks the pump, feeds the watchdog, sleeps. Nothing else.

Ways out of ``main``, all of which leave the motor without current:

1. The board file is refused, the firmware on the board is not whole, or its memory was written by
   newer firmware: says why, never doses.
2. The service strap is set, or a service reset was asked for: no watchdog, back to the prompt.
3. Ctrl-C on the console of a pump without keys: back to the prompt; the watchdog then resets the
   board within WATCHDOG_MS, since a pump must not stay stopped because somebody looked at it.
4. An exception: shown on the console, then the watchdog resets the board.

Once a pump has keys the console leads to no prompt, from which they could be read, but by the
service strap: Ctrl-C is a character like any other. What remains is the moment between power-on
and the first line of ``main``, which MicroPython does not let a program close.
"""

import asyncio
import gc
import sys
import time

import micropython

from cisterna.base.clock import TicksClock
from cisterna.base.compat import TYPE_CHECKING, const
from cisterna.base.journal import ForeignRecord
from cisterna.base.units import LimitError
from cisterna.base.version import VERSION
from cisterna.controller import Controller
from cisterna.orders import Orders
from cisterna.parts.board import Board
from cisterna.parts.sampler import PERIOD_US
from cisterna.pump import Pump
from cisterna.telemetry.server import Telemetry

from . import console, release
from .conversation import Conversation
from .health import Health

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

WATCHDOG_MS = const(5_000)
_SLEEP_MS = const(250)
# A collection of garbage takes 19 ms on the emulated Pico.
_COLLECT_US = const(25_000)
# One takes some 4 kB of heap. MicroPython collects after 100 kB, in the middle of a step as well.
_GARBAGE_TICKS = const(12)

# Rows of events.BOOT_CAUSES.
_POWER_ON = const(0)
_WATCHDOG = const(2)
_RESTART = const(3)

# What the reason cell can hold: why the board was reset on purpose.
REASON_NONE = const(0)
REASON_RESTART = const(1)
REASON_SERVICE = const(2)

_CTRL_C = const(3)
_RESTART_MS = const(500)


class Loop:
    """The running pump of one board. ``worst_tick_us`` is the longest tick so far."""

    def __init__(self, board: Board, hal: "Any", cause: int) -> None:
        self.hal = hal
        self.pump = Pump(hal, board.calibration)
        now_us = self.pump.now_us
        self.clock = TicksClock(time.ticks_us, now_us)
        self.controller = Controller(self.pump, cause)
        self.orders = Orders(self.controller)
        self.console = console.on_stdio()
        self.telemetry = Telemetry(
            self.controller, self.orders, self.console, hal.entropy, board.name, hal.serial()
        )
        self.conversation = Conversation(
            self.console, self.telemetry, self.clock.now_us, self._changed, self._tidy
        )
        self.worst_tick_us = 0
        self.failure: "Exception | None" = None
        self._due_us = now_us
        self._look_us = now_us
        self._ticks = 0  # since garbage was collected
        self._health = Health(self.pump, now_us)

    def step(self) -> int:
        """Do what is due; returns the ms to sleep until the next thing is, at most _SLEEP_MS."""
        now_us = self.clock.now_us()
        pump = self.pump
        if now_us >= self._look_us:
            pump.sampler.look()
            # Looks that were missed are not made up: they would all see the present.
            self._look_us = max(self._look_us + PERIOD_US, now_us)
        if now_us >= self._due_us or pump.sampler.attention:
            self._due_us = self.telemetry.tick(now_us)
            self._ticks += 1
            self.conversation.spoken()
            spent_us = self.clock.now_us() - now_us
            if spent_us > self.worst_tick_us:
                self.worst_tick_us = spent_us
        if self._health.passes(now_us, self._due_us):
            self.hal.feed()  # from here alone
        next_us = min(self._due_us, self._look_us) - self.clock.now_us()
        return max(0, min(_SLEEP_MS, next_us // 1000))

    def _changed(self) -> None:
        """Tick at once, since a line may have changed the pump."""
        self._due_us = self.clock.now_us()
        self.step()
        lock_console(self.telemetry.desk.keys.provisioned)

    def _tidy(self) -> bool:
        """Collect garbage and return True, unless a tick is due within the time that it takes."""
        if self._due_us - self.clock.now_us() < _COLLECT_US:
            return False
        self._ticks = 0
        gc.collect()
        return True

    async def run(self) -> None:
        """Run until a restart is ordered, and its reply said."""
        while not self.telemetry.desk.restart:
            calm_ms = self.step()
            if self._ticks >= _GARBAGE_TICKS and self._tidy():
                continue
            await asyncio.sleep_ms(calm_ms)
            if self.failure is not None:
                raise self.failure
        await asyncio.sleep_ms(_RESTART_MS)

    async def beside(self, task: "Coroutine[Any, Any, None]") -> None:
        """Run a task beside ``run``, which raises what the task raises."""
        try:
            await task
        except Exception as failure:
            self.failure = failure

    async def announce(self) -> None:
        """Play buzzer and lamps."""
        annunciator = self.hal.signal
        while True:
            await asyncio.sleep_ms(annunciator.step(time.ticks_ms()))


async def _main(loop: Loop) -> None:
    tasks = [
        asyncio.create_task(loop.beside(task))
        for task in (
            loop.announce(),
            loop.conversation.listen(),
            loop.conversation.speak(),
        )
    ]
    try:
        await loop.run()
    finally:
        for task in tasks:
            task.cancel()


def lock_console(on: bool) -> None:
    """Let Ctrl-C be a character like any other, or let it interrupt the program."""
    micropython.kbd_intr(-1 if on else _CTRL_C)


def _ports(port: str) -> "Any":
    """The module of the chip's ports; the other one cannot be imported on it."""
    if port == "esp32":
        from .esp32 import ports as esp32

        return esp32
    from .rp2 import ports as rp2

    return rp2


def main(data: object) -> None:
    """Run the pump that a board file describes; returns only as the module says."""
    lock_console(True)
    ports = _ports(getattr(data, "PORT", ""))
    hal = loop = None
    try:
        hal, reason = _whole_hal(data, ports)
        if hal is None:
            return
        cause = _RESTART if reason == REASON_RESTART else _POWER_ON
        if reason == REASON_NONE and ports.watchdog_reset():
            cause = _WATCHDOG
        loop = Loop(Board(data), hal, cause)
        lock_console(loop.telemetry.desk.keys.provisioned)
        print("cisterna", VERSION, "on", loop.telemetry.desk.name, "running")
        hal.start_watchdog(WATCHDOG_MS)
        gc.collect()
        gc.threshold(gc.mem_free() // 4 + gc.mem_alloc())
        asyncio.run(_main(loop))
    except KeyboardInterrupt:
        print("cisterna: interrupted, motor off; the watchdog will restart the pump")
    except ForeignRecord as refusal:
        print("cisterna: not dosing:", refusal)
    except Exception as error:
        sys.print_exception(error)
    finally:
        if hal is not None:
            hal.close()
        asyncio.new_event_loop()
        if loop is not None and loop.telemetry.desk.restart:
            ports.restart(REASON_RESTART)
        while loop is not None and loop.telemetry.desk.keys.provisioned:
            time.sleep_ms(_SLEEP_MS)  # no prompt; the watchdog is near
        lock_console(False)


def _whole_hal(data: object, ports: "Any") -> "tuple[Any, int]":
    """The ports of a board that may run, and why it was reset; no ports, having said why, if it
    may not."""
    whole, text = release.check()
    if not whole:
        print("cisterna: not dosing:", text)
        return None, REASON_NONE
    reason = ports.take_reason()
    try:
        hal = ports.board_hal(Board(data))
    except LimitError as refusal:
        print("cisterna: not dosing: board file refused:", refusal)
        return None, reason
    except RuntimeError as refusal:  # this build of MicroPython lacks something
        print("cisterna: not dosing:", refusal)
        return None, reason
    if hal.service() or reason == REASON_SERVICE:
        print("cisterna: service, not dosing; reset the board to run")
        hal.close()
        return None, reason
    return hal, reason
