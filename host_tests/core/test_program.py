"""A program is checked when it is made, weighed against the limits, and read in two ways."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cisterna.base.settings import Limits
from cisterna.base.units import LimitError
from cisterna.parts import guard
from cisterna.parts.calendar import ALL_DAYS, Calendar
from cisterna.parts.program import (
    KIND_CONTINUOUS,
    KIND_MINIMUM,
    KIND_PROFILE,
    KIND_STOPPED,
    Program,
    continuous,
)
from cisterna.schedule import Schedule
from cisterna_sim.rig_board import default_calibration
from host_tests.kit.bench import Bench, simple

HOUR = 3_600_000_000
DAY = 24 * HOUR
LIMITS = Limits()
Segment = tuple[int, int, int]

WHOLE_DAY = ((ALL_DAYS, 0, 300_000),)
MONDAY, WEEKEND = 0b1, 0b1100000


@st.composite
def profiles(draw: Any, most: int = 5) -> Program:
    """Profiles of one to three kinds of day, of 48 000..24 000 000 nL/day at 1000 ug/mL."""
    kinds = draw(st.lists(st.integers(0, 2), min_size=7, max_size=7))
    dose = st.sampled_from([48_000, 24_000_000]) | st.integers(48_000, 24_000_000)
    segments: list[Segment] = []
    for kind in set(kinds):
        mask = sum(1 << weekday for weekday in range(7) if kinds[weekday] == kind)
        later = draw(st.sets(st.integers(1, 1439), max_size=most - 1))
        segments += [(mask, start, draw(dose)) for start in (0, *sorted(later))]
    return Program(KIND_PROFILE, 1000, tuple(segments))


def _half_up(value: Fraction) -> int:
    return (value + Fraction(1, 2)).__floor__()


def _rate(program: Program, weekday: int, minute: int) -> int:
    """The rate that holds, by the definition: of the latest segment that has begun."""
    begun = [s for s in program.segments if s[0] >> weekday & 1 and s[1] <= minute]
    dose = max(begun, key=lambda s: s[1])[2]
    return _half_up(Fraction(dose * 1000, program.concentration_ug_per_ml))


# -- what a program may be ------------------------------------------------------------------------

BAD = [float("nan"), 300_000.0, "300000", True, None, -1]


@pytest.mark.req("D03")
@pytest.mark.parametrize("value", BAD, ids=repr)
@pytest.mark.parametrize(
    "name",
    ["kind", "concentration_ug_per_ml", "bolus_dose_ng", "bolus_s", "lockout_s", "daily_cap"],
)
def test_no_number_of_a_program_may_be_other_than_a_whole_number(name, value):
    given_ = {"kind": KIND_CONTINUOUS, "concentration_ug_per_ml": 2000, "segments": WHOLE_DAY}
    with pytest.raises(LimitError, match=rf"^{name} = {value!r}"):
        Program(**{**given_, name: value})


@pytest.mark.req("D03")
@pytest.mark.parametrize("value", [*BAD, 0, 100_000_001], ids=repr)
def test_no_dose_rate_of_a_segment_may_be_zero_negative_or_no_whole_number(value):
    with pytest.raises(LimitError, match=rf"^segment dose = {value!r}.* 1\.\.100000000"):
        Program(KIND_CONTINUOUS, 2000, ((ALL_DAYS, 0, value),))


@pytest.mark.req("D03")
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("kind", 0, 3),
        ("concentration_ug_per_ml", 50, 2000),
        ("bolus_dose_ng", 0, 1_000_000),
        ("bolus_s", 60, 14_400),
        ("lockout_s", 300, 86_400),
        ("daily_cap", 0, 24),
    ],
)
def test_every_number_of_a_program_keeps_to_its_range(name, low, high):
    given_ = {"kind": KIND_CONTINUOUS, "concentration_ug_per_ml": 2000, "segments": WHOLE_DAY}
    for value in (low - 1, high + 1):
        with pytest.raises(LimitError, match=rf"^{name} = {value}.*{low}\.\.{high}"):
            Program(**{**given_, name: value})
    if name != "kind":
        for value in (low, high):
            assert getattr(Program(**{**given_, name: value}), name) == value


@pytest.mark.req("D03")
@pytest.mark.parametrize(
    ("kind", "segments", "text"),
    [
        (KIND_STOPPED, WHOLE_DAY, "a stopped program has no segments; got 1"),
        (KIND_MINIMUM, WHOLE_DAY, "a minimum program has no segments; got 1"),
        (KIND_CONTINUOUS, (), "one segment, all days from 00:00"),
        (KIND_CONTINUOUS, (*WHOLE_DAY, (ALL_DAYS, 60, 1)), "one segment, all days from 00:00"),
        (KIND_CONTINUOUS, ((ALL_DAYS, 1, 300_000),), "one segment, all days from 00:00"),
        (KIND_CONTINUOUS, ((ALL_DAYS - 1, 0, 300_000),), "one segment, all days from 00:00"),
        (KIND_PROFILE, (), "weekday 0 has no segment at 00:00"),
        (KIND_PROFILE, ((ALL_DAYS, 1, 300_000),), "weekday 0 has no segment at 00:00"),
        (KIND_PROFILE, ((ALL_DAYS - WEEKEND, 0, 300_000),), "weekday 5 has no segment at 00:00"),
        (KIND_PROFILE, (*WHOLE_DAY, (128, 60, 300_000)), "segment days = 128 is outside 1..127"),
        (KIND_PROFILE, (*WHOLE_DAY, (0, 60, 300_000)), "segment days = 0 is outside 1..127"),
        (KIND_PROFILE, (*WHOLE_DAY, (1, 1440, 1)), "segment start = 1440 min is outside 0..1439"),
        (KIND_PROFILE, (*WHOLE_DAY, (1, 60.0, 1)), "segment start = 60.0 is not a whole"),
        (
            KIND_PROFILE,
            (*WHOLE_DAY, *WHOLE_DAY),
            "weekday 0 has segments out of order at minute 0",
        ),
        (
            KIND_PROFILE,
            (*WHOLE_DAY, (64, 90, 1), (64, 60, 1)),
            "weekday 6 has segments out of order at minute 60",
        ),
        (
            KIND_PROFILE,
            tuple((ALL_DAYS, minute, 300_000) for minute in range(25)),
            "weekday 0 has 25 segments; at most 24",
        ),
    ],
)
def test_a_table_of_segments_that_leaves_a_rate_open_is_refused(kind, segments, text):
    with pytest.raises(LimitError, match=text.replace("..", r"\.\.")):
        Program(kind, 2000, segments)


@pytest.mark.req("D03")
@pytest.mark.parametrize(
    ("program", "text"),
    [
        # 24 mL/day is 1 200 000 ng/day at 50 ug/mL.
        (continuous(50, 1_200_026), "rate of the segment at minute 0 = 24000520 .*24000000"),
        (continuous(2000, 94_000), r"rate of the segment at minute 0 = 47000 .*48000\.\."),
        (continuous(2000, 1_000_002), "dose of the highest 24 h = 1000002 ng .*1000000"),
        (simple(300_000, 50, bolus_dose_ng=10_000, bolus_s=60), "patient bolus rate = 288000000"),
        (
            Program(
                KIND_PROFILE, 2000, ((ALL_DAYS, 0, 300_000), (MONDAY, 60, 94_000), (126, 60, 1))
            ),
            "minute 60 = 47000 ",
        ),
    ],
)
def test_a_program_above_the_limits_is_refused_by_name_value_and_limit(program, text):
    with pytest.raises(LimitError, match=text):
        program.check_against(LIMITS)


@pytest.mark.parametrize(
    "program",
    [
        continuous(2000, 1_000_000),
        continuous(2000, 96_000),
        continuous(50, 1_000_000),
        Program(KIND_MINIMUM, 2000),
        Program(KIND_STOPPED, 50),
        simple(300_000, 2000, bolus_dose_ng=33_332, bolus_s=60),  # 24 mL/day on its own
    ],
)
def test_a_program_at_the_limits_is_taken(program):
    program.check_against(LIMITS)


@given(profiles(), st.integers(0, 1_000_000), st.integers(60, 14_400), st.integers(300, 86_400))
def test_a_program_comes_back_from_its_bytes(program, dose_ng, bolus_s, lockout_s):
    given_ = Program(
        KIND_PROFILE, 1000, program.segments, dose_ng, bolus_s, lockout_s, dose_ng % 25
    )
    assert vars(Program.unpack(given_.pack())) == vars(given_)


@pytest.mark.parametrize("change", [b"\0", b"\0" * 7, -1, -7, -40])
def test_bytes_of_another_size_are_no_program(change):
    data = Program(KIND_PROFILE, 2000, WHOLE_DAY).pack()
    with pytest.raises(LimitError, match="bytes are no program"):
        Program.unpack(data[:change] if isinstance(change, int) else data + change)


def test_24_segments_on_each_day_are_taken():
    segments = tuple((1 << day, 60 * hour, 300_000) for day in range(7) for hour in range(24))
    program = Program(KIND_PROFILE, 2000, segments)
    assert len(program.day_rates(3, LIMITS)) == 24
    assert Program.unpack(program.pack()).segments == segments


# -- volumes of days ------------------------------------------------------------------------------


@settings(max_examples=25)
@given(profiles())
def test_a_days_total_and_the_weeks_mean_are_the_sum_over_minutes(program):
    totals = [sum(_rate(program, day, minute) for minute in range(1440)) for day in range(7)]
    assert [program.day_total(day, LIMITS) for day in range(7)] == totals
    assert program.mean_rate(LIMITS) == sum(totals) // (7 * 1440)


Piece = tuple[int, int, int]  # from, to in us, nL/day


def _deliver(
    program: Program, days: int, settings_: list[tuple[int, int]], boots: set[int]
) -> list[Piece]:
    """What a pump delivers whose clock is set, or which boots, at some hours; wall in us."""
    memory: Any = SimpleNamespace(
        program=program, limits=LIMITS, calibration=default_calibration()
    )
    calendar = Calendar()
    schedule = Schedule(memory, calendar)
    acts = [(hour * HOUR, wall) for hour, wall in settings_] + [(h * HOUR, -1) for h in boots]
    acts.sort()
    now_us, pieces = 0, []
    while now_us < days * DAY:
        while acts and acts[0][0] <= now_us:
            wall_us = acts.pop(0)[1]
            if wall_us < 0:
                schedule = Schedule(memory, calendar := Calendar(calendar.began_us))  # as a boot
            else:
                calendar.set_wall(now_us, wall_us, True)
        schedule.look_up(now_us)
        assert schedule.wrong == 0
        until_us = min(schedule.until_us, days * DAY, acts[0][0] if acts else days * DAY)
        assert until_us > now_us
        pieces.append((now_us, until_us, schedule.rate_nl_per_day))
        now_us = until_us
    return pieces


def _fullest(pieces: list[Piece]) -> int:
    """The most that any window of 24 h holds, in nL/day times us."""
    edges = {piece[0] for piece in pieces}
    starts = edges | {edge - DAY for edge in edges if edge >= DAY}
    return max(
        sum(
            (min(end, start + DAY) - max(begin, start)) * rate
            for begin, end, rate in pieces
            if begin < start + DAY and end > start
        )
        for start in starts
    )


FRONT = ((ALL_DAYS, 0, 4_000_000), (ALL_DAYS, 720, 48_000))
NOON = ((ALL_DAYS, 0, 48_000), (ALL_DAYS, 360, 4_000_000), (ALL_DAYS, 1080, 48_000))
MORNING_AND_EVENING = (
    (MONDAY, 0, 48_000), (MONDAY, 720, 9_000_000), (126, 0, 9_000_000), (126, 720, 48_000),
)  # fmt: skip


@pytest.mark.req("D04")
@settings(max_examples=200)
@given(
    profiles(most=3),
    st.integers(0, 40 * 24),
    st.lists(st.tuples(st.integers(0, 7 * 24), st.integers(0, 14 * 24)), max_size=3),
)
@example(Program(KIND_PROFILE, 1000, FRONT), 0, [(0, 0), (30, 12)])
@example(Program(KIND_PROFILE, 1000, MORNING_AND_EVENING), 0, [(0, 0), (20, 13 * 24)])
def test_no_24_hours_hold_more_than_the_bound_whatever_the_clock_is_set_to(
    program, first_hour, later
):
    """The clock is not known at first; each setting jumps by hours or days, either way."""
    acts = [(0, first_hour * HOUR)] + [(at, (first_hour + hours) * HOUR) for at, hours in later]
    for first in (0, 5):
        pieces = _deliver(program, 8, [(first + at, wall) for at, wall in acts], set())
        assert _fullest(pieces) <= program.day_bound_nl(LIMITS) * DAY


@pytest.mark.req("D04")
@settings(max_examples=100)
@given(profiles(most=3), st.integers(0, 7 * 24), st.integers(24, 6 * 24), st.integers(0, 12))
@example(Program(KIND_PROFILE, 1000, FRONT), 0, 60, 0)
@example(Program(KIND_PROFILE, 1000, NOON), 0, 66, 12)
def test_no_24_hours_hold_more_than_the_bound_through_a_power_loss(program, hour, boot, unset):
    """The day's mean runs from the loss of the clock to the midnight after it is set again."""
    walls = [(0, hour * HOUR), (boot + unset, (hour + boot + unset) * HOUR)]
    pieces = _deliver(program, 9, walls, {boot})
    assert _fullest(pieces) <= program.day_bound_nl(LIMITS) * DAY


@pytest.mark.req("D04", "D10")
@settings(max_examples=200)
@given(
    profiles(most=3),
    st.lists(
        st.tuples(st.integers(0, 14 * 24), st.integers(0, 12), st.integers(0, 7 * 24)),
        min_size=1,
        max_size=8,
    ),
)
@example(Program(KIND_PROFILE, 1000, FRONT), [(36, 0, 24), (50, 0, 12)])
def test_no_24_hours_hold_more_than_the_bound_though_a_clock_is_set_wrong_after_blips_of_power(
    program, blips
):
    """Each blip: at an hour of 14 days; the clock is set some hours later, to any hour of a week.

    A clock that was 12 h wrong ran the day's head twice: 749 of 421 ug.
    """
    walls = [(0, 0)] + [(at + unset, wall * HOUR) for at, unset, wall in blips]
    pieces = _deliver(program, 14, walls, {at for at, _, _ in blips})
    assert _fullest(pieces) <= program.day_bound_nl(LIMITS) * DAY


@given(st.integers(48_000, 24_000_000))
def test_the_bound_of_a_continuous_program_is_its_rate(rate):
    assert continuous(1000, rate).day_bound_nl(LIMITS) == rate


def test_the_bound_of_an_even_profile_is_its_rate_and_an_hour():
    program = Program(KIND_PROFILE, 1000, ((ALL_DAYS, 0, 240_000), (ALL_DAYS, 600, 240_000)))
    assert program.day_bound_nl(LIMITS) == 250_000


# -- I02: the rate is computed twice --------------------------------------------------------------


@pytest.mark.req("I02")
@given(st.integers(1, 100_000_000), st.integers(50, 2000))
def test_both_computations_of_a_continuous_rate_are_the_nearest_whole_rate(dose, strength):
    program = continuous(strength, dose)
    nearest = _half_up(Fraction(dose * 1000, strength))
    assert program.day_rates(0, LIMITS) == [(0, nearest)]
    assert guard.program_rate(program, LIMITS, 0, 0) == nearest


@pytest.mark.req("I02")
@given(st.integers(0, 1 << 80), st.integers(1, 1 << 40))
def test_the_guards_division_is_exact(numerator, denominator):
    assert guard.long_division(numerator, denominator) == (
        _half_up(Fraction(numerator, denominator))
        if denominator % 2 == 0
        else (numerator + denominator // 2) // denominator
    )


@pytest.mark.req("I02")
@given(profiles(), st.integers(0, 6), st.integers(0, 1439))
def test_both_computations_of_a_profiles_rate_agree_at_every_minute(program, weekday, minute):
    rates = [rate for start, rate in program.day_rates(weekday, LIMITS) if start <= minute]
    right = _rate(program, weekday, minute)
    assert rates[-1] == guard.program_rate(program, LIMITS, weekday, minute) == right
    assert program.mean_rate(LIMITS) == guard.program_mean(program, LIMITS)


@pytest.mark.req("I02")
@pytest.mark.parametrize(("kind", "rate"), [(KIND_STOPPED, 0), (KIND_MINIMUM, 48_000)])
def test_both_computations_agree_on_programs_without_segments(kind, rate):
    program = Program(kind, 2000)
    assert program.day_rates(0, LIMITS) == [(0, rate)]
    assert guard.program_rate(program, LIMITS, 0, 0) == rate


PROFILE = Program(KIND_PROFILE, 2000, ((ALL_DAYS, 0, 300_000), (ALL_DAYS, 60, 600_000)))


@pytest.mark.req("I02")
@pytest.mark.parametrize("off", [1, -1])
@pytest.mark.parametrize(
    "program",
    [simple(300_000), PROFILE, Program(KIND_MINIMUM, 2000)],
    ids=["one", "many", "least"],
)
@pytest.mark.parametrize("which", ["guard", "therapy"])
def test_a_rate_that_is_off_by_one_nl_a_day_is_never_used(monkeypatch, program, off, which):
    bench = Bench(program=program)
    bench.run(1_800)
    assert bench.raised() == []
    if which == "guard":
        right = guard.program_rate
        monkeypatch.setattr(guard, "program_rate", lambda *what: right(*what) + off)
    else:
        rates = Program.day_rates
        monkeypatch.setattr(
            Program,
            "day_rates",
            lambda *what: [(start, rate + off) for start, rate in rates(*what)],
        )
    pulses = bench.plant.pulses
    bench.order("suspend")  # looks the rate up again
    assert bench.present("RATE_MISMATCH")
    assert bench.mode == "HALTED"
    bench.run(3_600)
    assert bench.plant.pulses == pulses


@pytest.mark.req("I02")
def test_a_rate_that_goes_wrong_stops_at_the_next_segment_at_the_latest(monkeypatch):
    bench = Bench(program=PROFILE)
    bench.run(1_800)
    right = guard.program_rate
    monkeypatch.setattr(guard, "program_rate", lambda *what: right(*what) + 1)
    bench.run(1_799)
    assert not bench.present("RATE_MISMATCH")
    bench.run(1)
    assert bench.present("RATE_MISMATCH")
    assert bench.pump.dosing.rate_nl_per_day == 0


@pytest.mark.req("I02")
def test_a_mean_rate_that_is_off_is_never_used(monkeypatch):
    bench = Bench(program=PROFILE)
    bench.pump.calendar.known, bench.pump.calendar.use_mean = False, True
    right = guard.program_mean
    monkeypatch.setattr(guard, "program_mean", lambda *what: right(*what) + 1)
    bench.order("suspend")
    assert bench.present("RATE_MISMATCH")
    assert bench.pump.dosing.rate_nl_per_day == 0
