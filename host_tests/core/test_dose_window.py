"""The dose of any 24 h stays within the limit, whatever is ordered in which order (D04)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.base.settings import Limits
from cisterna.base.units import LimitError
from cisterna.orders import Refused
from cisterna.parts.dose_window import QUARTER_US, WINDOW_SIZE, DoseWindow
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

    The net under all checks counts by quarters of an hour: 1/96 above the limit, and an allowance.
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
    bench.pump.dose_window.add(bench.pump.now_us, limit_steps * 97 // 96 + 10)
    bench.run(HOUR_S)
    assert bench.present("OVER_DELIVERY")
    assert bench.mode == "HALTED"
    pulses = bench.plant.pulses
    bench.run(2 * HOUR_S)
    assert bench.plant.pulses == pulses


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
def test_the_window_is_never_below_what_24_h_hold_nor_a_quarter_above(moves):
    window = DoseWindow(default_calibration())
    now_us, log = 0, []
    for wait_us, steps in moves:
        now_us += wait_us
        window.add(now_us, steps)
        log.append((now_us, steps))
        held = window.steps(now_us)
        assert held >= sum(n for at, n in log if at > now_us - DAY_US)
        assert held <= sum(n for at, n in log if at > now_us - DAY_US - QUARTER_US)


@given(steps=st.lists(st.integers(0, 60_000), min_size=97, max_size=97))
def test_a_window_survives_being_stored(steps):
    window = DoseWindow(default_calibration())
    for quarter, count in enumerate(steps):
        window.add(quarter * QUARTER_US, count)
    again = DoseWindow(default_calibration())
    data = window.pack()
    assert len(data) == WINDOW_SIZE
    again.restore(data)
    now_us = 96 * QUARTER_US
    assert again.steps(now_us) == window.steps(now_us) == sum(steps)
    assert again.steps(now_us + QUARTER_US) == sum(steps) - steps[0]


def test_another_concentration_keeps_the_dose_of_the_window():
    window = DoseWindow(default_calibration())
    window.add(0, 100)
    window.rescale(2000, 500)
    assert window.steps(0) == 400
    limits = Limits()
    assert not window.over(0, limits, 500)
