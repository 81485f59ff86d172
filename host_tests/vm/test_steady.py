"""Rung 2: hours of steady dosing leave the heap of a MicroPython VM as it was."""

import pytest

from cisterna_sim import vm
from cisterna_sim.rig_board import default_calibration

# The flash in RAM has 64 blocks of 4 kB, and needs twice that to begin with.
HEAPS_KB = {"dict": vm.BOARD_HEAP_KB, "files": vm.BOARD_HEAP_KB + 512}
# What may differ from hour to hour is whether two times are one number or two of 32 bytes.
FLAT_BYTES = 64
# Times beyond 2**30 us are objects on a board: a tick makes some, and its save some more.
TICK_BYTES, SAVE_BYTES = 512, 4_096


@pytest.mark.req("I06")
@pytest.mark.parametrize("kind", HEAPS_KB)
@pytest.mark.parametrize("dose_ug", [300, 4900])
def test_steady_dosing_leaves_the_heap_as_it_was(machine, staged, dose_ug, kind):
    told = machine.run(staged, "steady.py", dose_ug, kind, heap_kb=HEAPS_KB[kind])
    assert max(told["held"]) - min(told["held"]) <= FLAT_BYTES * machine.bits // 32
    assert told["look_sum"] == 0
    assert told["tick_most"] <= TICK_BYTES
    # The flash in RAM is Python and allocates; a board's is not and does not.
    assert told["save_most"] <= SAVE_BYTES or kind == "files"
    assert (told["mode"], told["alarms"]) == ("BASAL", 0)
    hours = told["hours"]
    assert told["looks"] == 14_400 * hours
    assert told["saves"] > 2 * hours
    step_pl, strength = default_calibration().step_pl, 2000
    assert told["steps"] == pytest.approx(dose_ug / strength * 1e9 / 24 * hours / step_pl, abs=1)


@pytest.mark.req("I06")
def test_a_full_table_of_faults_takes_no_more_heap_in_a_tick(machine, staged):
    """60 faults and more: the sets of alarms are bytes. Only a save makes a mask of them."""
    few = machine.run(staged, "steady.py", 300)
    many = machine.run(staged, "many_faults.py", 300)
    assert many["alarms"] == 1 << 63
    assert max(many["held"]) - min(many["held"]) <= FLAT_BYTES * machine.bits // 32
    assert many["tick_most"] <= few["tick_most"]
    assert many["save_most"] <= few["save_most"] + 256
