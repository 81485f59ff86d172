"""The core on the MicroPython VM: heap, allocations, wear of the flash.

With a 32-bit VM the figures are a board's; a 64-bit one has objects of twice the size, and its
integers take the microseconds that are objects on a board (from 2**30 up).
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from cisterna_sim import scenario, tape, vm, vm_pico
from cisterna_sim.vm import Vm
from cisterna_tools.bench import BenchError, gates, table
from cisterna_tools.bench.gates import Gate

SCENARIOS = ("day", "slow-occlusion", "power-lost-in-bolus")
DOSES_UG = (96, 300, 4900)
WEAR_DAYS = 100
FLASH_HEAP_KB = 8_000
_KB = 1024


def _runs(machine: Vm, staged: Path, folder: Path, heap_kb: int) -> bool:
    try:
        told = machine.run(staged, "replay.py", folder, folder / "out", "dict", heap_kb=heap_kb)
    except vm.VmError:
        return False
    # The core takes up a MemoryError as it does any other, and goes on otherwise.
    return "diverged" not in told


def smallest_heap_kb(machine: Vm, staged: Path, folder: Path) -> int:
    """Smallest heap of a board, to 4 kB, in which a tape replays."""
    low, high = 0, vm.BOARD_HEAP_KB
    while high - low > 4:
        middle = (low + high) // 2
        low, high = (low, middle) if _runs(machine, staged, folder, middle) else (middle, high)
    return high


def replays(machine: Vm, staged: Path, scratch: Path) -> Table:
    """Heap that whole scenarios need, with the harness that replays them."""
    made = table(
        f"Scenarios in a board's heap of {vm.BOARD_HEAP_KB} kB, on {machine.name}",
        *("scenario", "ticks", "calls", "loaded kB", "peak kB", "most in a tick kB"),
        *("smallest heap kB", "s"),
    )
    for name in SCENARIOS:
        folder = scratch / name
        (folder / "out").mkdir(parents=True)
        tape.record(scenario.load(name), folder)
        told = machine.run(staged, "replay.py", folder, folder / "out", "measured")
        if "diverged" in told:
            raise BenchError(told["diverged"])
        made.add_row(
            name,
            f"{told['ticks']:,}",
            f"{told['calls']:,}",
            f"{told['loaded'] / _KB:.0f}",
            f"{told['peak'] / _KB:.0f}",
            f"{told['tick_peak'] / _KB:.0f}",
            f"{smallest_heap_kb(machine, staged, folder)}",
            f"{told['ms'] / 1000:.1f}",
        )
    return made


def steady(machine: Vm, staged: Path) -> Table:
    """What hours of steady dosing leave, and what their looks and ticks allocate."""
    made = table(
        f"Hours of steady dosing (I06), on {machine.name}",
        *("ug/day at 2000 ug/mL", "store", "steps", "looks", "saves"),
        *("heap before", "after each hour", "by looks B", "a tick B", "tick at most B"),
        "tick that saves B",
    )
    for dose_ug in DOSES_UG:
        for kind, heap_kb in (("dict", vm.BOARD_HEAP_KB), ("files", vm.BOARD_HEAP_KB + 512)):
            told = machine.run(staged, "steady.py", dose_ug, kind, heap_kb=heap_kb)
            before, *after = told["held"]
            made.add_row(
                f"{dose_ug}",
                {"dict": "RAM", "files": "LittleFS"}[kind],
                *(f"{told[key]:,}" for key in ("steps", "looks", "saves")),
                f"{before:,}",
                " ".join(f"{held - before:+}" for held in after),
                f"{told['look_sum']}",
                f"{told['tick_sum'] / told['ticks']:.0f}",
                f"{told['tick_most']:,}",
                # The flash in RAM is Python and allocates; a board's is not and does not.
                f"{told['save_most']:,}" if kind == "dict" else "",
            )
    return made


def wear(machine: Vm, staged: Path, folder: Path) -> Table:
    """Erases of a Pico's flash by the default day's writes, day after day (I05)."""
    made = table(
        f"{WEAR_DAYS} days of '{scenario.DEFAULT}' on a Pico's flash (I05)",
        *("writes a day", "erases a day", "blocks used", "worst block", "worst in ten years"),
    )
    told = machine.run(staged, "wear.py", folder, WEAR_DAYS, heap_kb=FLASH_HEAP_KB)
    made.add_row(
        f"{told['writes_a_day']}",
        f"{told['all'] / WEAR_DAYS:.1f}",
        f"{told['blocks']} of 352",
        f"{told['worst']}",
        f"{told['ten_years']:,}",
    )
    return made


def pico(scratch: Path) -> tuple[Table, list[Gate]]:
    """The whole pump in a Pico's heap while it doses, a session is open and telemetry at 10 Hz."""
    made = table(
        f"A Pico's heap of {vm_pico.HEAP_BYTES:,} bytes, dosing, session, telemetry at 10 Hz",
        *("the pump", "bytes free", "gate", "largest block", "in use before it"),
    )
    measured = []
    for frozen in (True, False):
        what = "frozen, as in the image" if frozen else "from its files"
        folder = scratch / what
        folder.mkdir()
        told = vm_pico.heap(folder, frozen)
        gate = of_heap(told, frozen)
        measured.append(gate)
        made.add_row(what, f"{told.free:,}", gate.bound, f"{told.largest:,}", f"{told.before:,}")
    return made, measured


def of_heap(told: vm_pico.Heap, frozen: bool) -> Gate:
    """What the pump leaves of a Pico's heap."""
    if frozen:
        return Gate("heap free, frozen as in the image", told.free, gates.IMAGE_LEAVES, True)
    return Gate("heap free, from files", told.free, gates.FILES_LEAVE, True)


def tables() -> Iterator[Table]:
    """Heap of scenarios, hours of dosing, wear, a Pico's heap; BenchError if a gate is passed."""
    try:
        machine = vm.chosen()
        with tempfile.TemporaryDirectory() as scratch:
            staged = vm.stage(Path(scratch) / "mpy")
            yield replays(machine, staged, Path(scratch))
            yield steady(machine, staged)
            yield wear(machine, staged, Path(scratch) / scenario.DEFAULT)
            if machine.bits == 32:
                made, measured = pico(Path(scratch))
                yield made
                gates.hold(measured)
    except vm.VmError as error:
        raise BenchError(str(error)) from None
