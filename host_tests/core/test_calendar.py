"""A clock change, a DST change or midnight never changes what a day delivers."""

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cisterna.base.settings import Limits
from cisterna.parts.calendar import ALL_DAYS, MINUTES_PER_DAY, Calendar
from cisterna.parts.program import KIND_PROFILE, Program
from cisterna.schedule import Schedule
from cisterna_sim.rig_board import default_calibration
from host_tests.kit.bench import MIDNIGHT_US, Bench, simple

S = 1_000_000
HOUR = 3_600 * S
DAY = 24 * HOUR
QUANTUM_NL = 89.819
EPOCH = datetime(2000, 1, 1)

# Two kinds of day; 2000 ug/mL, so 100 000 ng/day are 50 000 nL/day.
PROFILE = Program(
    KIND_PROFILE,
    2000,
    (
        (0b0011111, 0, 200_000), (0b0011111, 7 * 60, 600_000), (0b0011111, 19 * 60 + 31, 100_000),
        (0b1100000, 0, 300_000), (0b1100000, 720, 400_000),
    ),
)  # fmt: skip
SHIFTS = st.integers(-40 * DAY, 40 * DAY) | st.sampled_from([HOUR, -HOUR, DAY, -DAY, 12 * HOUR])


def _wall(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def _known(wall_us: int = MIDNIGHT_US, now_us: int = 0) -> Calendar:
    calendar = Calendar()
    calendar.set_wall(now_us, wall_us, False)
    calendar.turn(now_us)
    return calendar


@given(st.integers(0, 36_524 * DAY), st.integers(0, 1 << 50))
def test_the_weekday_and_the_minute_are_those_of_the_wall_clock(wall_us, now_us):
    calendar = _known(wall_us, now_us)
    wall = EPOCH + timedelta(microseconds=wall_us)
    assert calendar.weekday == wall.weekday()
    assert calendar.minute(now_us) == wall.hour * 60 + wall.minute
    assert calendar.wall_us(now_us) == wall_us
    assert calendar.day_end_us - calendar.day_start_us == DAY


@given(st.integers(23 * HOUR, 25 * HOUR), st.sets(st.integers(1, 1439), max_size=23), st.data())
def test_segments_follow_each_other_without_gap_or_overlap(length_us, later, data):
    starts = [0, *sorted(later)]
    calendar = Calendar()
    calendar.day_start_us = data.draw(st.integers(-(1 << 50), 1 << 50))
    calendar.day_end_us = calendar.day_start_us + length_us
    now_us, seen = calendar.day_start_us, []
    while now_us < calendar.day_end_us:
        index, until_us = calendar.segment(now_us, starts)
        # The guard finds the segment by the minute; both must change at the same us.
        assert calendar.minute(now_us) >= starts[index]
        assert calendar.segment(until_us - 1, starts) == (index, until_us)
        if index + 1 < len(starts):
            assert calendar.minute(until_us - 1) < starts[index + 1] <= calendar.minute(until_us)
        seen.append(index)
        now_us = until_us
    assert seen == list(range(len(starts)))
    assert now_us == calendar.day_end_us


@pytest.mark.req("D10")
@given(st.lists(st.tuples(st.integers(0, 3 * DAY), SHIFTS), max_size=6))
def test_setting_the_clock_leaves_the_running_day_and_smears_an_hour_a_day_at_most(acts):
    calendar = _known()
    now_us = 0
    for wait_us, shift_us in acts:
        end_us = now_us + wait_us
        while calendar.day_end_us <= end_us:
            now_us = calendar.day_end_us
            calendar.turn(now_us)
            assert calendar.day_start_us == now_us
            assert 23 * HOUR <= calendar.day_end_us - now_us <= 25 * HOUR
        now_us = end_us
        running = calendar.day_start_us, calendar.day_end_us, calendar.weekday
        calendar.set_wall(now_us, calendar.wall_us(now_us) + shift_us, True)
        calendar.turn(now_us)
        assert (calendar.day_start_us, calendar.day_end_us, calendar.weekday) == running
        assert not calendar.use_mean


@pytest.mark.req("D10")
@given(st.integers(-12 * HOUR + 1, 12 * HOUR - 1), st.integers(0, DAY - 1))
def test_a_change_is_followed_within_a_day_for_each_hour_of_it(shift_us, at_us):
    calendar = _known()
    calendar.set_wall(at_us, MIDNIGHT_US + at_us + shift_us, True)
    days = -(-abs(shift_us) // HOUR)
    for _ in range(days + 1):
        calendar.turn(calendar.day_end_us)
    start_wall_us = calendar.wall_us(calendar.day_start_us)
    assert start_wall_us % DAY == 0
    assert calendar.day_end_us - calendar.day_start_us == DAY
    wall = EPOCH + timedelta(microseconds=start_wall_us)
    assert calendar.weekday == wall.weekday()


@pytest.mark.req("D10")
@pytest.mark.parametrize(
    ("before", "after", "lengths_h"),
    [
        ("2026-03-29T02:00", "2026-03-29T03:00", [24, 23, 24]),  # summer time begins
        ("2026-10-25T03:00", "2026-10-25T02:00", [24, 25, 24]),
        ("2026-06-01T23:59", "2026-06-02T00:01", [24, 24 - 2 / 60, 24]),
        ("2026-06-02T00:01", "2026-06-01T23:59", [24, 24 + 2 / 60, 24]),
        ("2026-06-01T12:00", "2026-06-01T15:30", [24, 23, 23, 23, 23.5, 24]),
        ("2026-06-01T12:00", "2026-06-08T12:00", [24, 24, 24]),  # the date alone
    ],
)
def test_the_day_that_runs_stays_whole_and_the_next_ones_are_stretched_or_squeezed(
    before, after, lengths_h
):
    calendar = _known(_wall(before))
    calendar.set_wall(0, _wall(after), True)
    found = []
    for _ in lengths_h:
        found.append((calendar.day_end_us - calendar.day_start_us) / HOUR)
        calendar.turn(calendar.day_end_us)
    assert found == pytest.approx(lengths_h)


def test_without_a_time_of_day_the_mean_is_delivered_until_the_midnight_after_it_is_set():
    calendar = Calendar()
    calendar.turn(40 * DAY)
    assert calendar.use_mean
    assert not calendar.known
    now_us = 40 * DAY
    calendar.set_wall(now_us, MIDNIGHT_US + 15 * HOUR, True)
    calendar.turn(now_us)
    assert calendar.use_mean
    calendar.turn(now_us + 9 * HOUR - 1)
    assert calendar.use_mean
    calendar.turn(now_us + 9 * HOUR)
    assert not calendar.use_mean
    assert calendar.weekday == 1


def test_a_clock_set_at_rest_is_followed_at_once():
    calendar = _known()
    calendar.set_wall(DAY, MIDNIGHT_US + 15 * HOUR, False)
    assert calendar.minute(DAY) == 15 * 60
    assert not calendar.use_mean


@pytest.mark.req("D10", "D04")
def test_a_day_joined_at_rest_is_not_run_again_after_a_power_loss():
    program = Program(KIND_PROFILE, 2000, ((ALL_DAYS, 0, 2_000_000), (ALL_DAYS, 120, 100_000)))
    limit_ng = program.day_bound_nl(Limits()) * 2
    bench = Bench(program=program, limits={"max_daily_dose_ng": limit_ng})
    bench.run(2 * 3600 + 60)
    bench.rig.power_down()
    bench.rig.power_up(0)
    bench.run(18 * 3600)
    bench.order("set_clock", MIDNIGHT_US + DAY - 60_000_000)
    bench.run(600)
    mean = program.mean_rate(Limits())
    assert bench.pump.dosing.rate_nl_per_day == mean
    bench.run(4 * 3600)
    assert bench.mode == "BASAL"
    assert not bench.present("OVER_DELIVERY")


# -- what a day delivers --------------------------------------------------------------------------


def _schedule(calendar: Calendar, program: Program) -> Schedule:
    memory: Any = SimpleNamespace(
        program=program, limits=Limits(), calibration=default_calibration()
    )
    return Schedule(memory, calendar)


@pytest.mark.req("D10")
@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2 * DAY), SHIFTS), max_size=5))
def test_every_program_day_delivers_its_daily_mean_for_as_long_as_it_lasts(acts):
    """Whatever the clock is set to: to one quantum, and no part of a profile twice."""
    calendar = _known()
    schedule = _schedule(calendar, PROFILE)
    now_us, given_ = 0, 0
    at = [sum(wait for wait, _ in acts[: i + 1]) for i in range(len(acts))]
    changes = [(at_us, shift) for at_us, (_, shift) in zip(at, acts, strict=True)]
    rates: list[int] = []
    day_start_us = 0
    while now_us < 9 * DAY:
        while changes and changes[0][0] <= now_us:
            calendar.set_wall(now_us, calendar.wall_us(now_us) + changes.pop(0)[1], True)
        if now_us >= calendar.day_end_us:
            length_us = calendar.day_end_us - day_start_us
            programmed = PROFILE.day_total(calendar.weekday, Limits()) * length_us
            error_nl = given_ / DAY - programmed / (MINUTES_PER_DAY * DAY)
            assert abs(error_nl) <= QUANTUM_NL
            wanted = [rate for _, rate in PROFILE.day_rates(calendar.weekday, Limits())]
            assert rates == wanted
            day_start_us, given_, rates = now_us, 0, []
        schedule.look_up(now_us)
        assert schedule.wrong == 0
        if not rates or rates[-1] != schedule.rate_nl_per_day:
            rates.append(schedule.rate_nl_per_day)
        until_us = min(schedule.until_us, changes[0][0] if changes else 1 << 63)
        given_ += (until_us - now_us) * schedule.rate_nl_per_day
        now_us = until_us


def _days_nl(bench: Bench, days: int, act: Any = None, at_s: int = 0) -> list[float]:
    """Volume pulsed in each of the next days; ``act`` happens ``at_s`` into the first."""
    found = []
    for day in range(days):
        pulses = bench.plant.pulses
        if day == 0 and act is not None:
            bench.run(at_s)
            act()
            bench.run(86_400 - at_s)
        else:
            bench.run(86_400)
        found.append((bench.plant.pulses - pulses) * QUANTUM_NL)
    return found


@pytest.mark.req("D10")
@pytest.mark.parametrize("at_s", [0, 3_599, 43_200, 86_399])
@pytest.mark.parametrize(
    "shift_s", [3_600, -3_600, 1, -1, 86_400, -86_400, 40_000, 40 * 86_400, -9_000 * 86_400]
)
def test_24_hours_of_a_continuous_program_are_exact_whatever_the_clock_is_set_to(shift_s, at_s):
    bench = Bench(program=simple(300_000))

    def shift() -> None:
        now_us = bench.rig.pump_us
        bench.order("set_clock", bench.pump.calendar.wall_us(now_us) + shift_s * S)

    assert _days_nl(bench, 2, shift, at_s) == pytest.approx([150_000] * 2, abs=QUANTUM_NL)
    assert bench.raised() == []


@pytest.mark.req("D10")
@pytest.mark.parametrize("shift_h", [1, -1, 5, -11, 24, -72])
def test_a_running_profile_delivers_its_whole_day_when_the_clock_is_set(shift_h):
    bench = Bench(program=PROFILE)
    total_nl = PROFILE.day_total(0, Limits()) / MINUTES_PER_DAY
    setup_us = bench.rig.now_us  # the clock was set to a midnight, then
    bench.run(7 * 3_600 + 60)
    bench.order("set_clock", MIDNIGHT_US + bench.rig.now_us - setup_us + shift_h * HOUR)
    rest_s = (bench.pump.calendar.day_end_us - bench.rig.pump_us) / S
    bench.run(rest_s)
    assert bench.plant.pulses * QUANTUM_NL == pytest.approx(total_nl, abs=QUANTUM_NL)
    assert rest_s + 7 * 3_600 + 60 == pytest.approx(86_400)


@pytest.mark.req("D10")
def test_midnights_and_weekdays_pass_without_a_quantum_more_or_less():
    bench = Bench(program=PROFILE)
    volumes = [PROFILE.day_total(day, Limits()) / MINUTES_PER_DAY for day in range(7)]
    assert _days_nl(bench, 7) == pytest.approx(volumes, abs=QUANTUM_NL)
    assert bench.pump.dosing.dropped_steps == 0


@pytest.mark.req("D10")
def test_a_lost_clock_delivers_the_mean_and_says_so():
    bench = Bench(program=PROFILE)
    bench.run(3 * 3_600)
    bench.rig.power_down()
    bench.rig.power_up(1)
    bench.run(10)
    assert bench.active("CLOCK_LOST")
    mean = sum(PROFILE.day_total(day, Limits()) for day in range(7)) // (7 * MINUTES_PER_DAY)
    assert bench.pump.dosing.rate_nl_per_day == mean
    assert _days_nl(bench, 2) == pytest.approx([mean] * 2, abs=QUANTUM_NL)
    bench.order("set_clock", MIDNIGHT_US + 20 * HOUR)
    assert not bench.active("CLOCK_LOST")
    bench.run(4 * 3_600 - 1)
    assert bench.pump.dosing.rate_nl_per_day == mean
    bench.run(2)
    assert bench.pump.dosing.rate_nl_per_day == 100_000  # Tuesday, 00:00
