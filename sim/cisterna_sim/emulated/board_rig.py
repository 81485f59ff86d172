"""The emulated rig: the pump on an RP2040 under real MicroPython, on the plant's wires.

Driven by emulated time. A processor that is busy runs about 20 times slower than a real one, one
that sleeps many times faster.
"""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cisterna.base.journal import decode_entry
from cisterna.base.settings import Limits
from cisterna.events import describe
from cisterna.parts.board import Board
from cisterna.parts.program import Program
from cisterna_sim.emulated import flash as flash_image
from cisterna_sim.emulated.chip import Chip
from cisterna_sim.emulated.prepare import Remembered, delivering
from cisterna_sim.emulated.wiring import Wiring
from cisterna_sim.plant import Plant, PlantConfig
from cisterna_tools import boards


def board_data(name: str) -> Board:
    """A board file, checked."""
    source = boards.source(name)
    data: dict[str, Any] = {}
    exec(compile(source.read_bytes(), str(source), "exec"), data)
    return Board(SimpleNamespace(**data))


class BoardRig:
    """A Pico on a plant, powered or not. ``chip`` is that of this boot.

    True time is ``now_us``; power came at ``began_us``.
    """

    def __init__(self, plant: Plant, config: PlantConfig, flash: bytes, board: Board) -> None:
        self.plant = plant
        self.config = config
        self.board = board
        self.flash = flash
        self.power_up()

    def power_up(self) -> None:
        """Switch the supply on; nothing has run yet."""
        plant = self.plant
        plant.power(True)
        self.began_us = plant.now_us
        self.chip = chip = Chip(self.flash)
        began_us = self.began_us
        self.wiring = Wiring(
            chip,
            plant,
            self.board.pins,
            lambda: began_us + chip.now_us,
        )
        chip.on_reset = self.wiring.release

    def power_down(self) -> None:
        """Cut the supply now; the flash keeps what it holds."""
        self.wiring.advance()
        self.flash = self.chip.flash
        self.plant.power(False)

    @property
    def now_us(self) -> int:
        """True time."""
        return self.began_us + self.chip.now_us

    @property
    def pulses(self) -> list[tuple[int, int]]:
        """Rising edges of STEP since power-on: (true time in us, +1 or -1)."""
        return self.wiring.pulses

    @property
    def said(self) -> str:
        """What the console has said since power-on."""
        return self.chip.console.received.decode(errors="replace")

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.chip.run_until(self.chip.now_us + round(seconds * 1e6))
        self.wiring.advance()

    def run_until(
        self, done: Callable[[], object], at_most_s: float, every_s: float = 0.01
    ) -> float:
        """Run until ``done()``; the seconds that it took. TimeoutError after ``at_most_s``."""
        began_us = self.now_us
        while not done():
            passed_s = (self.now_us - began_us) / 1e6
            if passed_s >= at_most_s:
                raise TimeoutError(f"not within {at_most_s} s; the console: {self.said[-500:]!r}")
            self.run(every_s)
        return (self.now_us - began_us) / 1e6

    def press(self, seconds: float = 0.6) -> None:
        """Press the button for so long, and let a look see it released."""
        self.wiring.press(True)
        self.run(seconds)
        self.wiring.press(False)
        self.run(0.3)

    def counted(self) -> int:
        """What the counting state machine holds: edges that its own pin has seen."""
        return int(0xFFFF_FFFF - self.chip.mcu.pio[1].machines[0].x)

    def remembered(self) -> Remembered:
        """What the pump would know after a power cut at this moment."""
        return Remembered(flash_image.files(self.chip.flash), self.board.calibration)

    def events(self) -> list[tuple[str, str]]:
        """Names and details of the event log."""
        return [describe(*decode_entry(entry)[2:]) for entry in self.remembered().entries]


def deliver(
    program: Program,
    *,
    pump: tuple[Path, dict[str, bytes]] | None = None,
    board: str = "pico",
    files: dict[str, bytes] | None = None,
    limits: dict[str, int] | None = None,
    state: bool = True,
    **plant: Any,
) -> BoardRig:
    """A rig whose pump was delivering ``program`` when its power failed, switched on again.

    ``pump`` is an image and the files that it runs, `flash.pump`'s if not given; ``files`` are
    added to them. Without ``state`` the pump has lost its memory.
    """
    data = board_data(board)
    config = PlantConfig(concentration_ug_per_ml=program.concentration_ug_per_ml, **plant)
    truth, memory = delivering(config, data.calibration, program, Limits(limits or {}))
    uf2, firmware = flash_image.pump(board) if pump is None else pump
    flash = flash_image.make(uf2, {**firmware, **(memory if state else {}), **(files or {})})
    return BoardRig(truth, config, flash, data)
