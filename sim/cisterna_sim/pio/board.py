"""A board's pins and PIO for the host: runs ``firmware/hal/pio_*.py`` themselves on CPython.

It offers the few names of MicroPython's ``rp2`` and ``machine`` that the files use. What would
block on a board raises here: a ``put`` into a full FIFO, a ``get`` from an empty one.
"""

import importlib
import sys
from array import array
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from cisterna_sim.pio import asm
from cisterna_sim.pio.interpreter import FIFO_WORDS, Pins, Pio

_FOLDER = Path(__file__).parents[3] / "firmware" / "hal" / "rp2"
# The modules of a board are its own: they hold on to its pins.
_PACKAGE = "hal_on_host"


class PioBoard:
    """Pins and PIO. Every call of the firmware takes ``call_cycles`` of the system clock.

    On a Pico a call takes 1 us or more, 125 cycles (recall). ``hal`` and ``cutoff`` are the
    firmware's pio_stepper and pio_cutoff.
    """

    def __init__(
        self,
        wires: tuple[tuple[int, int], ...] = (),
        call_cycles: int = 250,
        system_hz: int = 125_000_000,
    ) -> None:
        self.pins = Pins(wires)
        self.pio = Pio(self.pins)
        self.call_cycles = call_cycles
        self.system_hz = system_hz
        self.hal, self.cutoff = self._load("pio_stepper", "pio_cutoff")

    def call(self) -> None:
        """Let the time of one call pass."""
        self.pio.run_until(self.pio.cycle + self.call_cycles)

    def _load(self, *names: str) -> list[Any]:
        rp2, machine, package = ModuleType("rp2"), ModuleType("machine"), ModuleType(_PACKAGE)
        here = {"board": self}
        vars(rp2).update(
            asm_pio=asm.asm_pio, PIO=asm, StateMachine=type("StateMachine", (_Sm,), here)
        )
        vars(machine).update(freq=lambda: self.system_hz, Pin=type("Pin", (_Pin,), here))
        package.__path__ = [str(_FOLDER)]
        kept = dict(sys.modules)
        sys.modules.update({"rp2": rp2, "machine": machine, _PACKAGE: package})
        try:
            return [importlib.import_module(f"{_PACKAGE}.{name}") for name in names]
        finally:
            for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
                del sys.modules[name]
            for name in ("rp2", "machine"):
                del sys.modules[name]
                if name in kept:
                    sys.modules[name] = kept[name]


class _Pin:
    """``machine.Pin``."""

    IN, OUT, PULL_DOWN = 0, 1, 2
    board: ClassVar[PioBoard]

    def __init__(
        self, number: int, mode: int = -1, pull: int = -1, value: int | None = None
    ) -> None:
        self.number = number
        if value is not None:
            self.value(value)

    def value(self, level: int) -> None:
        board = self.board
        board.call()
        board.pins.drive(self.number, int(level), board.pio.cycle)


class _Sm:
    """``rp2.StateMachine``."""

    board: ClassVar[PioBoard]

    def __init__(
        self,
        number: int,
        program: asm.Program,
        freq: int,
        sideset_base: _Pin | None = None,
        in_base: _Pin | None = None,
        jmp_pin: _Pin | None = None,
    ) -> None:
        self._machine = self.board.pio.machines[number]
        divider, rest = divmod(self.board.system_hz, freq)
        if rest:
            raise ValueError(f"{freq} Hz needs a fractional divider, so its edges would jitter")
        self._machine.configure(
            program,
            divider,
            self._now(),
            sideset_base.number if sideset_base else 0,
            in_base.number if in_base else 0,
            jmp_pin.number if jmp_pin else 0,
        )

    def _now(self) -> int:
        self.board.call()
        return self.board.pio.cycle

    def active(self, on: int) -> None:
        self._machine.enable(bool(on), self._now())

    def restart(self) -> None:
        self._machine.restart(self._now())

    def exec(self, word: int) -> None:
        self._machine.execute(word, self._now())

    def tx_fifo(self) -> int:
        self._now()
        return len(self._machine.tx)

    def rx_fifo(self) -> int:
        self._now()
        return len(self._machine.rx)

    def put(self, words: "array[int]") -> None:
        now = self._now()
        if len(self._machine.tx) + len(words) > FIFO_WORDS:
            raise BlockingIOError("put would wait for room in the FIFO")
        self._machine.tx.extend(words)
        self._machine.wake(now)

    def get(self, words: "array[int] | None" = None) -> int:
        now = self._now()
        if not self._machine.rx:
            raise BlockingIOError("get would wait for a word")
        word = self._machine.rx.popleft()
        self._machine.wake(now)
        if words is not None:
            words[0] = word
        return word
