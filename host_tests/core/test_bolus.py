"""Who is given a bolus, what is booked for it, and what the pump goes back to afterwards."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cisterna.base import faults
from cisterna.base.units import LimitError
from cisterna.orders import Refused
from cisterna.parts.bolus import PATIENT, REFUSALS, BolusHistory
from cisterna.parts.program import KIND_MINIMUM, KIND_PROFILE, Program
from cisterna_sim.plant import PlantConfig
from host_tests.kit.bench import ALL, MIDNIGHT_US, Bench, simple

US_PER_S = 1_000_000
HOUR_S = 3_600
DAY_US = 86_400 * US_PER_S
STEP_NL = 89.819
NG_PER_NL = 2  # at 2000 ug/mL


def ready(**keywords: Any) -> Bench:
    """A delivering bench, past the lockout that a pump with no past begins with."""
    bench = Bench(**keywords)
    bench.run(HOUR_S)
    return bench


def ask(bench: Bench) -> str:
    """Ask for the patient's bolus by order; the answer in words."""
    return REFUSALS[bench.order("patient_bolus")]


def single(bench: Bench, dose_ng: int, duration_s: int = 600) -> str:
    """Order a single bolus; the answer in words."""
    try:
        bench.order("single_bolus", dose_ng, duration_s)
    except Refused as refusal:
        return str(refusal).rpartition(": ")[2]
    return "granted"


def run_to(bench: Bench, true_us: int) -> None:
    """Let time pass up to a true time, which is the pump's clock on a perfect oscillator."""
    bench.rig.run_until(true_us)


def power_cycle(bench: Bench, off_s: float = 5.0) -> None:
    """Lose the power, boot again, and pass the self-test."""
    bench.rig.power_down()
    bench.run(off_s)
    bench.rig.power_up(1)
    bench.run(3)


def raise_(bench: Bench, code: int) -> None:
    """Raise an alarm by its code, and let the pump act on it."""
    bench.pump.raise_fault(code)
    bench.pump.replan()
    bench.order("acknowledge", 0)


class Pulses:
    """The true times of every forward pulse of a bench, over power losses, too."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.times_us: list[int] = []
        self.listen()

    def listen(self) -> None:
        """Hear the stepper of the present boot."""
        stepper = self._bench.rig.hal.stepper
        pulse = stepper.pulse

        def heard() -> None:
            before = self._bench.plant.rotor_steps
            pulse()
            if self._bench.plant.rotor_steps >= before:
                self.times_us.append(self._bench.rig.now_us)

        stepper.pulse = heard  # type: ignore[method-assign]

    def fullest_day(self) -> int:
        """Most pulses in any 24 h."""
        fullest = first = 0
        for last, at_us in enumerate(self.times_us):
            while self.times_us[first] <= at_us - DAY_US:
                first += 1
            fullest = max(fullest, last - first + 1)
        return fullest


@pytest.mark.req("B01")
@pytest.mark.parametrize("code", range(len(faults.FAULTS)), ids=faults.name)
def test_an_alarm_at_or_above_medium_bars_the_patients_bolus(code: int) -> None:
    bench = ready()
    raise_(bench, code)
    asked = ask(bench)
    response = faults.FAULTS[code][2]
    if response == faults.STOP:
        assert (asked, bench.mode) == ("mode", "HALTED")
    elif response == faults.NO_BOLUS or faults.priority(code) >= faults.MEDIUM:
        assert (asked, bench.mode) == ("alarm", "BASAL")
    else:
        assert (asked, bench.mode) == ("granted", "BOLUS")


@pytest.mark.req("B01")
def test_an_alarm_that_is_gone_bars_the_patients_bolus_until_it_is_acknowledged() -> None:
    bench = ready()
    bench.pump.raise_fault(faults.SUPPLY_LOW)
    bench.pump.clear_fault(faults.SUPPLY_LOW)
    assert ask(bench) == "alarm"
    bench.order("acknowledge", 1 << faults.SUPPLY_LOW)
    assert ask(bench) == "granted"


@pytest.mark.req("B01")
def test_the_default_cap_is_6_in_24_h_and_the_default_lockout_60_min() -> None:
    program = Program(KIND_MINIMUM, 2000, bolus_dose_ng=10_000)
    assert (program.daily_cap, program.lockout_s) == (6, 3600)
    bench = ready(program=program)
    ends_us = []
    for _ in range(6):
        assert ask(bench) == "granted"
        ends_us.append(bench.rig.now_us + 600 * US_PER_S)
        bench.run(600)
        assert ask(bench) == "lockout"
        bench.run(HOUR_S - 600)
    assert ask(bench) == "daily cap"
    run_to(bench, ends_us[0] + DAY_US - 1)
    assert ask(bench) == "daily cap"
    run_to(bench, ends_us[0] + DAY_US)
    assert ask(bench) == "granted"
    bench.run(HOUR_S)
    assert ask(bench) == "granted"  # the second of the six has left the window, too


@pytest.mark.req("B01")
def test_an_interrupted_bolus_counts_against_the_cap() -> None:
    bench = ready(program=simple(300_000, lockout_s=300, daily_cap=2))
    for _ in range(2):
        assert ask(bench) == "granted"
        bench.run(30)
        bench.order("suspend")
        bench.order("resume")
        bench.run(300)
    assert ask(bench) == "daily cap"


@pytest.mark.req("B01")
def test_a_cap_of_0_grants_none() -> None:
    assert ask(ready(program=simple(300_000, daily_cap=0))) == "daily cap"


@pytest.mark.req("B01")
def test_the_button_gives_what_the_order_gives() -> None:
    bench = ready()
    bench.press()
    assert bench.mode == "BOLUS"
    bench.run(600)
    bench.press()
    assert [e.detail for e in bench.names("BOLUS_GRANTED", "BOLUS_REFUSED")] == [
        "patient 5000 nL",
        "lockout 5000 nL",
    ]


@pytest.mark.req("B02")
@pytest.mark.parametrize("lockout_s", [300, 3600, 86_400])
@pytest.mark.parametrize("interrupted", [False, True])
def test_the_lockout_ends_exactly_on_time(lockout_s: int, interrupted: bool) -> None:
    bench = ready(program=simple(300_000, bolus_s=60, lockout_s=lockout_s))
    bench.run(12.345678)
    assert ask(bench) == "granted"
    if interrupted:
        bench.run(17.654321)
        bench.order("suspend")
    since_us = bench.rig.now_us
    if interrupted:
        bench.run(1.5)
        bench.order("resume")
    run_to(bench, since_us + lockout_s * US_PER_S - 1_000)
    assert ask(bench) == "lockout"
    run_to(bench, since_us + lockout_s * US_PER_S - 1)
    assert ask(bench) == "lockout"
    run_to(bench, since_us + lockout_s * US_PER_S)
    assert ask(bench) == "granted"


@pytest.mark.req("B03")
@pytest.mark.parametrize(
    ("pause", "again"), [("stop", "start"), ("suspend", "resume"), (None, None)]
)
def test_the_lockout_counts_on_while_the_pump_is_paused(
    pause: str | None, again: str | None
) -> None:
    bench = ready(program=simple(300_000, lockout_s=300))
    assert ask(bench) == "granted"
    bench.run(100)
    begun_us = bench.rig.now_us
    if pause is None or again is None:
        power_cycle(bench, 1.0)
        begun_us = bench.rig.now_us - 3 * US_PER_S  # the boot is when it knows of the loss
    else:
        bench.order(pause)
        bench.run(100)
        bench.order(again)
    run_to(bench, begun_us + 300 * US_PER_S - 1)
    assert ask(bench) == "lockout"
    run_to(bench, begun_us + 300 * US_PER_S)
    assert ask(bench) == "granted"


def test_the_lockout_of_a_replaced_program_is_kept() -> None:
    bench = ready(program=simple(300_000, lockout_s=7200))
    assert ask(bench) == "granted"
    bench.run(1000)
    bench.order("set_program", simple(300_000, lockout_s=300))
    bench.run(6199)
    assert ask(bench) == "lockout"
    bench.run(1)
    assert ask(bench) == "granted"


@pytest.mark.req("B05")
@pytest.mark.parametrize(("spare_nl", "answer"), [(0, "granted"), (-1, "reservoir")])
def test_a_bolus_that_would_cross_the_empty_threshold_is_refused_whole(
    spare_nl: int, answer: str
) -> None:
    # At 1000 ug/mL a ng is a nL. The bolus leaves the 1.0 mL of the threshold, or 1 nL less.
    bench = ready(
        program=simple(300_000, 1000),
        concentration_ug_per_ml=1000,
        fill_ml=4.9,
        limits={"max_daily_dose_ng": 5_000_000},
    )
    bench.order("acknowledge", 0)  # counts the last pulse
    bolus_nl = bench.pump.ledger.remaining_nl - 1_000_000 - spare_nl
    pulses = bench.plant.pulses
    assert single(bench, bolus_nl, 14_400) == answer
    bench.run(HOUR_S)
    moved_nl = (bench.plant.pulses - pulses) * STEP_NL
    if answer == "granted":
        assert moved_nl > 800_000
    else:
        assert moved_nl == pytest.approx(300_000 / 24, abs=2 * STEP_NL)


def _halt(bench: Bench) -> None:
    raise_(bench, faults.OVER_DELIVERY)


def _occlude(bench: Bench) -> None:
    bench.plant.occlude(1.0)
    bench.run_until(lambda: bench.present("OCCLUSION"), 600, 0.5)


def _no_bolus(bench: Bench) -> None:
    bench.plant.instruments.set_state("pressure", "dead")
    bench.rig.attend()
    bench.run_until(lambda: bench.present("PRESSURE_SENSOR"), 10, 0.25)


INTERRUPTIONS: dict[str, tuple[Callable[[Bench], Any], str]] = {
    "stop": (lambda bench: bench.order("stop"), "STOPPED"),
    "suspend": (lambda bench: bench.order("suspend"), "SUSPENDED"),
    "alarm that stops": (_halt, "HALTED"),
    "occlusion": (_occlude, "BACKOFF"),
    "alarm that bars a bolus": (_no_bolus, "BASAL"),
    "program": (lambda bench: bench.order("set_program", simple(300_000)), "BASAL"),
    "refill": (lambda bench: bench.order("refill", 17_000_000, 2000), "BASAL"),
    "power loss": (lambda bench: power_cycle(bench, 1.0), "BASAL"),
}


@pytest.mark.req("B04", "B08")
@pytest.mark.parametrize("kind", ["patient", "single"])
@pytest.mark.parametrize("how", INTERRUPTIONS)
@pytest.mark.parametrize("after_s", [0.0, 0.3, 61.7, 433.21])
def test_an_aborted_bolus_is_booked_once_for_what_was_delivered(
    kind: str, how: str, after_s: float
) -> None:
    bench = ready(program=simple(300_000, bolus_dose_ng=100_000))
    bench.run(1234.5)
    pulses, begun_us = Pulses(bench), bench.rig.now_us
    assert (ask(bench) if kind == "patient" else single(bench, 100_000)) == "granted"
    bench.run(after_s)
    interrupt, mode = INTERRUPTIONS[how]
    interrupt(bench)
    assert bench.mode == mode
    ended = bench.names("BOLUS_ENDED")
    assert len(ended) == 1
    assert ended[0].detail.startswith("power lost" if how == "power loss" else "interrupted")
    ended_us = round(ended[0].true_s * US_PER_S)
    flowing_us = ended_us - begun_us - (US_PER_S if how == "power loss" else 0)
    # Basal flowed in the meantime; the rest of the pulses was the bolus.
    moved_nl = sum(at_us <= ended_us for at_us in pulses.times_us) * STEP_NL
    delivered_nl = moved_nl - flowing_us * 150_000 / DAY_US
    booked_nl = int(ended[0].detail.split()[-3])
    history = bench.pump.history
    assert history.dose_ng(bench.pump.now_us) == booked_nl * NG_PER_NL
    if how == "power loss":
        # The worse bound is booked: what was saved and the allowance that was open.
        allowance_nl = max(16 * STEP_NL, 120 * (50_000 / 600 + 150_000 / 86_400))
        assert -STEP_NL - 1 <= booked_nl - delivered_nl <= allowance_nl + STEP_NL + 1
    else:
        assert abs(booked_nl - delivered_nl) <= STEP_NL + 1
    assert history.patient_count(bench.pump.now_us) == (kind == "patient")


@pytest.mark.req("B04")
@pytest.mark.parametrize("how", ["stop", "suspend", "alarm that stops"])
def test_the_rest_of_an_aborted_bolus_never_comes_and_is_not_taken_off_twice(how: str) -> None:
    bench = ready(program=simple(300_000, bolus_dose_ng=100_000))
    assert ask(bench) == "granted"
    bench.run(300)
    INTERRUPTIONS[how][0](bench)
    pulses = bench.plant.pulses
    given_nl = 25_000 + (HOUR_S + 300) * 150_000 / 86_400
    assert pulses * STEP_NL == pytest.approx(given_nl, abs=STEP_NL + 1)
    bench.order("acknowledge", 1 << faults.OVER_DELIVERY)
    bench.order("start" if how == "stop" else "resume")
    bench.run(86_400)
    assert (bench.plant.pulses - pulses) * STEP_NL == pytest.approx(150_000, abs=STEP_NL + 1)
    assert len(bench.names("BOLUS_ENDED")) == 1
    ledger = bench.pump.ledger
    assert bench.plant.pulses - ledger.forward in (0, 1)  # the last is counted by the next tick
    assert ledger.remaining_nl == pytest.approx(
        18_000_000 - bench.plant.pulses * STEP_NL, abs=STEP_NL + 1
    )


@pytest.mark.req("B04")
def test_a_bolus_lost_with_the_power_is_booked_once_however_often_it_fails() -> None:
    bench = ready(program=simple(300_000, bolus_dose_ng=100_000))
    assert ask(bench) == "granted"
    bench.run(200)
    power_cycle(bench)
    dose_ng = bench.pump.history.dose_ng(bench.pump.now_us)
    for _ in range(3):
        power_cycle(bench)
    history = bench.pump.history
    assert history.dose_ng(bench.pump.now_us) == dose_ng
    assert history.patient_count(bench.pump.now_us) == 1
    assert bench.mode == "BASAL"
    assert bench.pump.dosing.rate_nl_per_day == 150_000


@pytest.mark.req("B04")
@pytest.mark.parametrize("dose_ng", [181, 10_000, 100_001])
def test_a_complete_bolus_delivers_and_books_its_volume(dose_ng: int) -> None:
    bench = ready(dose_ug_per_day=300)
    bench.order("stop")
    assert single(bench, dose_ng, 617) == "granted"
    pulses = bench.plant.pulses
    bench.run(617)
    volume_nl = (dose_ng + 1) // NG_PER_NL
    assert bench.mode == "STOPPED"
    assert bench.names("BOLUS_ENDED")[-1].detail == f"complete {volume_nl} nL delivered"
    assert abs((bench.plant.pulses - pulses) * STEP_NL - volume_nl) <= STEP_NL
    bench.run(HOUR_S)
    assert abs((bench.plant.pulses - pulses) * STEP_NL - volume_nl) <= STEP_NL


@pytest.mark.req("B04", "B08")
def test_basal_goes_on_as_if_there_had_been_no_bolus() -> None:
    bench = ready(program=simple(300_000, bolus_dose_ng=100_000))
    for passed_s in range(0, 6 * 7000, 7000):
        bench.rig.run_until((3 + HOUR_S + passed_s) * US_PER_S)
        assert ask(bench) == "granted"
    bench.rig.run_until(3 * US_PER_S + DAY_US)
    assert abs(bench.plant.pulses * STEP_NL - (150_000 + 6 * 50_000)) <= STEP_NL


def _idle() -> Bench:
    bench = Bench(start=False)
    bench.order("set_clock", MIDNIGHT_US)
    bench.order("refill", 18_000_000, 2000)
    bench.order("set_program", simple(300_000))
    bench.order("acknowledge", 1 << faults.RESERVOIR_UNKNOWN)
    return bench


def _stopped() -> Bench:
    bench = Bench()
    bench.order("stop")
    return bench


def _complete(bench: Bench) -> None:
    bench.run(600)


def _suspend(bench: Bench) -> None:
    bench.order("suspend")
    bench.run(120)


def _resume(bench: Bench) -> None:
    bench.order("suspend")
    bench.order("resume")


def _fault(bench: Bench) -> None:
    _halt(bench)
    bench.order("acknowledge", 1 << faults.OVER_DELIVERY)
    if bench.mode == "HALTED":
        bench.order("resume")


ENDS: dict[str, Callable[[Bench], Any]] = {
    "complete": _complete,
    "power loss": power_cycle,
    "suspended": _suspend,
    "resumed": _resume,
    "faulted": _fault,
    "alarm": _no_bolus,
}


@pytest.mark.req("B08")
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    ("make", "mode"), [(_idle, "IDLE"), (_stopped, "STOPPED"), (Bench, "BASAL")]
)
def test_a_single_bolus_returns_to_what_it_interrupted(
    make: Callable[[], Bench], mode: str, end: str
) -> None:
    bench = make()
    bench.run(100)
    assert bench.mode == mode
    assert single(bench, 20_000) == "granted"
    assert bench.mode == "BOLUS"
    bench.run(60)
    ENDS[end](bench)
    assert bench.mode == mode
    pulses = bench.plant.pulses
    bench.run(HOUR_S)
    moved_nl = (bench.plant.pulses - pulses) * STEP_NL
    assert moved_nl == pytest.approx(150_000 / 24 if mode == "BASAL" else 0, abs=STEP_NL)


@pytest.mark.req("D04")
def test_the_dose_check_assumes_a_full_day_of_basal_and_every_bolus_of_24_h() -> None:
    bench = Bench(dose_ug_per_day=800)  # fresh: no basal has been given yet
    assert single(bench, 120_000) == "granted"
    ended_us = bench.rig.now_us + 600 * US_PER_S
    bench.run(2 * HOUR_S)
    assert single(bench, 80_001 + 1) == "daily dose"
    pulses = bench.plant.pulses
    bench.run(HOUR_S)
    basal_nl = (bench.plant.pulses - pulses) * STEP_NL
    assert basal_nl == pytest.approx(400_000 / 24, abs=STEP_NL)  # refused whole, basal goes on
    assert single(bench, 80_000) == "granted"
    run_to(bench, ended_us + DAY_US - 1)
    assert single(bench, 60_000) == "daily dose"
    run_to(bench, ended_us + DAY_US)
    assert single(bench, 120_002) == "daily dose"
    assert single(bench, 120_000) == "granted"


@pytest.mark.req("D04")
@pytest.mark.parametrize(("over_ng", "answer"), [(0, "granted"), (2, "daily dose")])
def test_the_dose_limit_is_exact(over_ng: int, answer: str) -> None:
    bench = ready(dose_ug_per_day=300, limits={"max_daily_dose_ng": 345_678})
    assert single(bench, 45_678 + over_ng) == answer


@pytest.mark.req("D04")
def test_a_lowered_program_leaves_the_former_one_in_the_window() -> None:
    bench = ready(dose_ug_per_day=900)
    bench.run(86_400)
    changed_us = bench.rig.now_us
    again_us = changed_us + HOUR_S * US_PER_S
    bench.order("set_program", simple(100_000))
    bench.run(HOUR_S)
    bench.order("set_program", simple(96_000))
    assert single(bench, 100_002) == "daily dose"
    run_to(bench, changed_us + DAY_US)
    assert single(bench, 100_002) == "daily dose"  # the second change keeps the first's bound
    run_to(bench, again_us + DAY_US - 1)
    assert single(bench, 100_002) == "daily dose"
    run_to(bench, again_us + DAY_US)
    assert single(bench, 904_002) == "daily dose"
    assert single(bench, 904_000) == "granted"


@pytest.mark.req("D05")
@pytest.mark.parametrize("max_rate", [24_000_000, 2_000_000])
def test_basal_and_bolus_together_keep_to_the_greatest_flow(max_rate: int) -> None:
    bench = ready(limits={"max_rate_nl_per_day": max_rate}, program=simple(300_000, bolus_s=600))
    assert single(bench, 100_000, 60) == "granted"  # 72 mL/day, if it were not capped
    begun_us, pulses = bench.rig.now_us, bench.plant.pulses
    assert bench.pump.dosing.rate_nl_per_day == max_rate
    lasts_us = -(-50_000 * DAY_US // (max_rate - 150_000))
    run_to(bench, begun_us + lasts_us - 1)
    assert bench.mode == "BOLUS"
    moved_nl = (bench.plant.pulses - pulses) * STEP_NL
    assert moved_nl == pytest.approx(max_rate * lasts_us / DAY_US, abs=STEP_NL + 1)
    run_to(bench, begun_us + lasts_us)
    assert bench.mode == "BASAL"
    assert bench.names("BOLUS_ENDED")[-1].detail == "complete 50000 nL delivered"


@pytest.mark.req("D04")
def test_a_program_that_would_exceed_with_the_boluses_given_is_refused() -> None:
    bench = ready(dose_ug_per_day=300)
    assert single(bench, 400_000, 3600) == "granted"
    bench.run(HOUR_S)
    with pytest.raises(LimitError, match="max_daily_dose_ng"):
        bench.order("set_program", simple(600_002))
    assert bench.pump.dosing.rate_nl_per_day == 150_000
    bench.order("set_program", simple(600_000))
    assert bench.pump.dosing.rate_nl_per_day == 300_000


def _profile(first_ug: int, peak_ug: int, start_min: int, length_min: int) -> Program:
    segments = [(0, first_ug), (start_min, peak_ug), (start_min + length_min, first_ug)]
    return Program(
        KIND_PROFILE,
        2000,
        tuple((0x7F, minute, dose_ug * 1000) for minute, dose_ug in segments),
        bolus_dose_ng=30_000,
        lockout_s=600,
        daily_cap=24,
    )


PROFILES = st.builds(
    _profile,
    st.integers(96, 600),
    st.integers(600, 9000),
    st.integers(1, 1200),
    st.integers(30, 200),
)
STEADY = st.builds(
    simple,
    st.integers(96, 1000).map(lambda ug: ug * 1000),
    bolus_dose_ng=st.integers(1, 150).map(lambda ug: ug * 1000),
    lockout_s=st.just(600),
    daily_cap=st.just(24),
)
# What can happen to the dose besides a change of program.
HAPPENINGS = st.one_of(
    st.tuples(st.just("wait"), st.integers(60, 40 * HOUR_S)),
    st.tuples(st.just("press"), st.integers(600, 2000)),
    st.tuples(st.just("single"), st.integers(1, 1000)),
    st.tuples(st.just("clock"), st.integers(-30 * HOUR_S, 30 * HOUR_S)),
    st.tuples(st.just("off"), st.integers(1, 4 * HOUR_S)),
)


def _let_happen(bench: Bench, pulses: Pulses, what: str, much: int) -> None:
    if what == "wait":
        bench.run(much)
    elif what == "press":
        ask(bench)
        bench.run(much)
    elif what == "single":
        single(bench, much * 1000)
    elif what == "clock":
        bench.order("set_clock", MIDNIGHT_US + bench.rig.now_us + much * US_PER_S)
    elif what == "off":
        bench.rig.power_down()
        bench.run(much % 600)
        bench.rig.power_up(1)
        pulses.listen()
        bench.run(3)
        bench.order("acknowledge", ALL)
        if much % 2:
            bench.order("set_clock", MIDNIGHT_US + bench.rig.now_us)


def _steady_dose_holds(happenings: list[tuple[str, Any]]) -> None:
    bench = ready(program=simple(500_000, daily_cap=24, lockout_s=600))
    pulses = Pulses(bench)
    for what, much in happenings:
        if what == "program":
            try:
                bench.order("set_program", much)
            except LimitError:
                continue
        elif what == "stop":
            bench.order("stop")
            bench.run(much)
            bench.order("start")
        else:
            _let_happen(bench, pulses, what, much)
    bench.run(86_400)
    assert (pulses.fullest_day() - 1) * STEP_NL * NG_PER_NL <= 1_000_000


@pytest.mark.req("D04")
@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            HAPPENINGS,
            st.tuples(st.just("program"), STEADY),
            st.tuples(st.just("stop"), st.integers(1, 6 * HOUR_S)),
        ),
        max_size=25,
    )
)
def test_no_24_h_of_steady_programs_and_boluses_hold_more_than_1000_ug(
    happenings: list[tuple[str, Any]],
) -> None:
    _steady_dose_holds(happenings)


@pytest.mark.req("D04")
@settings(max_examples=60)
@given(PROFILES, st.lists(HAPPENINGS, max_size=20))
def test_no_24_h_of_a_profile_and_boluses_hold_more_than_1000_ug(
    program: Program, happenings: list[tuple[str, int]]
) -> None:
    try:
        bench = ready(program=program)
    except LimitError:
        return
    pulses = Pulses(bench)
    for what, much in happenings:
        _let_happen(bench, pulses, what, much)
    bench.run(86_400)
    assert (pulses.fullest_day() - 1) * STEP_NL * NG_PER_NL <= 1_000_000


@given(
    st.lists(
        st.tuples(st.integers(0, 2 * DAY_US), st.integers(0, 1_000_000), st.booleans()),
        max_size=32,
    ),
    st.integers(0, 3 * DAY_US),
)
def test_the_history_survives_storing_and_counts_what_ended_within_24_h(
    given_: list[tuple[int, int, bool]], later_us: int
) -> None:
    history, now_us = BolusHistory(), 0
    ends: list[tuple[int, int, bool]] = []
    for after_us, dose_ng, patient in given_:
        now_us += after_us
        history.record(now_us, dose_ng, PATIENT if patient else 1)
        ends.append((now_us, dose_ng, patient))
        kept = [end for end in ends if now_us - end[0] < DAY_US]
        assert history.dose_ng(now_us) == sum(end[1] for end in kept)
    history.begin_lockout(now_us, 3600)
    again = BolusHistory()
    assert again.restore(history.pack(None, now_us)) == (-1, 0)
    now_us += later_us
    kept = [end for end in ends if now_us - end[0] < DAY_US]
    assert again.dose_ng(now_us) == sum(end[1] for end in kept)
    assert again.patient_count(now_us) == sum(end[2] for end in kept)
    assert again.locked(now_us) == (later_us < HOUR_S * US_PER_S)


def test_the_quantum_of_these_tests_is_the_rigs() -> None:
    assert PlantConfig().nominal_step_nl == pytest.approx(STEP_NL, rel=1e-5)


def _another_program(bench: Bench) -> None:
    bench.order("set_program", simple(310_000, 2000))


def _refill(bench: Bench) -> None:
    bench.order("refill", 17_000_000, 2000)


def _barring_fault(bench: Bench) -> None:
    raise_(bench, faults.PRESSURE_SENSOR)


def _halting_fault(bench: Bench) -> None:
    raise_(bench, faults.OVER_DELIVERY)


def _occlusion(bench: Bench) -> None:
    bench.plant.occlude(1.0)
    bench.run_until(lambda: bench.present("OCCLUSION"), 3_600, 0.25)


@pytest.mark.req("B04")
@pytest.mark.parametrize(
    ("act", "cause", "afterwards"),
    [
        (lambda bench: bench.order("stop"), ("MODE", "STOPPED"), "STOPPED"),
        (lambda bench: bench.order("suspend"), ("MODE", "SUSPENDED"), "SUSPENDED"),
        (_another_program, ("PROGRAM_SET", "155000 nL/day mean"), "BASAL"),
        (_refill, ("REFILLED", "17000000 nL"), "BASAL"),
        (_barring_fault, ("ALARM_RAISED", "PRESSURE_SENSOR MEDIUM"), "BASAL"),
        (_halting_fault, ("ALARM_RAISED", "OVER_DELIVERY HIGH"), "HALTED"),
        (_occlusion, ("ALARM_RAISED", "OCCLUSION HIGH"), "BACKOFF"),
    ],
)
def test_what_ends_a_bolus_is_logged_before_its_end_and_it_ends_once(
    act: Callable[[Bench], object], cause: tuple[str, str], afterwards: str
) -> None:
    """The end follows from what happened, in one place, within the same tick or order."""
    bench = ready()
    assert single(bench, 40_000, 1_200) == "granted"
    bench.run(300)
    given_nl = bench.pump.bolus.delivered_nl(bench.pump.now_us)
    before = len(bench.log)
    act(bench)
    happened = [(entry.name, entry.detail) for entry in bench.log[before:]]
    ends = [place for place, (name, _) in enumerate(happened) if name == "BOLUS_ENDED"]
    assert len(ends) == 1
    assert happened.index(cause) < ends[0]
    assert bench.log[before + ends[0]].true_s == bench.log[before + happened.index(cause)].true_s
    how, booked_nl = happened[ends[0]][1].split()[:2]
    assert how == "interrupted"
    assert int(booked_nl) >= given_nl
    assert (bench.pump.bolus, bench.mode) == (None, afterwards)
