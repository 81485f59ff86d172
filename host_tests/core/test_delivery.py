"""The whole pump on its rig delivers what is programmed, in each mode, and stops when it must."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cisterna.base import modes
from cisterna.orders import Refused
from cisterna.parts.calendar import ALL_DAYS
from cisterna.parts.program import KIND_MINIMUM, KIND_PROFILE, KIND_STOPPED, Program
from cisterna_sim.rig_board import default_calibration
from host_tests.kit.bench import ALL, Bench, simple

S = 1_000_000
DAY = 86_400 * S
QUANTUM_NL = 89.819


class Tap:
    """Notes the pump's time of each forward pulse of a bench, across boots of its board."""

    def __init__(self, bench: Bench) -> None:
        self.pulses_us: list[int] = []
        stepper = bench.rig.hal.stepper
        pulse = stepper.pulse

        def note() -> None:
            pulse()
            self.pulses_us.append(bench.rig.now_us)

        stepper.pulse = note  # type: ignore[method-assign]


Piece = tuple[int, int, int]  # from, to in us, nL/day


def _programmed_nl(pieces: list[Piece], t_us: int) -> float:
    return sum(max(0, min(t_us, end) - begin) * rate for begin, end, rate in pieces) / DAY


def check_windows(pulses_us: list[int], pieces: list[Piece], end_us: int) -> None:
    """D01 at every us and D02 over all pairs, against what was ordered; 1e-6 nL for floats."""
    lowest = 0.0
    for count, t_us in enumerate(pulses_us):
        before = count * QUANTUM_NL - _programmed_nl(pieces, t_us - 1)
        after = (count + 1) * QUANTUM_NL - _programmed_nl(pieces, t_us)
        lowest = min(lowest, before)
        assert before > -QUANTUM_NL - 1e-6
        assert after <= QUANTUM_NL
        assert after - lowest <= QUANTUM_NL + 1e-6
    behind_nl = _programmed_nl(pieces, end_us) - len(pulses_us) * QUANTUM_NL
    assert 0 <= behind_nl + 1e-6 < QUANTUM_NL + 2e-6


@pytest.mark.req("D01", "D02")
@settings(max_examples=8)
@given(
    st.sampled_from([96_000, 300_000, 960_000]),
    st.lists(
        st.tuples(
            st.sampled_from(["single", "patient", "pause", "clock", "suspend", "wait"]),
            st.integers(1, 3 * 3_600),
        ),
        max_size=7,
    ),
)
def test_basal_and_boluses_on_the_rig_are_delivered_to_one_quantum(dose_ng, acts):
    bench = Bench(program=simple(dose_ng))
    tap = Tap(bench)
    tap.pulses_us.clear()
    rate = dose_ng // 2
    pieces: list[Piece] = []
    begun_us = bench.rig.now_us
    for act, seconds in [*acts, ("wait", 3_600)]:
        now_us = bench.rig.now_us
        if act == "single" and bench.mode == "BASAL":
            granted = _granted(bench, lambda: bench.order("single_bolus", 2_400, 864))
            pieces += [(now_us, now_us + 864 * S, 120_000)] * granted  # 1200 nL
            seconds += 864
        elif act == "patient" and bench.mode == "BASAL":
            granted = _granted(bench, lambda: bench.order("patient_bolus"))
            pieces += [(now_us, now_us + 600 * S, 720_000)] * granted  # 5000 nL
            seconds += 600
        elif act in ("pause", "suspend"):
            bench.order("stop" if act == "pause" else "suspend")
            pieces.append((begun_us, now_us, rate))
            if act == "pause":
                bench.run(seconds)
                bench.order("start")
            else:
                bench.run(min(seconds, 100))
                bench.order("resume")
            begun_us = bench.rig.now_us
        elif act == "clock":
            bench.order("set_clock", seconds * 10**10)
        bench.run(seconds)
    pieces.append((begun_us, bench.rig.now_us, rate))
    check_windows(tap.pulses_us, pieces, bench.rig.now_us)
    assert bench.mode == "BASAL"


def _granted(bench: Bench, order: Callable[[], object]) -> int:
    before = len(bench.names("BOLUS_GRANTED"))
    with contextlib.suppress(Refused):
        order()
    return len(bench.names("BOLUS_GRANTED")) - before


def _fine_bench() -> Bench:
    """A rig of 5.6 nL a microstep at 20 mL/day: bursts of 10 steps, 24 ms apart."""
    return Bench(
        program=simple(1_000_000, 50, bolus_dose_ng=0),
        concentration_ug_per_ml=50,
        microsteps=256,
        calibration=default_calibration(step_pl=5_614),
        encoder=False,  # it resolves 12 of these microsteps
    )


def _run_into_burst(bench: Bench) -> None:
    bench.run(60)
    bench.run_until(lambda: bench.rig.hal.stepper.busy(), 2, every_s=0.001)
    bench.run(0.03)
    assert bench.rig.hal.stepper.busy()


@pytest.mark.req("D09")
@pytest.mark.parametrize("order", ["stop", "suspend"])
def test_a_stop_in_a_burst_is_followed_by_no_step(order):
    bench = _fine_bench()
    _run_into_burst(bench)
    pulses = bench.plant.pulses
    bench.order(order)
    assert bench.plant.pulses == pulses
    bench.run(100)
    assert bench.plant.pulses == pulses


@pytest.mark.req("D09")
@pytest.mark.parametrize(("cause", "alarm"), [("occlusion", "OCCLUSION"), ("runaway", "RUNAWAY")])
def test_an_occlusion_or_runaway_in_a_burst_is_followed_by_no_step(cause, alarm):
    bench = _fine_bench()
    _run_into_burst(bench)
    if cause == "occlusion":
        high = bench.pump.memory.calibration.pressure_raw(100_000)
        bench.rig.hal.pressure.read = lambda: high
    else:
        for _ in range(4):
            bench.plant.step(1)
    stepper, plant = bench.rig.hal.stepper, bench.plant
    rotor, emitted = plant.rotor_steps, stepper.emitted()
    bench.rig._tick() if cause == "occlusion" else bench.pump.sampler.look()
    bench.rig._tick()
    assert bench.present(alarm)
    assert bench.pump.dosing.rate_nl_per_day == 0
    bench.run(600)
    assert plant.rotor_steps <= rotor  # an occlusion is drawn back, nothing goes forward
    if cause == "runaway":
        assert stepper.emitted() == emitted


def _idle() -> Bench:
    bench = Bench(start=False)
    bench.order("refill", 18_000_000, 50)
    bench.order("set_program", simple(200_000, 50, bolus_dose_ng=0))
    bench.order("acknowledge", ALL)
    return bench


def _running() -> Bench:
    return Bench(program=simple(200_000, 50, bolus_dose_ng=0), concentration_ug_per_ml=50)


def _after(order: str) -> Callable[[], Bench]:
    def make() -> Bench:
        bench = _running()
        bench.run(60)
        bench.order(order)
        return bench

    return make


def _off() -> Bench:
    bench = _running()
    bench.rig.power_down()
    return bench


def _selftest() -> Bench:
    bench = _off()
    bench.rig.power_up(0)
    return bench


def _halted() -> Bench:
    bench = _running()
    for _ in range(25):
        bench.plant.step(1)
    bench.run(15)
    return bench


@pytest.mark.req("D06")
@pytest.mark.parametrize(
    ("mode", "make", "seconds"),
    [
        ("OFF", _off, 86_400),
        ("SELFTEST", _selftest, 1.9),
        ("UNCONFIGURED", lambda: Bench(start=False), 86_400),
        ("IDLE", _idle, 86_400),
        ("STOPPED", _after("stop"), 86_400),
        ("SUSPENDED", _after("suspend"), 119),
        ("HALTED", _halted, 86_400),
    ],
)
def test_a_mode_without_flow_gives_no_step(mode, make, seconds):
    bench = make()
    shown = "OFF" if not bench.rig.powered else bench.mode
    assert shown == mode
    pulses = bench.plant.pulses
    bench.run(seconds)
    assert bench.plant.pulses == pulses
    if bench.rig.powered:
        assert bench.mode == mode
        assert bench.pump.dosing.rate_nl_per_day == 0


PROFILE = Program(
    KIND_PROFILE, 2000, ((ALL_DAYS, 0, 480_000), (ALL_DAYS, 360, 96_000), (ALL_DAYS, 720, 240_000))
)


@pytest.mark.req("D06")
@pytest.mark.parametrize(
    ("program", "day_nl"),
    [
        (Program(KIND_STOPPED, 2000), 0),
        (Program(KIND_MINIMUM, 2000), 48_000),
        (simple(300_000), 150_000),
        (PROFILE, 240_000 // 4 + 48_000 // 4 + 120_000 // 2),
    ],
)
def test_basal_gives_exactly_its_programs_rate(program, day_nl):
    bench = Bench(program=program)
    pulses, mean_nl = bench.plant.pulses, day_nl
    for day in range(1, 3):
        bench.run(86_400)
        error_nl = (bench.plant.pulses - pulses) * QUANTUM_NL - mean_nl * day
        assert abs(error_nl) <= QUANTUM_NL
    assert bench.pump.dosing.dropped_steps == 0


@pytest.mark.req("D06")
@pytest.mark.parametrize(
    ("make", "begins", "basal"), [(_idle, "IDLE", 0), (_running, "BASAL", 4_000_000)]
)
def test_a_bolus_gives_its_own_rate_on_top_of_what_it_interrupted(make, begins, basal):
    bench = make()
    assert bench.mode == begins
    bench.order("single_bolus", 10_000, 3_600)  # 200 uL in an hour
    assert bench.mode == "BOLUS"
    assert bench.pump.dosing.rate_nl_per_day == basal + 4_800_000
    pulses = bench.plant.pulses
    bench.run(3_599)
    assert bench.mode == "BOLUS"
    bench.run(1)
    assert bench.mode == begins
    assert bench.pump.dosing.rate_nl_per_day == basal
    programmed_nl = 200_000 + basal / 24
    assert abs((bench.plant.pulses - pulses) * QUANTUM_NL - programmed_nl) <= QUANTUM_NL


@pytest.mark.req("D09")
def test_a_runaway_while_drawing_back_ends_the_reverse_burst_at_once():
    bench = _running()
    bench.plant.occlude(1.0)
    stepper = bench.rig.hal.stepper
    bench.run_until(lambda: bench.mode == "BACKOFF", 3_600, every_s=0.01)
    bench.run_until(stepper.busy, 5, every_s=0.001)
    for _ in range(4):
        bench.plant.step(1)
    bench.pump.sampler.look()
    emitted = stepper.emitted()
    bench.rig._tick()
    assert bench.present("RUNAWAY")
    assert not stepper.busy()
    bench.run(600)
    assert stepper.emitted() == emitted


@pytest.mark.req("D06")
def test_back_off_never_moves_forward():
    bench = _running()
    bench.plant.occlude(1.0)
    bench.run_until(lambda: bench.mode == "BACKOFF", 3_600, every_s=0.05)
    forward = []
    step = bench.rig.hal.stepper

    def note() -> None:
        if step._direction > 0:
            forward.append(bench.rig.now_us)
        type(step).pulse(step)

    step.pulse = note  # type: ignore[method-assign]
    bench.run_until(lambda: bench.mode != "BACKOFF", 600)
    assert bench.mode == "HALTED"
    assert forward == []
    assert modes.BACKOFF not in modes.RESTING


@pytest.mark.req("D01")
def test_a_week_of_the_default_program_on_the_rig_is_exact_to_one_quantum():
    bench = Bench()
    pulses = bench.plant.pulses
    for day in range(1, 8):
        bench.run(86_400)
        assert abs((bench.plant.pulses - pulses) * QUANTUM_NL - 150_000 * day) <= QUANTUM_NL
