"""Line, check valve, leak and siphon against closed forms and against brute force."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna_sim.plant import Plant, PlantConfig
from cisterna_sim.plant.line import Line, poiseuille_conductance

S = 1_000_000
STILL = PlantConfig(posture=False)
REST_PA = 1_000.0 + 1_200.0  # cracking pressure and spinal fluid, lying


def running(**values) -> Plant:
    plant = Plant(PlantConfig(posture=False, **values), 0)
    plant.enable(True)
    return plant


def test_resistance_of_the_default_catheter_gives_a_third_of_a_second():
    """8 * 0.69 mPa s * 0.9 m / (pi * (0.265 mm)^4) = 3.21e11 Pa s/m3; times 1 uL/kPa."""
    assert 1e6 / poiseuille_conductance(0.53, 90.0) == pytest.approx(3.206e11, rel=1e-3)
    assert Line(STILL, 0.0).tau_us == pytest.approx(0.3206 * S, rel=1e-3)


@pytest.mark.parametrize("taus", [1e-6, 0.1, 1.0, 9.0, 20.0, 39.0, 41.0, 1e6])
def test_the_quick_answer_for_an_open_line_is_the_exact_one(taus):
    line = Line(STILL, 1_200.0)
    line.stored_nl += 5_000.0
    span_us = round(taus * line.tau_us)
    walked = line._walk(span_us, 1e9)[0]
    tip, _, _ = line.relax(span_us, 1e9)
    assert line.stored_nl == pytest.approx(walked, rel=1e-13)
    assert tip == pytest.approx(-5_000.0 * math.expm1(-span_us / line.tau_us), rel=1e-9)


def test_an_open_line_rests_at_cracking_pressure_above_the_spinal_fluid():
    plant = running()
    assert plant.pressure_pa == pytest.approx(REST_PA)
    for _ in range(1_000):
        plant.advance(plant.now_us + 50 * S)
        plant.step(1)
    plant.advance(plant.now_us + 60 * S)
    assert plant.pressure_pa == pytest.approx(REST_PA)
    assert plant.tip_nl == pytest.approx(18e6 - plant.syringe_nl)


def test_pressure_decays_with_the_time_constant():
    line = Line(STILL, 1_200.0)
    line.stored_nl += 1_000.0
    tip, leaked, drawn = line.relax(round(line.tau_us), 1e9)
    assert tip == pytest.approx(1_000.0 * (1 - math.exp(-1)), rel=1e-5)
    assert (leaked, drawn) == (0.0, 0.0)


@pytest.mark.parametrize("compliance", [0.1, 1.0, 10.0])
def test_a_total_occlusion_raises_pressure_by_volume_over_compliance(compliance):
    plant = running(compliance_ul_per_kpa=compliance, stiction_nl=0.0)
    plant.occlude(1.0)
    before_pa, before_nl = plant.pressure_pa, plant.syringe_nl
    for _ in range(500):
        plant.step(1)
        plant.advance(plant.now_us + S)
    stored_nl = before_nl - plant.syringe_nl
    assert plant.tip_nl == 0.0
    assert plant.pressure_pa - before_pa == pytest.approx(stored_nl / compliance)


def test_a_release_lets_the_stored_volume_out():
    plant = running()
    plant.occlude(1.0)
    for _ in range(300):
        plant.step(1)
    plant.release()
    plant.advance(60 * S)
    assert plant.pressure_pa == pytest.approx(REST_PA)
    assert plant.tip_nl == pytest.approx(18e6 - plant.syringe_nl)


def test_a_partial_occlusion_slows_the_outflow_only():
    free, narrow = Line(STILL, 0.0), Line(STILL, 0.0)
    narrow.occlude(0.9)
    for line in (free, narrow):
        line.stored_nl += 500.0
    assert narrow.relax(1_000_000, 1e9)[0] == pytest.approx(free.relax(100_000, 1e9)[0])


def test_the_check_valve_stops_flow_back_when_the_spinal_fluid_rises():
    line = Line(STILL, 1_200.0)
    line.set_csf(4_000.0)
    stored = line.stored_nl
    assert line.relax(3_600 * S, 1e9) == (0.0, 0.0, 0.0)
    assert line.stored_nl == stored
    line.stored_nl += 3_000.0
    assert line.relax(3_600 * S, 1e9)[0] == pytest.approx(stored + 3_000.0 - 5_000.0)


def test_a_leak_empties_the_line_below_the_tip_and_stops_at_the_valve():
    """From above, both flow; at csf + crack the tip shuts, at a moment with a closed form."""
    line = Line(STILL, 1_200.0)
    line.leak(0.5)
    line.stored_nl = 2_200.0 + 600.0
    # Both conductances are 1/tau; the sum rests half way between 1000 and 2200.
    both_us = line.tau_us / 2 * math.log((2_800 - 1_600) / (2_200 - 1_600))
    tip, leaked, _ = line.relax(math.ceil(both_us), 1e9)
    assert line.stored_nl == pytest.approx(2_200.0, abs=0.01)
    assert tip + leaked == pytest.approx(600.0, abs=0.01)
    # The tip's share is (the integral of stored - 2200) / tau.
    expected = (1_600 - 2_200) * both_us / line.tau_us + 600.0 / 2
    assert tip == pytest.approx(expected, abs=0.01)
    tip, leaked, _ = line.relax(3_600 * S, 1e9)
    assert tip == pytest.approx(0.0, abs=0.01)
    assert line.stored_nl == pytest.approx(1_000.0)
    assert leaked == pytest.approx(1_200.0, abs=0.02)


@given(
    occluded=st.sampled_from([0.0, 0.5, 1.0]),
    leak=st.sampled_from([0.0, 0.2, 0.7, 1.0]),
    off=st.booleans(),
    inflow=st.sampled_from([0.0, 1e-4, 3e-3, 0.05]),
    stored=st.floats(-2_000.0, 12_000.0),
    available=st.sampled_from([0.0, 20.0, 1e9]),
)
def test_the_walk_agrees_with_brute_force(*, occluded, leak, off, inflow, stored, available):
    line = Line(STILL, 1_200.0)
    line.occlude(occluded)
    line.leak(leak)
    line.disconnect(off)
    line.free_flow(inflow)
    line.stored_nl = stored

    span_us, pieces = 1_500_000, 6_000
    dt = span_us / pieces
    conductance = (1 - occluded) / line.tau_us
    tip_rate = 0.0 if off or leak == 1.0 else conductance
    leak_rate = conductance * (20.0 if off else 1.0 if leak == 1.0 else leak / (1 - leak))
    tip = leaked = drawn = 0.0
    for _ in range(pieces):
        tip_part = tip_rate * max(0.0, stored - 2_200.0) * dt
        leak_part = leak_rate * max(0.0, stored - 1_000.0) * dt
        room = max(0.0, 10_000.0 - stored + tip_part + leak_part)
        drawn_part = min(inflow * dt, available - drawn, room)
        stored += drawn_part - tip_part - leak_part
        tip, leaked, drawn = tip + tip_part, leaked + leak_part, drawn + drawn_part
    result = line.relax(span_us, available)
    # Euler's own error here: about dt / tau of what flowed.
    slack = 1.0 + 0.02 * (tip + leaked + drawn)
    assert result == pytest.approx((tip, leaked, drawn), abs=slack)
    assert line.stored_nl == pytest.approx(stored, abs=slack)


def test_a_disconnected_catheter_leaks_everything_at_the_cracking_pressure():
    plant = running()
    plant.disconnect()
    for _ in range(100):
        plant.step(1)
        plant.advance(plant.now_us + 50 * S)
    assert plant.tip_nl == 0.0
    assert plant.pressure_pa == pytest.approx(1_000.0)
    assert plant.leaked_nl == pytest.approx(18e6 - plant.syringe_nl + 1_200.0)
    plant.reconnect()
    for _ in range(100):
        plant.step(1)
        plant.advance(plant.now_us + 50 * S)
    assert plant.tip_nl > 0.0


def test_free_flow_moves_the_stated_rate_and_the_plunger_with_it():
    plant = running()
    plant.free_flow(1.5)
    plant.advance(2 * 3_600 * S)
    assert 18e6 - plant.syringe_nl == pytest.approx(3e6)
    assert plant.rotor_steps == 0
    assert plant.level_nl == plant.syringe_nl


def test_free_flow_against_an_occlusion_stops_at_the_head_of_the_siphon():
    plant = running()
    plant.occlude(1.0)
    plant.free_flow(1.5)
    plant.advance(3_600 * S)
    assert plant.pressure_pa == pytest.approx(10_000.0)
    assert 18e6 - plant.syringe_nl == pytest.approx(10_000.0 - REST_PA)


def test_free_flow_ends_with_the_syringe():
    plant = running(fill_ml=0.5)
    plant.free_flow(1.0)
    plant.advance(3_600 * S)
    assert plant.syringe_nl == 0.0
    assert plant.tip_nl == pytest.approx(0.5e6)


def test_back_off_lowers_the_pressure_and_ends_at_the_vacuum():
    plant = running(stiction_nl=0.0, backlash_steps=0)
    plant.occlude(1.0)
    for _ in range(400):
        plant.step(1)
    high = plant.pressure_pa
    for _ in range(200):
        plant.step(-1)
    assert plant.pressure_pa < high
    for _ in range(5_000):
        plant.step(-1)
    assert -80_100.0 < plant.pressure_pa <= -80_000.0
