"""A refused order says what was wrong with which value, and changes nothing."""

from types import FunctionType, MethodType
from typing import Any

import pytest

from cisterna.base import faults
from cisterna.base.settings import Limits
from cisterna.base.units import LimitError
from cisterna.orders import Refused
from cisterna.parts.program import continuous
from cisterna_sim.rig_board import default_calibration
from host_tests.kit.bench import ALL, Bench, simple

CAPACITY_NL = default_calibration().capacity_nl
EMPTY_NL = Limits().empty_nl
LATEST_WALL_US = 36_525 * 86_400_000_000
NAN = float("nan")

# order, its good arguments, which of them, its name in a refusal, lowest, highest
ARGUMENTS = (
    ("refill", (18_000_000, 2000), 0, "refill volume", EMPTY_NL + 1, CAPACITY_NL),
    ("refill", (18_000_000, 2000), 1, "concentration_ug_per_ml", 50, 2000),
    ("refill", (18_000_000, 2000, 10_000), 2, "residual volume", 0, CAPACITY_NL),
    ("single_bolus", (10_000, 600), 0, "bolus dose", 1, 1_000_000),
    ("single_bolus", (10_000, 600), 1, "bolus duration", 60, 14_400),
    ("pause_audio", (60,), 0, "audio pause", 1, 120),
    ("set_clock", (10**15,), 0, "wall time", 0, LATEST_WALL_US),
    ("acknowledge", (ALL,), 0, "alarm mask", 0, ALL),
    ("service", (faults.RUNAWAY,), 0, "fault code", 0, len(faults.FAULTS) - 1),
)


def _refused_values() -> list[Any]:
    rows = []
    for order, arguments, place, name, low, high in ARGUMENTS:
        values: list[Any] = [low - 1, -(10**12), high + 1, 1 << 70, NAN, float("inf"), float(low)]
        values += [True, False, str(low), b"1", (low,)]
        if (order, place) != ("refill", 2):
            values.append(None)
        for value in values:
            given = (*arguments[:place], value, *arguments[place + 1 :])
            rows.append(
                pytest.param(order, given, name, value, high, id=f"{order}-{name}-{value!r}")
            )
    return rows


def snapshot(thing: Any, seen: tuple[int, ...] = ()) -> Any:
    """All that the pump knows, as plain values; its ports are left out."""
    if isinstance(thing, int | float | str | bytes | None):
        return thing
    if isinstance(thing, FunctionType | MethodType | type) or id(thing) in seen:
        return None
    seen = (*seen, id(thing))
    if isinstance(thing, list | tuple):
        return [snapshot(item, seen) for item in thing]
    if isinstance(thing, dict):
        return {key: snapshot(value, seen) for key, value in thing.items()}
    if not type(thing).__module__.startswith("pump."):
        return None
    return {name: snapshot(value, seen) for name, value in vars(thing).items()}


def everything(bench: Bench) -> Any:
    """The pump's knowledge, its memory, its log and its motor."""
    hal = bench.rig.hal
    return (
        snapshot(bench.pump),
        dict(bench.rig.store.records),
        list(bench.rig.store.ring),
        hal.stepper.emitted(),
        hal.stepper.busy(),
        (hal.signal.priority, hal.signal.audible),
    )


def steady(bench: Bench) -> Bench:
    """Let every sensor stand still, so that looking again shows the same."""
    hal: Any = bench.rig.hal
    for sensor in (hal.pressure, hal.level, hal.supply):
        raw = sensor.read()
        sensor.read = lambda raw=raw: raw
    position = hal.encoder.position()
    hal.encoder.position = lambda: position
    bench.rig.controller.tick(bench.rig.pump_us)
    bench.rig.controller.tick(bench.rig.pump_us)
    return bench


def delivering() -> Bench:
    """A pump that delivers, has given a bolus, and has an alarm standing."""
    bench = Bench()
    bench.run(4_000)
    bench.order("single_bolus", 5_000, 600)
    bench.run(700)
    bench.pump.raise_fault(faults.MEMORY_DEGRADED)
    bench.run(1)
    return steady(bench)


def refuse(bench: Bench, order: str, *arguments: Any) -> str:
    """Give an order that must be refused and change nothing; returns the reason."""
    before = everything(bench)
    with pytest.raises((LimitError, Refused)) as refusal:
        getattr(bench.rig.orders, order)(bench.rig.pump_us, *arguments)
    assert everything(bench) == before
    return str(refusal.value)


@pytest.fixture(scope="module")
def shared() -> Bench:
    """One pump for all refusals: none of them changes it."""
    return delivering()


@pytest.mark.req("D03")
@pytest.mark.parametrize(("order", "arguments", "name", "value", "limit"), _refused_values())
def test_a_value_out_of_range_or_no_whole_number_is_refused_and_changes_nothing(
    shared, order, arguments, name, value, limit
):
    reason = refuse(shared, order, *arguments)
    assert name in reason
    assert repr(value) in reason
    assert str(limit) in reason


@pytest.mark.req("D03")
@pytest.mark.parametrize(
    ("program", "text"),
    [
        (continuous(2000, 1_000_002), "dose of the highest 24 h = 1000002 ng"),
        (continuous(2000, 48_000_002), "rate of the segment at minute 0 = 24000001 nL/day"),
        (continuous(2000, 95_998), "rate of the segment at minute 0 = 47999 nL/day"),
        (simple(300_000, bolus_dose_ng=33_334, bolus_s=60), "patient bolus rate = 24000480"),
        (continuous(2000, 998_000), "pass max_daily_dose_ng = 1000000"),  # with 5 ug of bolus
        (continuous(1000, 300_000), "the reservoir holds 2000 ug/mL, the program is for 1000"),
    ],
)
def test_a_program_above_a_limit_is_refused_and_the_running_one_goes_on(shared, program, text):
    assert text in refuse(shared, "set_program", program)
    assert shared.pump.dosing.rate_nl_per_day == 150_000


@pytest.mark.req("D03")
def test_limits_that_the_program_would_pass_are_refused_and_the_old_ones_stay():
    bench = Bench()
    bench.order("stop")
    steady(bench)
    for values in ({"max_rate_nl_per_day": 149_999}, {"max_daily_dose_ng": 299_999}):
        reason = refuse(bench, "set_limits", Limits(values))
        assert str(*values.values()) in reason
    assert "minute 0 = 150000" in refuse(
        bench, "set_limits", Limits({"min_rate_nl_per_day": 150_001})
    )


def test_limits_are_refused_while_delivering(shared):
    assert "stop it first" in refuse(shared, "set_limits", Limits())


@pytest.mark.parametrize(
    ("order", "arguments", "text"),
    [
        ("start", (), "start is not possible in mode BASAL"),
        ("resume", (), "resume is not possible in mode BASAL"),
        ("refill", (18_000_000, 1000), "the concentration changes from 2000 to 1000 ug/mL"),
        ("service", (faults.EMPTY,), "EMPTY needs no service; acknowledge it"),
    ],
)
def test_an_order_out_of_place_is_refused_and_changes_nothing(shared, order, arguments, text):
    assert text in refuse(shared, order, *arguments)


@pytest.mark.parametrize(
    ("order", "arguments", "text"),
    [
        ("start", (), "start is not possible in mode UNCONFIGURED"),
        ("stop", (), "stop is not possible in mode UNCONFIGURED"),
        ("suspend", (), "suspend is not possible in mode UNCONFIGURED"),
        ("single_bolus", (10_000, 600), "there is no program; set one first"),
    ],
)
def test_an_unconfigured_pump_refuses_what_would_move_it(order, arguments, text):
    bench = steady(Bench(start=False))
    assert text in refuse(bench, order, *arguments)


@pytest.mark.req("D03")
def test_a_bolus_above_the_daily_dose_is_refused_whole_and_basal_goes_on():
    bench = Bench()
    bench.run(60)
    pulses, begun_us = bench.plant.pulses, bench.rig.now_us
    with pytest.raises(Refused, match="daily dose"):
        bench.order("single_bolus", 700_002, 14_400)
    bench.run(3_600)
    assert bench.mode == "BASAL"
    moved_nl = (bench.plant.pulses - pulses) * 89.819
    hours = (bench.rig.now_us - begun_us) / 3.6e9
    assert moved_nl == pytest.approx(150_000 / 24 * hours, abs=89.819)


@pytest.mark.parametrize(
    ("order", "arguments"),
    [(order, good) for order, good, place, *_ in ARGUMENTS if place == 0],
)
def test_the_same_orders_with_good_values_are_taken(order, arguments):
    bench = delivering()
    before = everything(bench)
    getattr(bench.rig.orders, order)(bench.rig.pump_us, *arguments)
    assert everything(bench) != before
