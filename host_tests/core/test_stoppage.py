"""A pump that stands still says so, and no suspension lasts."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.base import faults
from cisterna.orders import Refused
from cisterna.parts.program import KIND_PROFILE, KIND_STOPPED, Program
from cisterna.parts.stoppage import Stoppage
from host_tests.kit.bench import ALL, MIDNIGHT_US, Bench, simple

US_PER_S = 1_000_000
HOUR_S = 3_600
STEP_NL = 89.819


def idle() -> Bench:
    """A pump that is set up and was never started."""
    bench = Bench(start=False)
    bench.order("set_clock", MIDNIGHT_US)
    bench.order("refill", 18_000_000, 2000)
    bench.order("set_program", simple(300_000))
    bench.order("acknowledge", ALL)
    return bench


def stopped() -> Bench:
    """A pump that delivered for an hour and was stopped."""
    bench = Bench()
    bench.run(HOUR_S)
    bench.order("stop")
    return bench


def halted() -> Bench:
    """A pump that a fault stopped, the fault being gone and acknowledged since."""
    bench = Bench()
    bench.run(HOUR_S)
    bench.pump.raise_fault(faults.OVER_DELIVERY)
    bench.pump.replan()
    bench.order("acknowledge", 1 << faults.OVER_DELIVERY)
    return bench


def stopped_program() -> Bench:
    """A pump whose program asks for nothing."""
    return Bench(program=Program(KIND_STOPPED, 2000))


@pytest.mark.req("F08")
@pytest.mark.parametrize("make", [idle, stopped, halted, stopped_program])
def test_a_stopped_pump_reminds_after_an_hour(make: Callable[[], Bench]) -> None:
    bench = make()
    begun_us = bench.rig.now_us
    bench.rig.run_until(begun_us + HOUR_S * US_PER_S - 1)
    assert not bench.present("STOPPED")
    bench.rig.run_until(begun_us + HOUR_S * US_PER_S)
    assert bench.present("STOPPED")
    assert (bench.rig.hal.signal.priority, bench.rig.hal.signal.audible) == (faults.MEDIUM, True)


@pytest.mark.req("F08")
@pytest.mark.parametrize(
    ("make", "hours"), [(idle, 6), (stopped, 6), (halted, 6), (stopped_program, 48)]
)
def test_it_is_high_at_a_quarter_of_the_daily_dose_or_after_48_h(
    make: Callable[[], Bench], hours: int
) -> None:
    bench = make()
    begun_us = bench.rig.now_us
    bench.rig.run_until(begun_us + hours * HOUR_S * US_PER_S - 1_000)
    assert not bench.present("STOPPED_LONG")
    bench.rig.run_until(begun_us + hours * HOUR_S * US_PER_S + 1_000)
    assert bench.present("STOPPED_LONG")
    assert (bench.rig.hal.signal.priority, bench.rig.hal.signal.audible) == (faults.HIGH, True)


def _profile(dose_ug: int) -> Program:
    """Nothing to speak of but in four hours of the morning, on weekdays."""
    low = 96_000
    return Program(
        KIND_PROFILE,
        2000,
        ((0x7F, 0, low), (0x1F, 6 * 60, dose_ug * 1000), (0x1F, 10 * 60, low)),
    )


@pytest.mark.req("F08")
@pytest.mark.parametrize("stopped_at_h", [2, 7, 11])
def test_the_missed_dose_follows_the_profile(stopped_at_h: int) -> None:
    bench = Bench(program=_profile(1500))
    bench.rig.run_until((3 + stopped_at_h * HOUR_S) * US_PER_S)
    # The mean runs first.
    bench.run_until(lambda: bench.pump.calendar.use_mean is False, 86_400, 600)
    bench.run(stopped_at_h * HOUR_S - bench.pump.calendar.minute(bench.pump.now_us) * 60)
    bench.order("stop")
    begun_us = bench.rig.now_us
    quarter = Fraction(96_000 * 20 + 1_500_000 * 4, 24 * 4)  # ng
    missed, at_min = Fraction(0), bench.pump.calendar.minute(bench.pump.now_us)
    minutes = 0
    while missed < quarter:
        hour = (at_min + minutes) % 1440 / 60
        missed += Fraction(1_500_000 if 6 <= hour < 10 else 96_000, 1440)
        minutes += 1
    bench.run_until(lambda: bench.present("STOPPED_LONG"), 48 * HOUR_S, 30)
    passed_min = (bench.rig.now_us - begun_us) / 60e6
    assert passed_min == pytest.approx(minutes, abs=2)


@pytest.mark.req("F08")
def test_a_quarter_missed_within_the_hour_does_not_wait_for_the_reminder() -> None:
    # All but a trace of the day in 40 minutes: a quarter of it is missed in about 14.
    segments = ((0x7F, 0, 96_000), (0x7F, 60, 8_000_000), (0x7F, 100, 96_000))
    bench = Bench(program=Program(KIND_PROFILE, 2000, segments))
    bench.run(25 * HOUR_S)
    assert bench.pump.calendar.minute(bench.pump.now_us) == 60
    bench.order("stop")
    seconds = bench.run_until(lambda: bench.present("STOPPED_LONG"), HOUR_S, 1)
    day_ng = Fraction(96_000 * (1440 - 40) + 8_000_000 * 40, 1440)
    assert seconds == pytest.approx(day_ng / 4 / 8_000_000 * 86_400, abs=2)
    assert not bench.present("STOPPED")


@pytest.mark.req("F08")
def test_delivery_ends_the_alarms_once_they_are_acknowledged() -> None:
    bench = stopped()
    bench.run(7 * HOUR_S)
    assert bench.present("STOPPED")
    assert bench.present("STOPPED_LONG")
    bench.order("acknowledge", ALL)
    assert bench.active("STOPPED_LONG")  # its condition still holds
    bench.order("start")
    assert not bench.present("STOPPED")
    assert not bench.present("STOPPED_LONG")
    bench.order("stop")
    bench.run(HOUR_S - 1)
    assert not bench.present("STOPPED")  # counted anew


@pytest.mark.req("F08")
def test_a_stoppage_outlives_a_power_loss() -> None:
    bench = stopped()
    bench.run(HOUR_S)
    assert bench.present("STOPPED")
    bench.rig.power_down()
    bench.run(10)
    bench.rig.power_up(1)
    bench.run(3)
    assert bench.present("STOPPED")
    seconds = bench.run_until(lambda: bench.present("STOPPED_LONG"), 6 * HOUR_S, 1)
    assert seconds == pytest.approx(5 * HOUR_S - 3, abs=3)


@pytest.mark.req("F08")
def test_a_delivering_pump_is_never_called_stopped() -> None:
    bench = Bench()
    bench.run(60 * HOUR_S)
    assert bench.raised() == []


# -- suspension ---------------------------------------------------------------------------------


@pytest.mark.req("F09")
@pytest.mark.parametrize("bolus", [False, True])
def test_a_suspension_ends_by_itself_after_two_minutes(bolus: bool) -> None:
    bench = Bench()
    bench.run(100)
    if bolus:
        bench.order("single_bolus", 10_000, 600)
        bench.run(10)
    bench.order("suspend")
    pulses, begun_us = bench.plant.pulses, bench.rig.now_us
    bench.rig.run_until(begun_us + 120 * US_PER_S - 1)
    assert (bench.mode, bench.plant.pulses) == ("SUSPENDED", pulses)
    bench.rig.run_until(begun_us + 120 * US_PER_S)
    assert bench.mode == "BASAL"
    bench.run(HOUR_S)
    assert (bench.plant.pulses - pulses) * STEP_NL == pytest.approx(150_000 / 24, abs=STEP_NL)


@pytest.mark.req("F09")
def test_a_suspension_lasts_as_long_as_it_is_renewed() -> None:
    bench = Bench()
    bench.run(100)
    bench.order("suspend")
    pulses = bench.plant.pulses
    for _ in range(5):
        bench.run(119)
        bench.order("suspend")
    last_us = bench.rig.now_us
    bench.rig.run_until(last_us + 120 * US_PER_S - 1)
    assert (bench.mode, bench.plant.pulses) == ("SUSPENDED", pulses)
    bench.run(1e-6)
    assert bench.mode == "BASAL"


@pytest.mark.req("F09")
def test_a_second_suspension_has_its_own_two_minutes() -> None:
    bench = Bench()
    bench.order("suspend")
    bench.run(100)
    bench.order("resume")
    bench.run(10)
    bench.order("suspend")
    bench.run(119)
    assert bench.mode == "SUSPENDED"
    bench.run(1)
    assert bench.mode == "BASAL"


@pytest.mark.req("F09")
def test_nothing_but_delivery_can_be_suspended_and_no_fault_is_hidden() -> None:
    bench = stopped()
    with pytest.raises(Refused):
        bench.order("suspend")
    bench.order("start")
    bench.order("suspend")
    bench.pump.raise_fault(faults.OVER_DELIVERY)
    pulses = bench.plant.pulses
    bench.run(HOUR_S)
    assert (bench.mode, bench.plant.pulses) == ("HALTED", pulses)


@pytest.mark.req("F09")
def test_a_power_loss_ends_a_suspension() -> None:
    bench = Bench()
    bench.order("suspend")
    bench.rig.power_down()
    bench.run(1)
    bench.rig.power_up(1)
    bench.run(3)
    assert bench.mode == "BASAL"


# -- the counter by itself ----------------------------------------------------------------------

SPANS = st.lists(
    st.tuples(st.integers(1, 10 * HOUR_S * US_PER_S), st.integers(0, 24_000_000)), max_size=20
)


@given(st.integers(1, 1 << 50), SPANS, st.integers(0, 24_000_000))
def test_missed_volume_and_times_are_exact(
    begun_us: int, spans: list[tuple[int, int]], day_nl: int
) -> None:
    stoppage: Any = Stoppage()
    assert stoppage.next_us(begun_us, 1, 1) == 0
    stoppage.advance(begun_us, 1_000)
    stoppage.begin(begun_us)
    now_us, missed = begun_us, Fraction(0)
    for span_us, rate in spans:
        due_us = stoppage.next_us(now_us, rate, day_nl)
        later_us = now_us + span_us
        before = stoppage.reminds(now_us), stoppage.alarms(now_us, day_nl)
        stoppage.advance(later_us, rate)
        stoppage.begin(later_us)  # is nothing while it lasts
        missed += Fraction(span_us * rate, 86_400 * US_PER_S)
        now_us = later_us
        passed_s = Fraction(now_us - begun_us, US_PER_S)
        after = (
            passed_s >= HOUR_S,
            passed_s >= 48 * HOUR_S or (day_nl > 0 and missed * 4 >= day_nl),
        )
        assert (stoppage.reminds(now_us), stoppage.alarms(now_us, day_nl)) == after
        assert stoppage.missed_nl == missed // 1
        if after != before:  # the change was foretold, no later than it came
            assert 0 < due_us <= now_us
    stoppage.end()
    assert not stoppage.reminds(now_us + 100 * HOUR_S * US_PER_S)
    assert stoppage.missed_nl == 0
