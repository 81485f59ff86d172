"""Rung 2: the whole pump in a heap of the Pico's size, on a VM with a board's objects."""

import pytest

from cisterna_sim import vm, vm_pico
from cisterna_tools.bench import gates
from cisterna_tools.bench.vm import of_heap

# Of the image. From files the largest block was seen between 4.6 and 20 kB, by where garbage lay
# last; it is printed.
LARGEST_BYTES = 48 * 1024


@pytest.mark.slow
@pytest.mark.req("I06")
@pytest.mark.parametrize("frozen", [True, False], ids=["image", "files"])
def test_there_is_room_while_dosing_with_a_session_and_telemetry(
    machine, tmp_path, record_property, frozen
):
    if machine.bits != 32:
        pytest.skip(f"its objects are not a board's; {vm.header()}")
    told = vm_pico.heap(tmp_path, frozen)
    print(f"largest free block {told.largest:,} bytes; before the pump {told.before:,} in use")
    gate = of_heap(told, frozen)
    record_property("figure", str(gate))
    gates.hold([gate])
    assert told.largest >= LARGEST_BYTES or not frozen
