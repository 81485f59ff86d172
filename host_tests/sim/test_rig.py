"""The rig's time: leaving looks out changes nothing, nothing is lost, and clocks agree."""

from datetime import datetime
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cisterna.base.clock import TICKS_PERIOD
from cisterna.orders import Refused
from cisterna_sim import scenario
from cisterna_sim.clock import BoardClock
from cisterna_sim.scenario import Scenario
from cisterna_sim.scenario.events import BareAction
from cisterna_sim.stage import Stage
from host_tests.kit.bench import ALL, Bench
from host_tests.kit.ears import Ears


def play(plan: Scenario, full_rate: bool) -> tuple[list[Any], tuple[Any, ...], Stage]:
    """Events, what was moved, and the stage at the end."""
    ears = Ears()
    stage = Stage(plan, ears, full_rate)  # type: ignore[arg-type]
    stage.run(lambda fraction: None)
    plant, ledger = stage.rig.plant, stage.rig.pump.ledger
    moved = plant.pulses, plant.rotor_steps, ledger.forward, ledger.reversed, stage.rig.ticks
    return ears.events, moved, stage


def assert_same(plan: Scenario) -> None:
    jumped, jumped_moved, stage = play(plan, full_rate=False)
    looked, looked_moved, full = play(plan, full_rate=True)
    assert jumped == looked
    assert jumped_moved == looked_moved
    assert stage.rig.looks <= full.rig.looks
    # A nanolitre is far below a step; rounding is a millionth of that.
    assert abs(stage.rig.plant.unaccounted_nl) < 1e-3
    assert abs(full.rig.plant.unaccounted_nl) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("day", 1),
        ("dead-pressure-sensor", 1),
        ("motor-stall", 1),
        ("stuck-button", 1),
        ("free-flow", 0.7),
        ("power-lost-in-bolus", 0.6),
    ],
)
def test_a_scenario_at_the_full_rate_of_looks_gives_the_same_events_and_steps(name, days):
    assert_same(scenario.load(name, days=days))


# Actions with their parameters; a draw puts some of them into two hours.
ACTIONS: list[dict[str, Any]] = [
    {"do": "occlude", "fraction": 1.0},
    {"do": "occlude", "fraction": 0.5},
    {"do": "leak", "fraction": 0.5},
    {"do": "lose_steps", "probability": 0.5},
    {"do": "lose_steps", "probability": 0},
    {"do": "free_flow", "ml_per_h": 1.0},
    {"do": "power_loss", "seconds": 7.3},
    {"do": "brown_out", "mv": 4300, "seconds": 600},
    {"do": "brown_out", "mv": 3900, "seconds": 90},
    {"do": "brown_out", "mv": 1500, "seconds": 2},
    {"do": "extra_pulses", "count": 2},
    {"do": "press", "seconds": 0.3},
    {"do": "press", "seconds": 45},
    {"do": "single_bolus", "dose_ug": 20, "duration_min": 10},
    {"do": "acknowledge"},
    {"do": "refill", "ml": 12},
    {"do": "refill", "ml": 12, "residual_ml": 3},
    {"do": "set_clock", "shift_s": 3600},
    {"do": "set_program", "program": {"kind": "continuous", "dose_ug_per_day": 900}},
    *({"do": name} for name in get_args(BareAction)),
]


@st.composite
def plans(draw: st.DrawFn) -> Scenario:
    """Two hours in which anything may happen, on any rig."""
    moments = draw(st.lists(st.integers(0, 7199), max_size=12))
    events = [
        {
            "at": f"0d {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}",
            **draw(st.sampled_from(ACTIONS)),
        }
        for second in sorted(moments)
    ]
    compliance = draw(st.sampled_from((0.1, 1.0, 10.0)))
    return Scenario.model_validate(
        {
            "title": "drawn",
            "days": 2 / 24,
            "seed": draw(st.integers(0, 99)),
            "start": draw(st.datetimes(datetime(2026, 2, 1), datetime(2026, 2, 28))),
            "drug": {"concentration_ug_per_ml": draw(st.sampled_from((100, 2000)))},
            "program": {"kind": "continuous", "dose_ug_per_day": 200},
            "patient_bolus": {"dose_ug": 5, "duration_min": 5, "lockout_min": 10},
            "reservoir": {"fill_ml": draw(st.sampled_from((4.02, 15)))},
            "limits": {
                "occlusion_kpa": draw(st.sampled_from((20, 69))),
                "restarts": draw(st.sampled_from((0, 2))),
            },
            "rig": {
                "compliance_ul_per_kpa": compliance,
                "oscillator_ppm": draw(st.sampled_from((0, -100, 40.5))),
                "encoder": draw(st.booleans()),
                "level": draw(st.booleans()),
            },
            "event": events,
        }
    )


@pytest.mark.slow
@settings(max_examples=40)
@given(plans())
def test_whatever_happens_leaving_looks_out_changes_no_event_and_no_step(plan):
    assert_same(plan)


@settings(max_examples=60)
@given(plans())
def test_whatever_happens_no_fluid_appears_or_vanishes_and_the_run_ends(plan):
    _, _, stage = play(plan, full_rate=False)
    assert stage.rig.now_us == 7_200_000_000
    assert abs(stage.rig.plant.unaccounted_nl) < 1e-3


def test_a_run_in_pieces_is_the_run_in_one():
    whole, pieces = Bench(seed=3), Bench(seed=3)
    whole.plant.occlude(1.0)
    pieces.plant.occlude(1.0)
    whole.run(20_000)
    for _ in range(20_000):
        pieces.run(1)
    assert whole.log == pieces.log
    assert whole.plant.pulses == pieces.plant.pulses


def test_a_pump_without_power_takes_no_order_and_moves_nothing():
    bench = Bench(dose_ug_per_day=900)
    bench.run(3600)
    bench.rig.power_down()
    pulses, records = bench.plant.pulses, dict(bench.rig.store.records)
    log = list(bench.log)
    for name, arguments in (("stop", ()), ("acknowledge", (ALL,)), ("set_clock", (1,))):
        with pytest.raises(Refused, match="no power"):
            bench.order(name, *arguments)
        bench.run(3600)
    assert (bench.plant.pulses, bench.rig.store.records, bench.log) == (pulses, records, log)
    bench.rig.power_up(1)
    bench.run(3600)
    assert bench.mode == "BASAL"
    assert bench.plant.pulses > pulses


def test_an_event_while_the_power_is_off_is_refused_and_the_run_goes_on():
    plan = Scenario.model_validate(
        {
            "title": "order without power",
            "days": 0.05,
            "seed": 1,
            "drug": {"concentration_ug_per_ml": 2000},
            "program": {"kind": "continuous", "dose_ug_per_day": 300},
            "reservoir": {"fill_ml": 15},
            "event": [
                {"at": "00:10", "do": "power_loss", "seconds": 600},
                {"at": "00:15", "do": "stop"},
                {"at": "00:16", "do": "refill", "ml": 12},
            ],
        }
    )
    events, _, stage = play(plan, full_rate=False)
    assert [name for _, _, name, _ in events].count("ORDER_REFUSED") == 2
    assert stage.rig.pump.modes.resting == 5  # BASAL
    assert stage.rig.plant.syringe_nl > 11_900_000


@pytest.mark.parametrize("level", [False, True])
def test_a_limit_that_was_changed_is_what_the_looks_are_held_against(level):
    benches = [
        Bench(
            dose_ug_per_day=96,
            level=level,
            full_rate=full,
            compliance_ul_per_kpa=0.2,
            limits={"occlusion_pa": 20_000, "rise_pa": 40_000},
        )
        for full in (False, True)
    ]
    for bench in benches:
        bench.plant.occlude(1.0)
        bench.run(3 * 3600)
    assert benches[0].log == benches[1].log
    assert benches[0].raised()[0] == "OCCLUSION"


@pytest.mark.parametrize("ml_per_h", [0.3, 30.0])
def test_a_free_flow_between_two_steps_is_noticed_at_the_same_look(ml_per_h):
    benches = [Bench(dose_ug_per_day=96, full_rate=full) for full in (False, True)]
    for bench in benches:
        bench.run(1000)
        bench.rig.free_flow(ml_per_h)
        bench.run(3600)
    assert benches[0].log == benches[1].log
    assert benches[0].raised()[0] == "FREE_FLOW"


# -- the board's clock ----------------------------------------------------------------------------


@given(
    st.integers(0, 10**12),
    st.floats(-500, 500),
    st.lists(st.integers(0, 4 * TICKS_PERIOD), min_size=1, max_size=30),
)
def test_the_boards_time_is_true_time_times_its_error_and_wraps_nowhere(boot_us, ppm, spans):
    clock = BoardClock(boot_us, ppm)
    factor = 10**9 + round(ppm * 1000)
    true_us = boot_us
    for span_us in spans:
        true_us += span_us
        assert clock.at(true_us) == (true_us - boot_us) * factor // 10**9


@given(st.integers(0, 10**12), st.floats(-500, 500), st.integers(0, 10**13))
def test_the_true_time_of_a_board_time_is_the_first_at_which_it_shows(boot_us, ppm, clock_us):
    true_us = BoardClock(boot_us, ppm).true_us(clock_us)
    assert BoardClock(boot_us, ppm).at(true_us) >= clock_us
    assert true_us == boot_us or BoardClock(boot_us, ppm).at(true_us - 1) < clock_us


@pytest.mark.parametrize("ppm", [-500, 500])
def test_an_oscillator_that_is_off_changes_the_dose_by_as_much_and_no_more(ppm):
    bench = Bench(oscillator_ppm=ppm)
    bench.run(10 * 86_400)
    given_nl = bench.plant.rotor_steps * 89.819
    assert given_nl == pytest.approx(1_500_000 * (1 + ppm * 1e-6), abs=90)
