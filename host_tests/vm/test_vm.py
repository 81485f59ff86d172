"""Rung 2: the firmware on a real MicroPython VM does what it does on CPython, byte for byte."""

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

SCENARIOS = ("day", "slow-occlusion", "power-lost-in-bolus")
# The flash's content lies on the heap, too: no board's heap to hold it against.
FLASH_HEAP_KB = 16_000
DAYS = 50
# Writes of a first boot and set-up, and of the first allowances.
CUTS = range(1, 24)


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware as .mpy files."""
    if vm.missing():
        pytest.skip(vm.missing())
    return vm.stage(tmp_path_factory.mktemp("mpy"))


@pytest.fixture(scope="session", params=SCENARIOS)
def taped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scenario's tape."""
    folder = tmp_path_factory.mktemp(request.param)
    tape.record(scenario.load(request.param), folder)
    return folder


def _replay(staged: Path, taped: Path, out: Path, kind: str = "dict") -> dict[str, Any]:
    """Replay a tape and compare what it left; figures of the run."""
    heap_kb = vm.HEAP_KB if kind == "dict" else FLASH_HEAP_KB
    told = vm.run(staged, "replay.py", taped, out, kind, heap_kb=heap_kb)
    assert "diverged" not in told, told["diverged"]
    for path in taped.iterdir():
        if path.name != tape.TAPE:
            assert (out / path.name).read_bytes() == path.read_bytes(), path.name
    return told


@pytest.mark.parametrize("kind", ["dict", "files"])
def test_events_records_and_motor_equal_those_of_cpython(staged, taped, tmp_path, kind):
    """On .mpy files; with a dictionary, under a board's heap, and with LittleFS as the store."""
    assert (taped / tape.EVENTS).stat().st_size
    assert (taped / tape.MOTOR).read_text().count("burst") > 1000
    told = _replay(staged, taped, tmp_path, kind)
    if kind == "dict":
        assert told["peak"] < vm.HEAP_KB * 1024 * 7 // 10


def test_sources_do_the_same_as_compiled_files(staged, taped, tmp_path):
    sources = vm.stage(tmp_path / "sources", compiled=False)
    (tmp_path / "out").mkdir()
    _replay(sources, taped, tmp_path / "out")


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
def test_a_cut_in_a_write_is_lived_through_alike(staged, tmp_path, cut_at):
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
    told = vm.run(staged, "replay.py", tmp_path, out)
    assert "diverged" not in told, told["diverged"]
    for name in (tape.MOTOR, tape.EVENTS, tape.RING):
        assert (out / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_core_that_does_something_else_is_found_with_its_place(staged, taped, tmp_path):
    other = vm.stage(tmp_path / "other", compiled=False)
    dosing = other / "cisterna" / "parts" / "dosing.py"
    dosing.write_text(
        dosing.read_text().replace("INTERVAL_US = const(5_000)", "INTERVAL_US = const(5_001)")
    )
    told = vm.run(other, "replay.py", taped, tmp_path)
    assert "within tick(" in told["diverged"]
    assert "did stepper.burst(1, 5000), this one stepper.burst(1, 5001)" in told["diverged"]


@pytest.mark.req("I06")
@pytest.mark.parametrize(
    ("dose_ug", "kind"), [(300, "dict"), (4900, "dict"), (300, "files"), (4900, "files")]
)
def test_an_hour_of_steady_dosing_leaves_the_heap_as_it_was(staged, dose_ug, kind):
    heap_kb = vm.HEAP_KB if kind == "dict" else vm.HEAP_KB + 512
    told = vm.run(staged, "steady.py", dose_ug, kind, heap_kb=heap_kb)
    assert told["after"] == told["before"]
    assert told["look_sum"] == 0
    assert told["mode"] == "BASAL"
    assert told["alarms"] == 0
    assert told["looks"] == 14_400
    assert told["saves"] > 2
    step_pl, strength = default_calibration().step_pl, 2000
    assert told["steps"] == pytest.approx(dose_ug / strength * 1e9 / 24 / step_pl, abs=1)


@pytest.mark.req("I06")
def test_a_full_table_of_faults_takes_no_more_heap_in_a_tick(staged):
    """60 faults and more: the sets of alarms are bytes. Only a save makes a mask of them."""
    few = vm.run(staged, "steady.py", 300)
    many = vm.run(staged, "many_faults.py", 300)
    assert many["alarms"] == 1 << 63
    assert many["after"] == many["before"]
    assert many["tick_most"] <= few["tick_most"]
    assert many["save_most"] <= few["save_most"] + 256


@pytest.mark.req("R07", "I03", "I04")
def test_a_power_cut_at_any_flash_operation_leaves_old_or_new(staged):
    """Real LittleFS, new and worn; every program and erase of 180 saves and events."""
    told = vm.run(staged, "cuts.py", heap_kb=FLASH_HEAP_KB)
    for cuts, erases in (told["new"], told["worn"]):
        assert cuts > 200
        assert erases > 20
    assert "/cut/state/state.a cannot be written: error 30; check" in told["read_only"]
    assert "/cut/state cannot be opened: error" in told["missing"]


@pytest.mark.req("I05")
def test_flash_outlives_ten_years_of_the_default_day(staged, tmp_path):
    tape.record(scenario.load(scenario.DEFAULT), tmp_path)
    told = vm.run(staged, "wear.py", tmp_path, DAYS, heap_kb=FLASH_HEAP_KB)
    assert told["writes_a_day"] > 100
    assert told["ten_years"] <= 100_000
