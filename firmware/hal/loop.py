"""The board's loop: looks at sensors, ticks the pump, feeds the watchdog, sleeps. Nothing else.

Ways out of ``main``, all of which leave the motor without current:

1. The board file is refused, or the firmware on the board is not whole: says why, never doses.
2. The service strap is set, or a service reset was asked for: no watchdog, back to the prompt.
3. Ctrl-C on the console: back to the prompt; the watchdog then resets the board within
   WATCHDOG_MS, since a pump must not stay stopped because somebody looked at it.
4. An exception: shown on the console, then as 3.
"""

import asyncio
import gc
import sys
import time

from pump.board import Board
from pump.clock import TicksClock
from pump.compat import TYPE_CHECKING, const
from pump.controller import Controller
from pump.modes import BASAL, BOLUS
from pump.orders import Orders
from pump.sampler import PERIOD_US
from pump.units import LimitError
from pump.version import VERSION

from . import release

if TYPE_CHECKING:
    from typing import Any

WATCHDOG_MS = const(5_000)
# F11: a loop whose checks have not passed for this long is no longer fed.
STALE_US = const(1_000_000)
_SLEEP_MS = const(250)

# Rows of events.BOOT_CAUSES.
_POWER_ON = const(0)
_WATCHDOG = const(2)
_RESTART = const(3)

# What the reason cell can hold: why the board was reset on purpose.
REASON_NONE = const(0)
REASON_RESTART = const(1)
REASON_SERVICE = const(2)


class Loop:
    """The running pump of one board. ``worst_tick_us`` is the longest tick so far."""

    def __init__(self, board: Board, hal: "Any", cause: int) -> None:
        self.hal = hal
        self.clock = TicksClock(time.ticks_us)
        now_us = self.clock.now_us()
        self.pump = Controller(hal, board.calibration, now_us, cause)
        self.orders = Orders(self.pump)
        self.worst_tick_us = 0
        self._due_us = now_us
        self._look_us = now_us
        self._passed_us = now_us

    def step(self) -> int:
        """Do what is due; returns the ms to sleep until the next thing is, at most _SLEEP_MS."""
        now_us = self.clock.now_us()
        pump = self.pump
        if now_us >= self._look_us:
            pump.sampler.look()
            # Looks that were missed are not made up: they would all see the present.
            self._look_us = max(self._look_us + PERIOD_US, now_us)
        if now_us >= self._due_us or pump.sampler.attention:
            self._due_us = pump.tick(now_us)
            spent_us = self.clock.now_us() - now_us
            if spent_us > self.worst_tick_us:
                self.worst_tick_us = spent_us
        self._check(now_us)
        next_us = min(self._due_us, self._look_us) - self.clock.now_us()
        return max(0, min(_SLEEP_MS, next_us // 1000))

    def _check(self, now_us: int) -> None:
        """Feed the watchdog if all is as it should be, from here alone."""
        pump = self.pump
        flowing = pump.dosing.rate_nl_per_day > 0
        if (
            now_us - self._look_us < STALE_US
            and now_us - self._due_us < STALE_US
            and (not flowing or pump.modes.mode in (BASAL, BOLUS))
        ):
            self._passed_us = now_us
        if now_us - self._passed_us < STALE_US:
            self.hal.feed()

    async def run(self) -> None:
        """Run for good."""
        while True:
            await asyncio.sleep_ms(self.step())

    async def announce(self) -> None:
        """Play buzzer and lamps."""
        annunciator = self.hal.signal
        while True:
            await asyncio.sleep_ms(annunciator.step(time.ticks_ms()))


async def _main(loop: Loop) -> None:
    annunciator = asyncio.create_task(loop.announce())
    try:
        await loop.run()
    finally:
        annunciator.cancel()


def _ports(port: str) -> "Any":
    """The module of the chip's ports; the other one cannot be imported on it."""
    if port == "esp32":
        from . import esp32

        return esp32
    from . import rp2

    return rp2


def main(data: object) -> "Loop | None":
    """Run the pump that a board file describes; returns only as the module says."""
    ports = _ports(getattr(data, "PORT", ""))
    whole, text = release.check()
    if not whole:
        print("cisterna: not dosing:", text)
        return None
    try:
        board = Board(data)
    except LimitError as refusal:
        print("cisterna: not dosing: board file refused:", refusal)
        return None
    reason = ports.take_reason()
    try:
        hal = ports.board_hal(board)
    except RuntimeError as refusal:  # this build of MicroPython lacks something
        print("cisterna: not dosing:", refusal)
        return None
    try:
        if hal.service() or reason == REASON_SERVICE:
            print("cisterna: service, not dosing; reset the board to run")
            return None
        cause = _RESTART if reason == REASON_RESTART else _POWER_ON
        if reason == REASON_NONE and ports.watchdog_reset():
            cause = _WATCHDOG
        loop = Loop(board, hal, cause)
        print("cisterna", VERSION, "on", board.name, "running")
        hal.start_watchdog(WATCHDOG_MS)
        gc.collect()
        gc.threshold(gc.mem_free() // 4 + gc.mem_alloc())
        asyncio.run(_main(loop))
    except KeyboardInterrupt:
        print("cisterna: interrupted, motor off; the watchdog will restart the pump")
    except Exception as error:
        sys.print_exception(error)
    finally:
        hal.close()
        asyncio.new_event_loop()
    return None
