"""The dose of any 24 h stays within the limit, whatever is ordered in which order (D04)."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.base.settings import Limits
from cisterna.base.units import LimitError
from cisterna.orders import Refused
from cisterna.parts.dose_window import QUARTER_US, DoseWindow, window_size
from cisterna.parts.program import KIND_PROFILE, Program, continuous
from cisterna_sim.rig_board import default_calibration
from host_tests.kit.bench import MIDNIGHT_US, Bench

HOUR_S = 3600
DAY_US = 24 * HOUR_S * 1_000_000
LIMIT_UG = 1000
STEP_UG = 0.089819 * 2


def profile(*segments: tuple[int, int]) -> Program:
    """A daily profile of (start minute, ng/day) at 2000 ug/mL."""
    rows = tuple((0x7F, minute, dose) for minute, dose in segments)
    return Program(KIND_PROFILE, 2000, rows)


EARLY_PEAK = profile((0, 4_500_000), (120, 96_000))  # 375 ug in the first two hours
LATE_PEAK = profile((0, 96_000), (22 * 60, 4_500_000))


class Pulses:
    """When the motor of a bench was pulsed, over reboots."""

    def __init__(self, bench: Bench) -> None:
        self.times_us: list[int] = []
        plant = bench.rig.plant
        step = type(plant).step

        class Watched(type(plant)):  # type: ignore[misc]
            __slots__ = ()

            def step(watched, direction: int) -> None:
                self.times_us.append(watched.now_us)
                step(watched, direction)

        plant.__class__ = Watched

    def worst_ug(self) -> float:
        """The most that any 24 h hold."""
        worst = oldest = 0
        for newest, time_us in enumerate(self.times_us):
            while self.times_us[oldest] <= time_us - DAY_US:
                oldest += 1
            worst = max(worst, newest - oldest + 1)
        return worst * STEP_UG


@pytest.mark.req("D04")
def test_stopping_and_setting_the_clock_back_does_not_repeat_a_peak():
    bench = Bench(program=EARLY_PEAK)
    pulses = Pulses(bench)
    for _ in range(4):
        bench.run(2 * HOUR_S)
        bench.order("stop")
        bench.order("set_clock", MIDNIGHT_US)
        bench.order("start")
    bench.run(26 * HOUR_S)
    assert pulses.worst_ug() <= LIMIT_UG / 2


@pytest.mark.req("D04")
@pytest.mark.parametrize(
    "late", [EARLY_PEAK, continuous(2000, 1_000_000), continuous(2000, 700_000)]
)
def test_a_program_that_would_pass_the_limit_after_the_former_one_is_refused(late):
    bench = Bench(program=LATE_PEAK)
    pulses = Pulses(bench)
    bench.run(48 * HOUR_S)
    before = bench.pump.memory.program
    with pytest.raises(LimitError, match="max_daily_dose_ng = 1000000"):
        bench.order("set_program", late)
    assert bench.pump.memory.program is before
    bench.run(24 * HOUR_S)
    assert pulses.worst_ug() <= LIMIT_UG


@pytest.mark.req("D04")
def test_the_refused_program_is_accepted_once_the_peak_has_left_the_window():
    bench = Bench(program=LATE_PEAK)
    pulses = Pulses(bench)
    bench.run(48 * HOUR_S)
    bench.order("stop")
    bench.run(25 * HOUR_S)
    bench.order("set_program", continuous(2000, 900_000))
    bench.order("start")
    bench.run(30 * HOUR_S)
    assert LIMIT_UG * 0.85 < pulses.worst_ug() <= LIMIT_UG


ORDERS = st.lists(
    st.tuples(
        st.sampled_from(["stop", "start", "clock", "program", "bolus", "power"]),
        st.integers(0, 23),
        st.integers(1, 12),
    ),
    min_size=4,
    max_size=14,
)
PROGRAMS = (
    EARLY_PEAK,
    LATE_PEAK,
    continuous(2000, 300_000),
    continuous(2000, 1_000_000),
    profile((0, 400_000), (720, 900_000)),
)


@pytest.mark.req("D04")
@given(orders=ORDERS)
def test_no_sequence_of_orders_takes_24_h_past_the_net(orders):
    """Orders are given at random; those refused change nothing.

    The net under all checks leaves out the oldest quarter of an hour, in part more than 24 h ago.
    """
    bench = Bench(program=EARLY_PEAK)
    pulses = Pulses(bench)
    for what, hour, span_h in orders:
        try:
            if what == "clock":
                bench.order("set_clock", MIDNIGHT_US + hour * HOUR_S * 1_000_000)
            elif what == "program":
                bench.order("set_program", PROGRAMS[hour % len(PROGRAMS)])
            elif what == "bolus":
                bench.order("single_bolus", 40_000 * (1 + hour % 5), 600)
            elif what == "power":
                bench.rig.power_down()
                bench.run(5)
                bench.rig.power_up(1)
                bench.run(3)
            else:
                bench.order(what)
        except (LimitError, Refused):
            pass
        bench.run(span_h * HOUR_S)
    assert pulses.worst_ug() <= LIMIT_UG * 97 / 96 + 16 * STEP_UG + 1


def test_the_net_stops_a_pump_whose_past_holds_too_much():
    bench = Bench(dose_ug_per_day=300)
    bench.run(HOUR_S)
    limit_steps = default_calibration().steps_in(500_000)
    bench.pump.dose_window.add(bench.pump.now_us, limit_steps + 10)
    bench.run(HOUR_S)
    assert bench.present("OVER_DELIVERY")
    assert bench.mode == "HALTED"
    pulses = bench.plant.pulses
    bench.run(2 * HOUR_S)
    assert bench.plant.pulses == pulses


@pytest.mark.req("D04")
@pytest.mark.parametrize("early_s", [0, 600, 899])
def test_a_bolus_a_day_up_to_the_limit_is_given_each_day_and_never_stops_the_pump(early_s):
    """Basal 800 ug and a bolus of 200 ug at a limit of 1000: the net looks back no further than
    the grant."""
    bench = Bench(dose_ug_per_day=800)
    pulses = Pulses(bench)
    bench.run(2 * HOUR_S + early_s)
    for _ in range(6):
        bench.order("single_bolus", 200_000, 3_600)
        bench.run(25 * HOUR_S)
    assert len(bench.names("BOLUS_ENDED")) == 6
    assert not bench.present("OVER_DELIVERY")
    assert bench.mode == "BASAL"
    assert pulses.worst_ug() <= LIMIT_UG + 2 * STEP_UG


@pytest.mark.req("D04")
def test_a_program_counts_the_bolus_that_runs():
    """900 ug over 4 h were under way: 1000 ug/day on top came to 1,013 ug and halted the pump."""
    bench = Bench(dose_ug_per_day=96)
    pulses = Pulses(bench)
    bench.run(HOUR_S)
    bench.order("single_bolus", 900_000, 14_400)
    bench.run(600)
    with pytest.raises(LimitError, match="boluses of the last 24 h, 37"):
        bench.order("set_program", continuous(2000, 1_000_000))
    assert bench.mode == "BOLUS"
    bench.order("set_program", continuous(2000, 962_000))
    bench.run(30 * HOUR_S)
    assert bench.mode == "BASAL"
    assert pulses.worst_ug() <= LIMIT_UG


@pytest.mark.req("D04", "D03")
def test_a_limit_below_what_24_h_have_got_is_refused_with_the_time_to_wait():
    bench = Bench(dose_ug_per_day=800)
    bench.run(24 * HOUR_S)
    bench.order("stop")
    bench.order("set_program", continuous(2000, 300_000))
    lower = Limits({"max_daily_dose_ng": 500_000})
    with pytest.raises(LimitError, match=r"below the 799\d+ ng that .* wait (\d+) min") as refusal:
        bench.order("set_limits", lower)
    wait_min = int(str(refusal.value).split("wait ")[1].split()[0])
    assert 8 * 60 < wait_min < 10 * 60
    bench.run((wait_min - 16) * 60)
    with pytest.raises(LimitError):
        bench.order("set_limits", lower)
    bench.run(17 * 60)
    bench.order("set_limits", lower)
    bench.order("set_program", continuous(2000, 96_000))
    bench.order("start")
    bench.run(48 * HOUR_S)
    assert not bench.present("OVER_DELIVERY")


@pytest.mark.req("D04")
def test_a_day_at_exactly_the_limit_is_delivered_in_full():
    bench = Bench(program=continuous(2000, 1_000_000))
    bench.run(60 * HOUR_S)
    assert bench.raised() == []
    assert bench.plant.pulses * STEP_UG == pytest.approx(2500, abs=STEP_UG)


@given(
    moves=st.lists(
        st.tuples(st.integers(0, 4 * QUARTER_US), st.integers(0, 500)), min_size=1, max_size=200
    )
)
def test_what_24_h_hold_lies_between_the_least_and_the_most(moves):
    window = DoseWindow(default_calibration())
    window.fill(2000)
    step_pg = window._step_pg
    now_us, log = 0, []
    for wait_us, steps in moves:
        now_us += wait_us
        window.add(now_us, steps)
        log.append((now_us, steps * step_pg))
        held = sum(n for at, n in log if at > now_us - DAY_US)
        assert window.least_pg(now_us) <= held <= window.most_pg(now_us)
        more = sum(n for at, n in log if at > now_us - DAY_US - QUARTER_US)
        less = sum(n for at, n in log if at > now_us - DAY_US + QUARTER_US)
        assert less <= window.least_pg(now_us)
        assert window.most_pg(now_us) <= more


@given(steps=st.lists(st.integers(0, 200_000), min_size=97, max_size=97))
def test_a_window_survives_being_stored(steps):
    """A fine-stepped board may count more than 65,535 steps in a quarter."""
    window = DoseWindow(default_calibration(step_pl=1_000))
    window.fill(2000)
    for quarter, count in enumerate(steps):
        window.add(quarter * QUARTER_US, count)
    again = DoseWindow(default_calibration(step_pl=1_000))
    data = window.pack()
    assert len(data) == window_size(2)
    again.fill(2000)
    again.restore(data, 2)
    now_us = 96 * QUARTER_US
    assert again.most_pg(now_us) == window.most_pg(now_us) == sum(steps) * 2000
    assert again.most_pg(now_us + QUARTER_US) == (sum(steps) - steps[0]) * 2000


@pytest.mark.req("I07")
@given(steps=st.lists(st.integers(0, 0xFFFF), min_size=97, max_size=97))
def test_a_window_stored_as_steps_is_read_as_their_dose(steps):
    window = DoseWindow(default_calibration())
    window.fill(1000)
    window.restore(struct.pack("<I97H", 96, *steps), 1)
    assert window.most_pg(96 * QUARTER_US) == sum(steps) * 89_819


@pytest.mark.req("D04")
@pytest.mark.parametrize("layout", [1, 2])
def test_a_quarter_that_counted_noise_can_be_stored(layout):
    """A STEP line that picks up mains hum counts 45,000 pulses in a quarter: 8 mg."""
    window = DoseWindow(default_calibration())
    window.fill(2000)
    if layout == 1:
        window.restore(struct.pack("<I97H", 96, *[45_000] * 97), 1)
    window.add(96 * QUARTER_US, 45_000)
    again = DoseWindow(default_calibration())
    again.restore(window.pack(), 2)
    assert again.least_pg(96 * QUARTER_US) >= 4_000_000_000


def test_another_concentration_leaves_the_dose_of_the_past_as_it_was():
    window = DoseWindow(default_calibration())
    window.fill(2000)
    window.add(0, 100)
    before = window.most_pg(0)
    window.fill(500)
    assert window.most_pg(0) == before
    window.add(0, 100)
    assert 0 <= window.most_pg(0) - before - before // 4 <= 100  # a pg a step, rounded up


@pytest.mark.req("D04")
def test_a_change_of_concentration_does_not_halt_a_program_at_its_limit():
    """Steps were scaled and rounded up in each of 97 quarters."""
    bench = Bench(dose_ug_per_day=1_000, concentration_ug_per_ml=2_000, level=False)
    bench.run(30 * HOUR_S)
    bench.order("stop")
    bench.order("refill", 18_000_000, 1_900)
    bench.order("set_program", continuous(1_900, 1_000_000))
    bench.order("start")
    bench.run(30 * HOUR_S)
    assert not bench.present("OVER_DELIVERY")
    assert bench.mode == "BASAL"
