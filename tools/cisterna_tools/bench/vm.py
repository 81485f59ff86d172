"""The core on the real MicroPython VM: heap, allocations, wear of the flash.

The VM is the 64-bit unix port, whose objects are twice a board's size; its small integers have 63
bits, so the microseconds that need an object of their own on a board (from 2**30 up) need none
here. Figures of a board itself come from the emulated one.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from cisterna_sim import scenario, tape, vm
from cisterna_tools.bench import BenchError, table

SCENARIOS = ("day", "slow-occlusion", "power-lost-in-bolus")
DOSES_UG = (96, 300, 4900)
WEAR_DAYS = 100
FLASH_HEAP_KB = 16_000
_KB = 1024


def _runs(staged: Path, folder: Path, heap_kb: int) -> bool:
    try:
        vm.run(staged, "replay.py", folder, folder / "out", heap_kb=heap_kb)
    except vm.VmError:
        return False
    return True


def smallest_heap_kb(staged: Path, folder: Path) -> int:
    """Smallest heap, to 4 kB, in which a tape replays."""
    low, high = 0, vm.HEAP_KB
    while high - low > 4:
        middle = (low + high) // 2
        low, high = (low, middle) if _runs(staged, folder, middle) else (middle, high)
    return high


def replays(staged: Path, scratch: Path) -> Table:
    """Heap that whole scenarios need, with the harness that replays them."""
    made = table(
        f"Scenarios in a heap of {vm.HEAP_KB} kB",
        *("scenario", "ticks", "calls", "loaded kB", "peak kB", "most in a tick kB"),
        *("smallest heap kB", "s"),
    )
    for name in SCENARIOS:
        folder = scratch / name
        (folder / "out").mkdir(parents=True)
        tape.record(scenario.load(name), folder)
        told = vm.run(staged, "replay.py", folder, folder / "out")
        if "diverged" in told:
            raise vm.VmError(told["diverged"])
        made.add_row(
            name,
            f"{told['ticks']:,}",
            f"{told['calls']:,}",
            f"{told['loaded'] / _KB:.0f}",
            f"{told['peak'] / _KB:.0f}",
            f"{told['tick_peak'] / _KB:.0f}",
            f"{smallest_heap_kb(staged, folder)}",
            f"{told['ms'] / 1000:.1f}",
        )
    return made


def steady(staged: Path) -> Table:
    """What an hour of steady dosing leaves, and what its looks and ticks allocate."""
    made = table(
        "An hour of steady dosing (I06)",
        *("ug/day at 2000 ug/mL", "store", "steps", "looks", "saves", "heap before", "after"),
        *("by looks B", "tick B", "tick that saves B"),
    )
    for dose_ug in DOSES_UG:
        for kind, heap_kb in (("dict", vm.HEAP_KB), ("files", vm.HEAP_KB + 512)):
            told = vm.run(staged, "steady.py", dose_ug, kind, heap_kb=heap_kb)
            keys = ("steps", "looks", "saves", "before", "after", "look_sum", "tick_most")
            made.add_row(
                f"{dose_ug}",
                {"dict": "RAM", "files": "LittleFS"}[kind],
                *(f"{told[key]:,}" for key in keys),
                # The flash in RAM is Python and allocates; a board's is not and does not.
                f"{told['save_most']:,}" if kind == "dict" else "",
            )
    return made


def wear(staged: Path, folder: Path) -> Table:
    """Erases of a Pico's flash by the default day's writes, day after day (I05)."""
    made = table(
        f"{WEAR_DAYS} days of '{scenario.DEFAULT}' on a Pico's flash (I05)",
        *("writes a day", "erases a day", "blocks used", "worst block", "worst in ten years"),
    )
    told = vm.run(staged, "wear.py", folder, WEAR_DAYS, heap_kb=FLASH_HEAP_KB)
    made.add_row(
        f"{told['writes_a_day']}",
        f"{told['all'] / WEAR_DAYS:.1f}",
        f"{told['blocks']} of 352",
        f"{told['worst']}",
        f"{told['ten_years']:,}",
    )
    return made


def tables() -> Iterator[Table]:
    """Heap of scenarios, an hour of dosing, wear."""
    if vm.missing():
        raise BenchError(vm.missing())
    with tempfile.TemporaryDirectory() as scratch:
        staged = vm.stage(Path(scratch) / "mpy")
        yield replays(staged, Path(scratch))
        yield steady(staged)
        yield wear(staged, Path(scratch) / scenario.DEFAULT)
