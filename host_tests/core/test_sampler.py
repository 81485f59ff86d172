"""What looks notice between the steps: windows, dead and stuck readings, pulses, the button."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.parts.sampler import Channel
from host_tests.kit.bench import Bench, simple

LOW, HIGH = 20_000, 30_000
VALID_LOW, VALID_HIGH = 1_000, 64_000


class Sensor:
    """Repeats what it was last told."""

    raw = 25_000

    def read(self) -> int:
        return self.raw


def channel() -> tuple[Channel, Sensor]:
    sensor = Sensor()
    made = Channel(sensor, VALID_LOW, VALID_HIGH)
    made.low, made.high = LOW, HIGH
    return made, sensor


def tail(flags: list[bool]) -> int:
    """How many of the last looks in a row were so."""
    return next((n for n, flag in enumerate(reversed(flags)) if not flag), len(flags))


# A few places, so that readings repeat, cross the window and leave the scale.
readings = st.sampled_from((-1, 0, 65_535, 19_999, 20_000, 25_000, 25_016, 30_000, 30_001))
runs = st.lists(st.tuples(readings, st.integers(1, 40)), min_size=1, max_size=12)


@pytest.mark.req("F10")
@given(runs)
def test_a_channel_is_faulty_after_8_bad_looks_or_32_repeats_and_outside_after_2(runs):
    """8 looks are 2 s and 32 are 8 s: both within the 10 s that an alarm may take."""
    watched, sensor = channel()
    seen: list[int] = []
    bad: list[bool] = []
    same: list[bool] = []
    out: list[bool] = []
    faulty = False
    for raw, times in runs:
        for _ in range(times):
            sensor.raw = raw
            before = watched.faulty, watched.outside
            changed = watched.look()
            same.append(bool(seen) and raw == seen[-1])
            seen.append(raw)
            bad.append(not VALID_LOW <= raw <= VALID_HIGH)
            out.append(not LOW <= raw <= HIGH and not bad[-1])
            # A first reading that is no reading repeats the one there was before it: none.
            repeats = tail(same) + (tail(same) == len(same) - 1 and seen[0] == -1)
            called = tail(bad) >= 8 or repeats >= 32
            faulty = called or (faulty and (bad[-1] or same[-1]))
            assert watched.faulty == faulty
            assert watched.outside == (tail(out) >= 2)
            assert changed == (before != (watched.faulty, watched.outside))


@given(
    runs,
    st.integers(0, 65_535),
    st.integers(0, 20_000),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_a_quiet_span_holds_no_reading_that_changes_anything(runs, low, width, places):
    """What the simulator relies on when it leaves looks out. Readings that live never repeat."""
    watched, sensor = channel()
    for raw, times in runs:
        sensor.raw = raw
        for _ in range(times):
            watched.look()
    high = min(65_535, low + width)
    if not watched.quiet(low, high):
        return
    for place in places:
        raw = low + round(place * (high - low))
        if raw == watched.raw:
            continue
        sensor.raw = raw
        assert not watched.look()


def _extra(bench: Bench, pulses: int) -> None:
    for _ in range(pulses):
        bench.plant.step(1)
    bench.rig.attend()


def _energised(bench: Bench) -> bool:
    """True if the rotor would follow a pulse."""
    before = bench.plant.rotor_steps
    bench.plant.step(1)
    return bench.plant.rotor_steps != before


@pytest.mark.req("D12")
@pytest.mark.parametrize("at_rest", [False, True], ids=["delivering", "stopped"])
@pytest.mark.parametrize("pulses", [0, 1, 3, 4, 5, 1000])
def test_more_than_3_pulses_that_were_not_commanded_take_the_motors_current(pulses, at_rest):
    bench = Bench(dose_ug_per_day=96, encoder=False)
    bench.run(600)
    if at_rest:
        bench.order("stop")
    _extra(bench, pulses)
    bench.run(0.5)
    runaway = pulses > 3
    assert bench.present("RUNAWAY") == runaway
    assert bench.mode == ("STOPPED" if at_rest else "HALTED" if runaway else "BASAL")
    assert _energised(bench) == (not runaway and not at_rest)


@pytest.mark.req("D12")
def test_a_runaway_lasts_until_service_and_then_delivery_can_go_on():
    bench = Bench(dose_ug_per_day=96)
    _extra(bench, 4)
    bench.run(1)
    emitted = bench.rig.hal.stepper.emitted()
    bench.order("acknowledge", 1 << 8)
    with pytest.raises(Exception, match="RUNAWAY"):
        bench.order("resume")
    bench.run(3600)
    assert bench.rig.hal.stepper.emitted() == emitted
    bench.order("service", 8)
    bench.order("resume")
    bench.run(3600)
    assert bench.mode == "BASAL"
    assert bench.rig.hal.stepper.emitted() > emitted


@pytest.mark.req("D12")
@pytest.mark.parametrize("encoder", [True, False])
def test_a_counter_that_misses_more_than_3_commanded_pulses_stops_the_motor(monkeypatch, encoder):
    bench = Bench(encoder=encoder, full_rate=True)
    bench.run(600)
    frozen = bench.rig.hal.counter.count()
    monkeypatch.setattr(bench.rig.hal.counter, "count", lambda: frozen)
    emitted = bench.rig.hal.stepper.emitted()
    bench.run(600)
    assert bench.raised()[0] == "RUNAWAY"
    assert bench.mode == "HALTED"
    assert bench.rig.hal.stepper.emitted() - emitted == 4
    assert not _energised(bench)


@pytest.mark.req("D12")
def test_steps_of_a_bolus_a_stop_and_a_back_off_are_no_mismatch():
    bench = Bench(dose_ug_per_day=300, program=simple(300_000, bolus_dose_ng=30_000, bolus_s=60))
    bench.run(3600)
    bench.press()
    bench.run(600)
    bench.plant.occlude(1.0)
    bench.run(6 * 3600)
    assert bench.raised() == ["OCCLUSION", "STOPPED"]
    assert not bench.pump.sampler.mismatch


def test_a_press_is_one_press_however_long_and_whenever_it_begins():
    draw = random.Random(1)
    for _ in range(20):
        bench = Bench()
        bench.run(3600 + draw.uniform(0, 1))  # the lockout of a pump without a memory is over
        bench.press(draw.uniform(0.3, 8.7))
        bench.run(20)
        decisions = bench.names("BOLUS_GRANTED", "BOLUS_REFUSED")
        assert [entry.name for entry in decisions] == ["BOLUS_GRANTED"]
        assert bench.raised() == []


@pytest.mark.req("F10")
@given(st.floats(0, 1), st.floats(9.1, 2000), st.booleans())
def test_a_button_held_for_9_s_is_an_alarm_within_10_s_and_ends_when_let_go(
    begin_s, held_s, at_rest
):
    bench = Bench(dose_ug_per_day=96)
    if at_rest:
        bench.order("stop")
    bench.run(begin_s)
    begun_s = bench.rig.now_us / 1e6
    bench.rig.press(held_s)
    bench.run(held_s + 1)
    raised = [e for e in bench.names("ALARM_RAISED", "ALARM_GONE") if "BUTTON_STUCK" in e.detail]
    assert [entry.name for entry in raised] == ["ALARM_RAISED", "ALARM_GONE"]
    assert 8.5 <= raised[0].true_s - begun_s <= 9.5
    assert 0 <= raised[1].true_s - begun_s - held_s <= 0.25
