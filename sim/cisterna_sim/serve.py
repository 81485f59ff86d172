"""A simulated pump for clients: its telemetry line on a pty and on TCP, at the pace of real time.

The rig's time runs ``speed`` times as fast as the wall clock's. What a slow machine cannot keep up
with is not made up. Whatever clients do reaches the rig through the link alone, as on a board.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

from cisterna_sim.link import LinkedRig
from cisterna_sim.served import BUTTON_SIGNAL
from cisterna_sim.terminals import Terminals

_SLICE_S = 0.01
# Long enough to be seen at any speed, short of what is taken for a stuck button.
_PRESS_S = 1.0
_LONGEST_PRESS_S = 5.0
# Between two presses, for the first to be seen to end.
_RELEASE_S = 0.6
_CHUNK_BYTES = 256


class Server:
    """Runs a rig and passes on between its link and the terminals."""

    def __init__(
        self,
        rig: LinkedRig,
        terminals: Terminals,
        speed: float = 1.0,
        after_slice: Callable[[], object] = bool,
    ) -> None:
        """``after_slice`` is called after every slice of time, for what happens on a condition."""
        self._rig = rig
        self._after_slice = after_slice
        self._terminals = terminals
        self._speed = speed
        self._wanted = False
        self._pace()

    def _pace(self) -> None:
        """Count real time from now on."""
        self._began_s, self._began_us = time.monotonic(), self._rig.now_us

    def press(self) -> None:
        """Press the button for a second of real time, once a press before has ended."""
        self._wanted = True

    def _press(self) -> None:
        self._wanted = False
        seconds = min(_PRESS_S * self._speed, _LONGEST_PRESS_S)
        self._rig.press(seconds)

    def step(self) -> None:
        """Let a slice of time pass, and what is typed in it be answered."""
        rig, began_s = self._rig, time.monotonic()
        if self._wanted and rig.now_us >= rig.button.until_us + _RELEASE_S * 1e6:
            self._press()
        passed_us = round((began_s - self._began_s) * self._speed * 1e6)
        rig.run_until(max(rig.now_us, self._began_us + passed_us))
        self._after_slice()
        self._terminals.say(rig.link.take())
        if time.monotonic() - began_s > _SLICE_S:
            self._pace()
        typed = self._terminals.typed(_SLICE_S)
        if typed:
            rig.send(typed)
            self._terminals.say(rig.link.take())


class Hands:
    """Who presses the button: Enter at the terminal, or the button's signal; and who ends it.

    ``ended`` is true after Ctrl-C or a termination, and, with ``until_eof``, once standard input
    is at its end, as it is when the program that started this one has died.
    """

    def __init__(self, until_eof: bool = False) -> None:
        self._until_eof = until_eof
        self._listening = True
        self._presses = 0
        self.ended = False
        for number in (signal.SIGINT, signal.SIGTERM):
            # What a script started in the background ignores Ctrl-C, which is the foreground's.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._end)
        signal.signal(BUTTON_SIGNAL, self._press)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.ended = True

    def _press(self, number: int, frame: FrameType | None) -> None:
        self._presses += 1

    def presses(self) -> int:
        """How often the button was pressed since the last call."""
        if self._listening and select.select([sys.stdin], [], [], 0)[0]:
            typed = os.read(sys.stdin.fileno(), _CHUNK_BYTES)
            self._presses += typed.count(b"\n")
            if not typed:
                self._listening = False
                self.ended |= self._until_eof
        presses, self._presses = self._presses, 0
        return presses


def serve(server: Server, hands: Hands) -> None:
    """Serve until it is ended."""
    while not hands.ended:
        if hands.presses():
            server.press()
        server.step()
