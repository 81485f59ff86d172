"""Carry lines between the console and the telemetry interface, in two tasks of the board's loop.

``listen`` waits on the console itself, so an answer does not wait for the pump's next tick. It
reads one byte at a time, and at most 32 of them before the pump gets a chance to step. ``speak``
writes when there is something to write; if the host does not read, it tries again each 50 ms.
"""

import asyncio
import sys

from cisterna.base.compat import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from cisterna.telemetry.server import Telemetry

    from .console import Console

# A slice of reading also ends where a line does: an answer can take as long as a step may wait.
_SLICE_BYTES = const(32)
# After this many answers garbage is collected: each leaves some 5 kB.
_LINES = const(4)
_LF = const(10)
_DEAF_MS = const(50)


class Conversation:
    """``listen`` and ``speak`` are the tasks; ``spoken`` is to be called when lines may wait."""

    def __init__(
        self,
        console: "Console",
        telemetry: "Telemetry",
        now_us: "Callable[[], int]",
        changed: "Callable[[], None]",
        tidy: "Callable[[], bool]",
    ) -> None:
        """``changed`` is called when a line may have changed the pump; ``tidy`` after some lines,
        once all is said: it gives True if it had the time to collect garbage."""
        self._console = console
        self._telemetry = telemetry
        self._now_us = now_us
        self._changed = changed
        self._tidy = tidy
        self._lines = 0  # since the last time
        self._wake = asyncio.Event()

    def spoken(self) -> None:
        """Wake ``speak`` if lines wait."""
        if self._console.held:
            self._wake.set()

    async def listen(self) -> None:
        """Read and carry out lines, for ever."""
        console, telemetry, now_us = self._console, self._telemetry, self._now_us
        collect = telemetry.collect
        source = asyncio.StreamReader(sys.stdin.buffer)
        while True:
            data = await source.read(1)
            byte = data[0]
            taken = 0
            while byte >= 0:
                if byte == _LF:
                    await self._end_of_line(telemetry.receive(now_us(), byte))
                    break
                collect(byte)
                taken += 1
                byte = console.read() if taken < _SLICE_BYTES else -1
            self.spoken()

    async def _end_of_line(self, changed: bool) -> None:
        """Finish a line: a long answer is made in pieces, between the pump's steps."""
        telemetry = self._telemetry
        while telemetry.busy:
            await asyncio.sleep_ms(0)
            changed = telemetry.proceed(self._now_us())
        if changed:
            self._changed()
        self._lines += 1

    async def speak(self) -> None:
        """Write out the lines that wait, for ever."""
        console = self._console
        while True:
            before = console.held
            if not before:
                if self._lines >= _LINES and self._tidy():
                    self._lines = 0
                await self._wake.wait()
                self._wake.clear()
                continue
            await asyncio.sleep_ms(0 if console.flush() < before else _DEAF_MS)
