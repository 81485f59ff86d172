"""Rung 3: the pump doses on a board, exactly, and stops where it must.

Figures are printed: make test ARGS='host_tests/emulated/test_dosing.py -n 0 -rP'.
"""

import pytest

from cisterna.base import faults, modes
from cisterna_sim.emulated import board_rig
from host_tests.kit.boards import (
    BASAL_NL_PER_DAY,
    BOLUS_NL,
    BOLUS_S,
    BOOT_S,
    FREE_BYTES,
    PROGRAM,
    STEP_NL,
    in_a_copy,
    ledger,
    reports,
    standing,
)

# A step waits for the look before it, 2.8 ms, and for the millisecond that a sleep is long at
# least, all on the emulated clock. Garbage is collected between steps.
LATE_US = 4_000


def test_boots_and_passes_its_self_test(booted):
    rig = booted.rig
    print(
        f"power-on to the boot line: {booted.running_s:.2f} s, to delivery: {booted.ready_s:.2f} s"
    )
    assert rig.said == "cisterna 0.1.0 on pico running\r\n"
    assert rig.events()[-1] == ("MODE", "BASAL")
    assert not rig.chip.resets


@in_a_copy
def test_bolus_is_exact(booted):
    """Edges of STEP, the counting state machine, the rotor and the ledger all agree."""
    rig = booted.rig
    pressed_us = rig.now_us
    rig.press()
    rig.run_until(lambda: rig.pulses, 3)
    print(
        f"power-on to the first pulse: {(rig.pulses[0][0] - rig.began_us) / 1e6:.2f} s, ", end=""
    )
    print(f"from pressing the button: {(rig.pulses[0][0] - pressed_us) / 1e6:.2f} s")
    rig.run(BOLUS_S + 2)
    name, detail = rig.events()[-2]
    assert (name, detail) == ("BOLUS_ENDED", f"complete {BOLUS_NL} nL delivered")
    bolus = [t for t, _ in rig.pulses if t < pressed_us + (BOLUS_S + 1) * 1e6]
    print(f"pulses for a bolus of {BOLUS_NL} nL over {BOLUS_S} s: {len(bolus)}")
    rate_nl_per_s = BOLUS_NL / BOLUS_S + BASAL_NL_PER_DAY / 86_400
    assert abs(len(bolus) - rate_nl_per_s * BOLUS_S / STEP_NL) < 1
    assert {direction for _, direction in rig.pulses} == {1}
    assert rig.counted() == len(rig.pulses)
    account = ledger(rig)
    assert account.forward + account.unconfirmed_steps >= rig.plant.pulses
    gap_us = 1e6 * STEP_NL / rate_nl_per_s
    late_us = sorted(t - bolus[0] - number * gap_us for number, t in enumerate(bolus))
    spread_us = late_us[-1] - late_us[0]
    print(f"{len(bolus)} pulses, {gap_us:.0f} us apart: within {spread_us:.0f} us of their times")
    # Lateness that adds up would show here.
    assert spread_us < LATE_US


@pytest.mark.req("F04")
@in_a_copy
def test_occlusion_stops_within_a_tick(rig):
    rig.press()
    rig.run_until(lambda: len(rig.pulses) >= 3, 6)
    before = len(rig.pulses)
    rig.plant.instruments.pressure.offset = 100_000.0
    seen_us = rig.now_us
    rig.run_until(lambda: rig.wiring.lamps >> 2, 2)
    alarm_s = (rig.now_us - seen_us) / 1e6
    rig.plant.instruments.pressure.offset = 0.0
    rig.run(3)
    forward = [t for t, direction in rig.pulses[before:] if direction > 0]
    print(f"pressure above its limit: {len(forward)} further pulses, alarm after {alarm_s:.2f} s")
    assert not forward
    assert alarm_s <= 1
    assert faults.OCCLUSION in standing(rig)


@pytest.mark.req("R08")
def test_lost_memory_is_no_full_reservoir(image):
    rig = board_rig.deliver(PROGRAM, state=False)
    rig.run_until(lambda: rig.wiring.lamps >> 2, BOOT_S)
    rig.run(5)
    assert not rig.pulses
    assert rig.wiring.enabled_us is None
    assert faults.RESERVOIR_UNKNOWN in standing(rig)


# -- what it costs ------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.req("I06")
@in_a_copy
def test_heap_is_roomy_and_flat(probed):
    begin = len(probed.said)
    erasures = probed.chip.flash_erasures
    probed.run(3)
    basal = reports(probed, begin)
    begin = len(probed.said)
    probed.press()
    probed.run(3)
    granted = reports(probed, begin)
    begin = len(probed.said)
    erasures = probed.chip.flash_erasures - erasures
    probed.run(6)
    dosing = reports(probed, begin)
    assert dosing[-1][0] == modes.BOLUS
    print(f"free heap: basal {min(r[1] for r in basal)}, bolus {min(r[1] for r in dosing)} bytes")
    print(
        f"largest tick: {basal[-1][3]} us at start, {granted[-1][3]} us when a bolus is granted,"
    )
    print(f"which writes events and state ({erasures} erasures, that take no time here)")
    assert min(r[1] for r in basal + dosing) > FREE_BYTES
    assert max(r[2] for r in dosing[3:]) - min(r[2] for r in dosing[3:]) < 256
