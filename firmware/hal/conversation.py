"""The console's side of the telemetry interface: hears what is typed, says what was written.

Two tasks of the loop. Reading waits on the console itself, so an answer does not wait for the
pump's next tick; it takes one byte at a time and no more than a handful between two chances for
the pump to step. Saying wakes when there is something to say, and comes back seldom to a host that
does not read.
"""

import asyncio
import sys

from cisterna.base.compat import TYPE_CHECKING, const

if TYPE_CHECKING:
    from collections.abc import Callable

    from cisterna.telemetry.server import Telemetry

    from .console import Console

# A slice of reading ends with a line: to answer one can take as long as a step may wait.
_SLICE_BYTES = const(32)
# The answers to so many lines leave garbage worth collecting: some 5 kB each.
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
        """Say what waits, if anything does."""
        if self._console.held:
            self._wake.set()

    async def listen(self) -> None:
        """Take up what is typed, for good."""
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
        """See a line to its end: a long answer is made between the pump's steps."""
        telemetry = self._telemetry
        while telemetry.busy:
            await asyncio.sleep_ms(0)
            changed = telemetry.proceed(self._now_us())
        if changed:
            self._changed()
        self._lines += 1

    async def speak(self) -> None:
        """Pass on what was written, for good."""
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
