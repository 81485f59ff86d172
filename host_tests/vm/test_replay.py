"""Rung 2: the core on a real MicroPython VM does what it does on CPython, byte for byte."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cisterna.base.settings import Limits
from cisterna.orders import Refused
from cisterna.parts.program import continuous
from cisterna_sim import scenario, tape, vm
from cisterna_sim.plant import PlantConfig
from cisterna_sim.rig_board import default_calibration
from cisterna_sim.store import DictStore, PowerCut

# Half a year takes half a minute to play once.
LONGEST = "clean-180"
SCENARIOS = [name for name, _ in scenario.available() if name != LONGEST]
# The replay itself reads the tape by pieces of 4 kB, and keeps the records and the log in RAM.
TAPE_KB = 16
BUSY = ("day", "slow-occlusion", "power-lost-in-bolus")
# The flash's content lies on the heap, too: no board's heap to hold it against.
FLASH_HEAP_KB = 8_000
# Writes of a first boot and set-up, and of the first allowances.
CUTS = range(1, 24)


@pytest.fixture(scope="session")
def taped(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Records a scenario, once; returns the folder with its tape."""
    folders: dict[str, Path] = {}

    def record(name: str) -> Path:
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name)
            tape.record(scenario.load(name), folders[name])
        return folders[name]

    return record


def _same(machine: vm.Vm, staged: Path, source: Path, out: Path, kind: str, heap_kb: int) -> None:
    """Replay a tape and compare all that the core left."""
    told = machine.run(staged, "replay.py", source, out, kind, heap_kb=heap_kb)
    assert "diverged" not in told, told["diverged"]
    assert (source / tape.EVENTS).stat().st_size
    for path in source.iterdir():
        if path.name != tape.TAPE:
            assert (out / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("name", SCENARIOS)
def test_events_records_and_motor_equal_those_of_cpython(either, staged, taped, tmp_path, name):
    """Compiled files, and LittleFS as the store."""
    _same(either, staged, taped(name), tmp_path, "files", FLASH_HEAP_KB)


@pytest.mark.long
@pytest.mark.slow
def test_half_a_year_equals_that_of_cpython(either, staged, taped, tmp_path):
    _same(either, staged, taped(LONGEST), tmp_path, "files", FLASH_HEAP_KB)


@pytest.mark.req("I06")
@pytest.mark.parametrize("name", BUSY)
def test_the_core_fits_into_what_a_board_leaves_it(machine, staged, taped, tmp_path, name):
    _same(machine, staged, taped(name), tmp_path, "dict", vm.BOARD_HEAP_KB + TAPE_KB)
    motor = (taped(name) / tape.MOTOR).read_text(encoding="utf-8")
    assert motor.count("burst") > 1000


def test_sources_do_the_same_as_compiled_files(machine, taped, tmp_path):
    sources = vm.stage(tmp_path / "sources", compiled=False)
    (tmp_path / "out").mkdir()
    _same(machine, sources, taped("day"), tmp_path / "out", "files", FLASH_HEAP_KB)


def _use(rig: tape.TapedRig) -> None:
    """Set the pump up and let it deliver; a torn record may make it refuse to."""
    rig.run_for(3)
    orders = rig.orders
    for method, *arguments in (
        (orders.set_limits, Limits({"restarts": 3})),
        (orders.refill, 15_000_000, 2000),
        (orders.set_program, continuous(2000, 400_000)),
        (orders.acknowledge, (1 << 24) - 1),
        (orders.start,),
    ):
        with suppress(Refused):
            rig.order(method, *arguments)
    rig.run_for(1800)


@pytest.mark.req("R07")
@pytest.mark.parametrize("cut_at", CUTS)
def test_a_cut_in_a_write_is_lived_through_alike(machine, staged, tmp_path, cut_at):
    recording, out, store = tape.Tape(), tmp_path / "out", DictStore()
    out.mkdir()
    store.cut_at = cut_at

    def boot() -> tape.TapedRig:
        return tape.TapedRig(PlantConfig(), default_calibration(), store=store, tape=recording)

    rig = None
    try:
        rig = boot()
        _use(rig)
    except PowerCut:
        if rig is None:
            rig = boot()
        else:
            rig.power_up(1)
        _use(rig)
    recording.save(tmp_path, store)
    told = machine.run(staged, "replay.py", tmp_path, out)
    assert "diverged" not in told, told["diverged"]
    for name in (tape.MOTOR, tape.EVENTS, tape.RING):
        assert (out / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_core_that_does_something_else_is_found_with_its_place(machine, taped, tmp_path):
    other = vm.stage(tmp_path / "other", compiled=False)
    dosing = other / "cisterna" / "parts" / "dosing.py"
    dosing.write_text(
        dosing.read_text().replace("INTERVAL_US = const(5_000)", "INTERVAL_US = const(5_001)")
    )
    told = machine.run(other, "replay.py", taped("day"), tmp_path)
    assert "within tick(" in told["diverged"]
    assert "did stepper.burst(1, 5000), this one stepper.burst(1, 5001)" in told["diverged"]
