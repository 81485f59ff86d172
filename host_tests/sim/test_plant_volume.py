"""Nothing appears or vanishes in the plant, and its clock may be read as often as one likes."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna_sim.plant import Plant, PlantConfig

S = 1_000_000

CONFIGS = st.builds(
    PlantConfig,
    compliance_ul_per_kpa=st.sampled_from([0.1, 1.0, 10.0]),
    stiction_nl=st.sampled_from([0.0, 50.0, 120.0, 400.0]),
    backlash_steps=st.sampled_from([0, 8]),
    bore_error_ppm=st.sampled_from([-5_000.0, 0.0, 5_000.0]),
    capacity_ml=st.just(0.2),
    fill_ml=st.floats(0.0, 0.2),
    seed=st.integers(0, 1_000),
)

FRACTIONS = st.sampled_from([0.0, 0.3, 0.9, 1.0])

ACTS = st.one_of(
    st.tuples(st.just("advance"), st.integers(0, 50 * S)),
    st.tuples(st.just("advance"), st.integers(0, 20_000 * S)),
    st.tuples(st.just("steps"), st.integers(-300, 900)),
    st.tuples(st.just("occlude"), FRACTIONS),
    st.tuples(st.just("leak"), FRACTIONS),
    st.tuples(st.just("lose_steps"), FRACTIONS),
    st.tuples(st.just("free_flow"), st.sampled_from([0.0, 0.02, 1.0, 30.0])),
    st.tuples(st.just("extra_pulses"), st.sampled_from([0.0, 7.0, 1_000.0])),
    st.tuples(st.just("stall"), st.booleans()),
    st.tuples(st.just("power"), st.booleans()),
    st.tuples(st.just("enable"), st.booleans()),
    st.tuples(st.just("disconnect")),
    st.tuples(st.just("reconnect")),
    st.tuples(st.just("withdraw")),
    st.tuples(st.just("refill"), st.floats(0.0, 1.0), st.sampled_from([500.0, 2_000.0])),
)


def act(plant: Plant, name: str, *values: float) -> None:
    if name == "advance":
        plant.advance(plant.now_us + int(values[0]))
    elif name == "steps":
        for _ in range(abs(int(values[0]))):
            plant.step(1 if values[0] > 0 else -1)
    elif name == "refill":
        space_ml = max(0.0, 0.2 - plant.syringe_nl * 1e-6)
        plant.refill(space_ml * values[0], values[1])
    else:
        getattr(plant, name)(*values)


@given(CONFIGS, st.lists(ACTS, max_size=40))
def test_volume_is_conserved_through_any_sequence(config, acts):
    plant = Plant(config, 0)
    plant.enable(True)
    initial = plant.syringe_nl + plant.line_nl + plant.catheter_nl
    tip = leaked = 0.0
    for one in acts:
        act(plant, *one)
        there = plant.syringe_nl + plant.line_nl + plant.catheter_nl
        gone = plant.tip_nl + plant.leaked_nl + plant.withdrawn_nl
        assert there + gone == pytest.approx(initial + plant.refilled_nl, rel=1e-9)
        assert plant.unaccounted_nl == pytest.approx(0.0, abs=1e-3)
        assert -1e-6 <= plant.syringe_nl <= 0.2e6 + 1.0 + config.stiction_nl + 100
        assert plant.tip_nl >= tip
        assert plant.leaked_nl >= leaked
        assert math.isfinite(plant.pressure_pa)
        tip, leaked = plant.tip_nl, plant.leaked_nl


@given(CONFIGS, st.lists(ACTS.filter(lambda one: one[0] != "withdraw"), max_size=40))
def test_drug_is_conserved_while_the_line_holds_fluid(config, acts):
    plant = Plant(dataclasses.replace(config, fill_ml=0.1), 0)
    plant.enable(True)

    def drug_ng() -> float:
        held = plant.syringe_nl + plant.line_nl
        inside = held * plant.concentration_ng_per_nl + plant.catheter_ng
        return inside + plant.tip_ng + plant.leaked_ng

    expected = drug_ng()
    for one in acts:
        if one[0] == "refill" and plant.syringe_nl + plant.line_nl < 0:
            continue
        before = plant.refilled_nl
        act(plant, *one)
        if one[0] == "refill":
            expected += (plant.refilled_nl - before) * one[2] * 1e-3
    assert drug_ng() == pytest.approx(expected, rel=1e-9)


@given(
    CONFIGS,
    st.lists(ACTS, max_size=15),
    st.integers(1, 3_000 * S),
    st.lists(st.floats(0.0, 1.0), max_size=1_000),
)
def test_one_advance_equals_any_number_of_pieces(config, acts, span_us, cuts):
    """Only true if the solution is exact: an error of a time step would show."""
    whole, pieces = Plant(config, 0), Plant(config, 0)
    for plant in (whole, pieces):
        plant.enable(True)
        for one in acts:
            act(plant, *one)
    start = whole.now_us
    whole.advance(start + span_us)
    for cut in sorted(cuts):
        pieces.advance(start + int(cut * span_us))
    pieces.advance(start + span_us)
    for name in ("pressure_pa", "tip_nl", "leaked_nl", "syringe_nl", "tip_ng", "csf_pa"):
        assert getattr(pieces, name) == pytest.approx(getattr(whole, name), rel=1e-7, abs=1e-4)
    assert pieces.pulses == whole.pulses
    assert pieces.rotor_steps == whole.rotor_steps


def test_a_thousand_equal_pieces_equal_one_advance():
    plants = [Plant(PlantConfig(posture=False), 0) for _ in range(2)]
    for plant in plants:
        plant.enable(True)
        for _ in range(200):
            plant.step(1)
    whole, pieces = plants
    whole.advance(S)
    for piece in range(1, 1_001):
        pieces.advance(piece * S // 1_000)
    assert pieces.tip_nl == pytest.approx(whole.tip_nl, rel=1e-12)
    assert pieces.pressure_pa == pytest.approx(whole.pressure_pa, rel=1e-12)


def test_time_never_goes_back():
    plant = Plant(PlantConfig(), 5 * S)
    with pytest.raises(ValueError, match="never goes back"):
        plant.advance(5 * S - 1)
    assert plant.now_us == 5 * S


def test_a_refill_over_capacity_is_refused_and_changes_nothing():
    plant = Plant(PlantConfig(fill_ml=18.0, concentration_ug_per_ml=500.0), 0)
    with pytest.raises(ValueError, match=r"volume_ml = 2\.1 exceeds"):
        plant.refill(2.1, 2_000.0)
    assert plant.syringe_nl == 18e6
    assert plant.concentration_ng_per_nl == 0.5


def test_withdraw_returns_what_was_in_the_syringe():
    plant = Plant(PlantConfig(fill_ml=3.25), 0)
    assert plant.withdraw() == 3.25e6
    assert plant.syringe_nl == 0.0
    assert plant.withdrawn_nl == 3.25e6


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf])
def test_a_fraction_outside_0_to_1_is_refused(value):
    plant = Plant(PlantConfig(), 0)
    for fault in (plant.occlude, plant.leak, plant.lose_steps):
        with pytest.raises(ValueError, match="is not a number in"):
            fault(value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("compliance_ul_per_kpa", 0.0), ("fill_ml", math.nan), ("fill_ml", 20.5), ("seed", math.inf)],
)
def test_a_meaningless_property_is_refused_by_name(key, value):
    with pytest.raises(ValueError, match=key):
        PlantConfig(**{key: value})
