"""A board to test: emulated with the rig on its pins, or a bench Pico over USB (PORT=...).

What both can do goes through ``Board``; what needs the rig takes ``rig`` and runs emulated only.
"""

import os
import pickle
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

import pytest

from cisterna.base import faults
from cisterna.parts.calendar import ALL_DAYS
from cisterna.parts.ledger import Ledger
from cisterna.parts.program import KIND_CONTINUOUS, Program
from cisterna_sim.emulated import probe
from cisterna_sim.emulated.board_rig import BoardRig

PORT = os.environ.get("PORT", "")
NO_PLANT = "a bench board has no rig on its pins that this test could read or disturb"

# 150 uL/day; a patient bolus of 10 uL over a minute, so that steps come often.
BASAL_NL_PER_DAY, BOLUS_NL, BOLUS_S = 150_000, 10_000, 60
PROGRAM = Program(KIND_CONTINUOUS, 2_000, ((ALL_DAYS, 0, 300_000),), 20_000, BOLUS_S, 3_600, 6)
STEP_NL = 89.819
# A Pico's 264 kB leave 240 kB to MicroPython's heap, of which the image takes some 60 and files
# 180, as a bench board may run. The longest line is 3 kB: its parts, what it stages and the reply
# must fit several times over, wherever the heap is broken up.
FREE_BYTES = 48 * 1024 if PORT else 160_000
# At most from power-on to the first motion.
BOOT_S = 5

_RAW = b"raw REPL; CTRL-B to exit\r\n>"


class Board(Protocol):
    """Time and bytes: all that a board on the bench offers."""

    def run(self, seconds: float) -> None:
        """Let the board's time pass."""

    def send(self, data: bytes) -> None:
        """Type something on its console."""

    def received(self) -> bytes:
        """What the console has said since the last call."""


class EmulatedBoard:
    """The emulated rig as a Board."""

    def __init__(self, rig: BoardRig) -> None:
        self.run = rig.run
        self._rig = rig
        self._heard = len(rig.chip.console.received)

    def send(self, data: bytes) -> None:
        self._rig.chip.console.send(data)

    def received(self) -> bytes:
        new = bytes(self._rig.chip.console.received[self._heard :])
        self._heard += len(new)
        return new


class SerialBoard:
    """A board at a serial port; it may drop off USB when it restarts."""

    def __init__(self, port: str) -> None:
        self._port = port
        self._serial: Any = None
        self._open()

    def _open(self) -> None:
        import serial  # type: ignore[import-untyped, unused-ignore]

        try:
            self._serial = serial.serial_for_url(self._port, timeout=0)
        except OSError:
            self._serial = None

    def run(self, seconds: float) -> None:
        time.sleep(seconds)

    def send(self, data: bytes) -> None:
        self._serial.write(data)

    def received(self) -> bytes:
        if self._serial is None:
            self._open()
            return b""
        try:
            return bytes(self._serial.read(65_536))
        except OSError:
            self._serial = None
            return b""


def wait_for(board: Board, text: bytes, at_most_s: float) -> bytes:
    """Run until the console has said ``text``; what it said up to there."""
    heard = b""
    passed_s = 0.0
    while text not in heard:
        assert passed_s < at_most_s, f"no {text!r} within {at_most_s} s, but {heard[-500:]!r}"
        board.run(0.05)
        passed_s += 0.05
        heard += board.received()
    return heard


def execute(board: Board, code: str, at_most_s: float = 10) -> str:
    """Run code at a board's prompt, by its raw REPL; what it printed."""
    board.send(b"\r\x01")
    wait_for(board, _RAW, 2)
    board.send(code.encode() + b"\x04")
    answer = wait_for(board, b"\x04>", at_most_s).partition(b"OK")[2]
    printed, error = answer.split(b"\x04")[:2]
    assert not error, error.decode()
    return printed.decode()


def standing(rig: BoardRig) -> list[int]:
    """Faults that the pump would still know of after a power cut now."""
    latched = rig.remembered().memory.state.latched
    return [code for code in range(len(faults.FAULTS)) if latched >> code & 1]


def ledger(rig: BoardRig) -> Ledger:
    """The account as it would be after a power cut now."""
    return rig.remembered().memory.state.ledger


def reports(rig: BoardRig, begin: int) -> list[probe.Report]:
    """The probe's reports since the console had said ``begin`` characters, whole lines only."""
    return probe.reports(rig.said[begin:])


def in_a_copy(test: Callable[..., None]) -> Callable[..., None]:
    """Let a test run in a copy of this process: see ``copied``."""

    @wraps(test)
    def in_fork(**given: Any) -> None:
        copied(lambda: test(**given))

    return in_fork


def copied(act: Callable[[], Any]) -> Any:
    """Do something in a fork of this process and return what it returns; pytest fails if it does.

    What it does to a rig is not done to the rig here. A boot takes half a minute of processor
    time; this is how many tests begin with one.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a thread of pytest-xdist does not come along
        child = os.fork()
    if not child:
        failure, result = "", None
        try:
            result = act()
        except BaseException:
            failure = traceback.format_exc()
        sys.stdout.flush()
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump((failure, result), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    failure, result = pickle.loads(content) if content else ("the copy ended without a word", None)
    if failure:
        pytest.fail(failure, pytrace=False)
    return result
