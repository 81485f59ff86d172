"""Rung 2: the pump's files on MicroPython's own LittleFS, with the power cut, and for years."""

import pytest

from cisterna_sim import scenario, tape

# The flash's content lies on the heap, too: no board's heap to hold it against.
HEAP_KB = 8_000
DAYS = 50


@pytest.mark.req("R07", "I03", "I04")
def test_a_power_cut_at_any_flash_operation_leaves_old_or_new(machine, staged):
    """Real LittleFS, new and worn; every program and erase of 180 saves and events."""
    told = machine.run(staged, "cuts.py", heap_kb=HEAP_KB)
    for cuts, erases in (told["new"], told["worn"]):
        assert cuts > 200
        assert erases > 20
    assert "/cut/state/state.a cannot be written: error 30; check" in told["read_only"]
    assert "/cut/state cannot be opened: error" in told["missing"]


@pytest.mark.req("I05")
def test_flash_outlives_ten_years_of_the_default_day(machine, staged, tmp_path):
    tape.record(scenario.load(scenario.DEFAULT), tmp_path)
    told = machine.run(staged, "wear.py", tmp_path, DAYS, heap_kb=HEAP_KB)
    assert told["writes_a_day"] > 100
    assert told["ten_years"] <= 100_000
