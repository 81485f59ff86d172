"""How far the step program's periods are from those asked for, by its own words.

They run in the project's PIO interpreter, which counts cycles of the 125 MHz system clock; the
tests hold it against another emulator. The emulated board cannot tell: its PIO gets one
instruction for each of the processor's.
"""

from collections.abc import Iterator
from itertools import pairwise

from rich.table import Table

from cisterna_sim.pio.board import PioBoard
from cisterna_tools.bench import table

INTERVALS_US = (4, 10, 100, 313, 1_000, 5_000, 100_000, 1_000_000)
STEPS = 1_000
_SYSTEM_MHZ = 125
_STEP, _DIRECTION, _ENABLE, _COUNT = 2, 3, 4, 5


def _rises(interval_us: int) -> tuple[list[int], int]:
    """Cycles at which STEP rose in a burst, and how many of them were counted."""
    board = PioBoard(((_STEP, _COUNT),))
    rises: list[int] = []

    def edge(pin: int, level: int, cycle: int) -> None:
        if pin == _STEP and level:
            rises.append(cycle)

    board.pins.hooks.append(edge)
    stepper = board.hal.PioStepper(0, _STEP, _DIRECTION, _ENABLE)
    counter = board.hal.PioCounter(4, _COUNT)
    stepper.burst(STEPS, interval_us)
    board.pio.run_until(board.pio.cycle + (STEPS * interval_us + 100) * _SYSTEM_MHZ)
    return rises, counter.count()


def tables() -> Iterator[Table]:
    """A row for each interval."""
    made = table(
        f"The step program: a burst of {STEPS} pulses, errors in cycles of 8 ns",
        *("interval us", "pulses", "counted", "worst period", "sum over the burst"),
    )
    for interval_us in INTERVALS_US:
        rises, counted = _rises(interval_us)
        period = interval_us * _SYSTEM_MHZ
        made.add_row(
            f"{interval_us:,}",
            f"{len(rises)}",
            f"{counted}",
            f"{max(abs(after - before - period) for before, after in pairwise(rises))}",
            f"{rises[-1] - rises[0] - period * (STEPS - 1)}",
        )
    yield made
