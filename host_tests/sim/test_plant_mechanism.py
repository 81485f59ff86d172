"""Screw, backlash, seal, and what keeps the rotor from following."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna_sim.plant import Plant, PlantConfig
from cisterna_sim.plant.mechanism import Mechanism

STEP_NL = 89.82
S = 1_000_000


def moved(mechanism: Mechanism, steps: int) -> float:
    direction = 1 if steps > 0 else -1
    return sum(mechanism.turn(direction) for _ in range(abs(steps)))


def running(**values) -> Plant:
    plant = Plant(PlantConfig(posture=False, **values), 0)
    plant.enable(True)
    return plant


def test_a_microstep_of_the_default_rig_is_89_8_nl():
    assert PlantConfig().nominal_step_nl == pytest.approx(STEP_NL, abs=0.01)


def test_pitch_error_cancels_over_a_turn_and_not_within():
    mechanism = Mechanism(PlantConfig(stiction_nl=0.0, pitch_error_um=5.0))
    area_nl_per_um = PlantConfig().nominal_step_nl * 3.2
    assert moved(mechanism, 800) == pytest.approx((250 + 5.0) * area_nl_per_um)
    assert moved(mechanism, 2_400) == pytest.approx((750 - 5.0) * area_nl_per_um)


def test_bore_error_scales_every_volume():
    wide = Mechanism(PlantConfig(stiction_nl=0.0, bore_error_ppm=10_000.0))
    assert moved(wide, 3_200) == pytest.approx(3_200 * STEP_NL * 1.01**2, rel=1e-4)


def test_a_reversal_loses_the_backlash_both_ways():
    mechanism = Mechanism(PlantConfig(stiction_nl=0.0, pitch_error_um=0.0))
    assert moved(mechanism, 100) == pytest.approx(100 * STEP_NL, rel=1e-4)
    assert moved(mechanism, -8) == 0.0
    assert moved(mechanism, -10) == pytest.approx(-10 * STEP_NL, rel=1e-4)
    assert moved(mechanism, 8) == 0.0
    assert moved(mechanism, 5) == pytest.approx(5 * STEP_NL, rel=1e-4)
    assert mechanism.rotor_steps == 100 - 18 + 13


def test_the_seal_moves_in_slips_of_its_size():
    mechanism = Mechanism(PlantConfig(stiction_nl=200.0, pitch_error_um=0.0))
    moves = [mechanism.turn(1) for _ in range(1_000)]
    assert {round(move, 6) for move in moves} == {0.0, 200.0}
    assert sum(moves) == pytest.approx(1_000 * STEP_NL, abs=200.0)


@given(
    st.lists(st.integers(-200, 200).filter(bool), max_size=30),
    st.sampled_from([0.0, 60.0, 120.0, 500.0]),
)
def test_the_plunger_never_strays_from_the_nut_by_more_than_a_slip(runs, stiction):
    mechanism = Mechanism(PlantConfig(stiction_nl=stiction, pitch_error_um=0.0))
    plunger = 0.0
    for run in runs:
        plunger += moved(mechanism, run)
        lag = mechanism.rotor_steps * STEP_NL - plunger
        assert -stiction - 2 <= lag + 0.001 * abs(plunger) + 8 * STEP_NL
        assert lag - 0.001 * abs(plunger) <= stiction + 2


@pytest.mark.parametrize(
    "hold",
    [
        lambda plant: plant.enable(False),
        lambda plant: plant.power(False),
        lambda plant: plant.stall(True),
        lambda plant: plant.lose_steps(1.0),
        lambda plant: plant.brown_out(4_000.0, S),
    ],
    ids=["disabled", "no power", "stalled", "losing", "brown-out"],
)
def test_a_held_rotor_does_not_follow_yet_the_line_counts(hold):
    plant = running()
    hold(plant)
    for _ in range(10):
        plant.step(1)
    assert (plant.pulses, plant.rotor_steps, plant.syringe_nl) == (10, 0, 18e6)


def test_the_driver_starts_disabled_and_a_power_loss_disables_it():
    plant = Plant(PlantConfig(), 0)
    plant.step(1)
    plant.enable(True)
    plant.step(1)
    plant.power(False)
    plant.power(True)
    plant.step(1)
    assert (plant.pulses, plant.rotor_steps) == (3, 1)


def test_a_brown_out_ends_by_itself():
    plant = running()
    plant.brown_out(4_000.0, 3 * S)
    assert plant.next_event_us == 3 * S
    assert [plant.supply_mv(t) for t in (0, 3 * S - 1, 3 * S)] == [4_000.0, 4_000.0, 5_000.0]
    plant.advance(3 * S)
    plant.step(1)
    assert plant.rotor_steps == 1


def test_lost_steps_follow_their_probability_and_the_seed():
    counts = []
    for seed in (1, 1, 2):
        plant = running(seed=seed)
        plant.lose_steps(0.25)
        for _ in range(4_000):
            plant.step(1)
            plant.advance(plant.now_us + S)
        counts.append(plant.rotor_steps)
    assert counts[0] == counts[1] != counts[2]
    assert counts == pytest.approx([3_000] * 3, abs=110)


def test_the_rotor_loses_steps_beyond_its_torque():
    plant = running()
    plant.occlude(1.0)
    for _ in range(5_000):
        plant.step(1)
    assert plant.pressure_pa == pytest.approx(250_000.0, abs=130.0)
    assert plant.rotor_steps < 5_000


def test_the_plunger_stops_at_the_end_of_the_syringe():
    plant = running(fill_ml=0.001)
    for _ in range(100):
        plant.step(1)
        plant.advance(plant.now_us + S)
    assert plant.syringe_nl == 0.0
    assert plant.rotor_steps == pytest.approx(1_000 / STEP_NL, abs=2)
    assert plant.tip_nl + plant.line_nl == pytest.approx(1_000.0 + 2_200.0)


def test_extra_pulses_come_at_their_rate():
    plant = running()
    plant.extra_pulses(3_600.0)
    plant.advance(10 * S)
    assert (plant.pulses, plant.rotor_steps) == (10, 10)
    plant.extra_pulses(0.0)
    plant.advance(20 * S)
    assert plant.pulses == 10
