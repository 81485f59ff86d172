"""Plug flow: a new concentration arrives at the tip one catheter volume later."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna_sim.plant import Plant, PlantConfig
from cisterna_sim.plant.catheter import Catheter

S = 1_000_000


def test_a_new_concentration_arrives_after_one_catheter_volume():
    catheter = Catheter(198_000.0, 2.0)
    assert catheter.push(100_000.0, 0.5) == pytest.approx(200_000.0)
    assert catheter.push(98_000.0, 0.5) == pytest.approx(196_000.0)
    assert catheter.push(1_000.0, 0.5) == pytest.approx(500.0)
    assert catheter.content_ng == pytest.approx(99_000.0)


def test_a_push_larger_than_the_catheter_passes_its_own_front():
    catheter = Catheter(10.0, 1.0)
    assert catheter.push(25.0, 3.0) == pytest.approx(10.0 * 1 + 15.0 * 3)


@given(st.lists(st.tuples(st.floats(0.001, 300.0), st.sampled_from([0.0, 0.5, 1.0, 2.0]))))
def test_drug_in_equals_drug_held_and_out(pushes):
    catheter = Catheter(198.0, 2.0)
    balance = catheter.content_ng
    for volume, concentration in pushes:
        balance += volume * concentration - catheter.push(volume, concentration)
        assert catheter.content_ng == pytest.approx(balance, abs=1e-6)


def test_the_delay_in_the_plant_is_the_volume_of_the_catheter():
    config = PlantConfig(
        posture=False, fill_ml=0.0, concentration_ug_per_ml=500.0, check_valve_kpa=0.0
    )
    plant = Plant(config, 0)
    plant.enable(True)
    plant.refill(10.0, 2_000.0)
    filled = plant.concentration_ng_per_nl
    assert filled == pytest.approx(2.0, rel=1e-3)  # less what the line still held
    while plant.tip_nl < plant.catheter_nl:
        plant.step(1)
        plant.advance(plant.now_us + 50 * S)
    excess_nl = plant.tip_nl - plant.catheter_nl
    assert plant.catheter_nl == pytest.approx(198_000.0)
    assert plant.tip_ng == pytest.approx(198_000.0 * 0.5 + excess_nl * filled)


def test_a_catheter_can_start_with_something_else_in_it():
    plant = Plant(PlantConfig(catheter_ug_per_ml=0.0), 0)
    plant.enable(True)
    for _ in range(100):
        plant.step(1)
    plant.advance(60 * S)
    assert plant.tip_nl > 1_000.0
    assert plant.tip_ng == 0.0
