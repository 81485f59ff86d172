"""Low, empty, refill and the dates that are told of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.base.settings import TOLERANCE_NL, Limits
from cisterna.base.units import LimitError
from cisterna.memory import Memory
from cisterna.orders import Refused
from cisterna.parts.bolus import ALARM, REFUSALS
from cisterna.parts.ledger import Ledger
from cisterna.parts.program import KIND_CONTINUOUS, KIND_PROFILE, Program
from cisterna.refill import RefillWatch
from cisterna_sim.rig_board import default_calibration
from cisterna_sim.store import DictStore
from host_tests.kit.bench import ALL, Bench, simple

STEP_NL = 89.819
DAY_S = 86_400


def _raised_at(bench: Bench, alarm: str) -> list[float]:
    return [e.true_s for e in bench.names("ALARM_RAISED") if e.detail.split()[0] == alarm]


@pytest.mark.req("R03")
@pytest.mark.parametrize("low_nl", [4_000_000, 2_000_000, 6_000_000])
def test_low_alarms_once_at_the_crossing_and_only_boluses_stop(low_nl):
    limits = None if low_nl == 4_000_000 else {"low_nl": low_nl}
    bench = Bench(fill_ml=(low_nl + 50_000) / 1e6, limits=limits, level=False)
    bench.run(2 * 3600)
    assert bench.order("patient_bolus") == 0, "nothing stands in the way before the crossing"
    bench.run_until(lambda: bench.present("RESERVOIR_LOW"), DAY_S)
    assert -2 * STEP_NL <= bench.pump.ledger.remaining_nl - low_nl <= 0
    assert low_nl - 2 * STEP_NL <= low_nl + 50_000 - bench.plant.rotor_steps * STEP_NL <= low_nl
    assert bench.rig.hal.signal.priority == 1
    bench.order("acknowledge", ALL)
    bench.run(3600)
    for _ in range(5):
        before_s, moved = bench.rig.now_us / 1e6, bench.plant.rotor_steps
        assert REFUSALS[bench.order("patient_bolus")] == REFUSALS[ALARM]
        with pytest.raises(Refused):
            bench.order("single_bolus", 1_000, 600)
        bench.run(DAY_S)
        assert bench.mode == "BASAL"
        days = (bench.rig.now_us / 1e6 - before_s) / DAY_S
        moved = bench.plant.rotor_steps - moved
        assert moved == pytest.approx(days * 150_000 / STEP_NL, abs=1.01)
        bench.order("acknowledge", ALL)
    assert bench.present("RESERVOIR_LOW")
    assert len(_raised_at(bench, "RESERVOIR_LOW")) == 1


@pytest.mark.req("R03")
def test_a_refill_ends_low_and_boluses_are_granted_again():
    bench = Bench(fill_ml=3.9)
    bench.run(3700)
    assert REFUSALS[bench.order("patient_bolus")] == "alarm"
    bench.plant.refill(10, 2000)
    bench.order("refill", 13_800_000, 2000)
    bench.order("acknowledge", ALL)
    assert not bench.present("RESERVOIR_LOW")
    assert bench.order("patient_bolus") == 0


@pytest.mark.req("R04")
@pytest.mark.parametrize("empty_nl", [1_000_000, 600_000, 2_000_000])
@pytest.mark.parametrize("dose_ug", [300, 1000])
@pytest.mark.parametrize("cut", [False, True])
def test_empty_stops_at_its_mark_with_a_high_alarm_and_stays_so(empty_nl, dose_ug, cut):
    limits = None if empty_nl == 1_000_000 else {"empty_nl": empty_nl}
    fill_nl = empty_nl + 30_000
    bench = Bench(dose_ug_per_day=dose_ug, fill_ml=fill_nl / 1e6, limits=limits)
    bench.run_until(lambda: bench.present("EMPTY"), DAY_S)
    moved = bench.plant.rotor_steps
    assert -2 * STEP_NL <= fill_nl - moved * STEP_NL - empty_nl <= STEP_NL
    assert bench.mode == "HALTED"
    assert bench.rig.hal.signal.priority == 3
    # As much as the content may be wrong by, there is still fluid, not air.
    assert empty_nl > TOLERANCE_NL
    assert TOLERANCE_NL <= 500_000
    if cut:
        bench.rig.power_down()
        bench.rig.power_up(1)
    bench.run(60)
    bench.order("acknowledge", ALL)
    for order in (("start",), ("resume",), ("single_bolus", 1_000, 600)):
        with pytest.raises(Refused):
            bench.order(*order)
    bench.press()
    bench.run(2 * DAY_S)
    assert bench.plant.rotor_steps == moved
    assert bench.present("EMPTY")
    bench.plant.refill(10, 2000)
    bench.order("refill", 10_000_000 + empty_nl, 2000)
    bench.order("acknowledge", ALL)
    assert bench.plant.rotor_steps == moved
    bench.order("resume")
    bench.run(3600)
    assert bench.mode == "BASAL"
    assert bench.plant.rotor_steps > moved


@pytest.mark.req("R04")
def test_empty_counts_what_a_power_loss_left_open_as_gone():
    bench = Bench(dose_ug_per_day=1000, fill_ml=1.01)
    for _ in range(20):
        bench.run(130)
        bench.rig.power_down()
        bench.rig.power_up(1)
        bench.run(3)
    assert bench.present("EMPTY")
    moved_nl = bench.plant.rotor_steps * STEP_NL
    assert 1_010_000 - moved_nl >= 1_000_000 - STEP_NL
    assert bench.pump.ledger.remaining_nl <= 1_000_000


def _content(program: Program, limits: Limits, fill_nl: int) -> RefillWatch:
    memory = Memory(DictStore(), default_calibration())
    memory.program, memory.limits = program, limits
    memory.state.ledger.refill(fill_nl, program.concentration_ug_per_ml)
    return RefillWatch(memory, memory.state.ledger, None)


_starts = st.lists(st.integers(1, 1439), max_size=3, unique=True).map(lambda s: [0, *sorted(s)])


@st.composite
def _programs(draw) -> Program:
    strength = draw(st.sampled_from([500, 1000, 2000]))
    doses = st.integers(strength * 48 + 1, 900_000)  # from the least rate up
    bolus = draw(st.sampled_from([0, 1_000, 10_000]))
    cap = draw(st.integers(0, 12))
    if draw(st.booleans()):
        return simple(draw(doses), strength, bolus_dose_ng=bolus, daily_cap=cap)
    rows = [(mask, start, draw(doses)) for mask in (0x0F, 0x10, 0x60) for start in draw(_starts)]
    return Program(KIND_PROFILE, strength, tuple(rows), bolus, daily_cap=cap)


def _minute_rate(program: Program, minute: int) -> float:
    """Basal rate in nL/day in a minute of the week, read straight from the program."""
    if program.kind == KIND_CONTINUOUS:
        dose = program.segments[0][2]
    else:
        weekday, of_day = divmod(minute % 10_080, 1440)
        rows = [row for row in program.segments if row[0] >> weekday & 1 and row[1] <= of_day]
        dose = max(rows, key=lambda row: row[1])[2]
    return dose * 1000 / program.concentration_ug_per_ml


@pytest.mark.req("R05")
@given(
    program=_programs(),
    fill_nl=st.integers(1_000_001, 20_000_000),
    used=st.integers(0, 200_000),
    low_nl=st.sampled_from([2_000_000, 4_000_000]),
    start_min=st.integers(0, 10_079),
)
def test_the_refill_date_holds_with_every_bolus_and_the_alarm_is_3_days_before(
    program, fill_nl, used, low_nl, start_min
):
    limits = Limits({"low_nl": low_nl})
    content = _content(program, limits, fill_nl)
    ledger = content._ledger
    ledger.count(used)
    low_s, refill_s = content.seconds_to_refill()
    left_nl = fill_nl - used * STEP_NL
    # Any day of this week, with every bolus that the daily cap allows.
    basal_nl = sum(_minute_rate(program, start_min + m) for m in range(1440)) / 1440
    bolus_nl = program.bolus_dose_ng * 1000 / program.concentration_ug_per_ml
    day_nl = basal_nl + program.daily_cap * bolus_nl
    assert content.worst_day_nl >= day_nl - 8  # each rate and bolus is rounded to a nL
    if left_nl > 1_000_000 + STEP_NL:
        assert refill_s / DAY_S * content.worst_day_nl <= left_nl - 1_000_000 + STEP_NL
    # The date is told without needless haste: at most a day and an hour of the highest rate.
    highest = max(row[2] for row in program.segments) * 1000 / program.concentration_ug_per_ml
    assert content.worst_day_nl <= highest * 25 / 24 + program.daily_cap * bolus_nl + 16
    if low_s:
        assert refill_s - low_s >= 3 * DAY_S
        assert content.look() == 0
    elif left_nl <= min(low_nl, 20_000_000) - STEP_NL:
        assert content.look()


@pytest.mark.req("R05", "R03")
def test_a_patient_who_takes_every_bolus_runs_out_no_sooner_than_told():
    program = simple(800_000, bolus_dose_ng=30_000, lockout_s=3600)
    bench = Bench(program=program, fill_ml=10.0)
    begun_s = bench.rig.now_us / 1e6
    low_s, refill_s = bench.pump.refill.seconds_to_refill()
    while not bench.present("EMPTY"):
        bench.order("patient_bolus")
        bench.run(3601)
    granted = [e.true_s for e in bench.names("BOLUS_GRANTED")]
    assert len(granted) >= 6 * int(low_s / DAY_S)
    (low_at,) = _raised_at(bench, "RESERVOIR_LOW")
    (empty_at,) = _raised_at(bench, "EMPTY")
    assert low_at - begun_s >= low_s - 1
    assert empty_at - begun_s >= refill_s - 1
    assert empty_at - low_at >= 3 * DAY_S
    # And the account was right all the time.
    assert bench.plant.syringe_nl == pytest.approx(1_000_000, abs=2_000)


@pytest.mark.req("R05")
def test_a_fast_pump_is_low_three_days_ahead_not_only_at_the_mark():
    bench = Bench(
        program=simple(1_000_000, 500), concentration_ug_per_ml=500, fill_ml=18.0,
        limits={"max_daily_dose_ng": 5_000_000},
    )  # fmt: skip
    bench.run_until(lambda: bench.present("EMPTY"), 20 * DAY_S, 3600)
    (low_at,) = _raised_at(bench, "RESERVOIR_LOW")
    (empty_at,) = _raised_at(bench, "EMPTY")
    assert empty_at - low_at >= 3 * DAY_S


def _snapshot(bench: Bench) -> tuple:
    pump = bench.pump
    bench.rig.controller.tick(bench.rig.pump_us)  # count what the last tick emitted
    state = {k: v for k, v in vars(pump.ledger).items() if k != "_calibration"}
    return state, pump.alarms.active, pump.alarms.latched, pump.modes.mode, len(bench.log)


@pytest.mark.req("R06")
@pytest.mark.parametrize(
    ("volume", "residual"),
    [
        (20_000_001, None), (40_000_000, None), (0, None), (-1, None), (1_000_000, None),
        (18e6, None), (True, None), ("18000000", None), (float("nan"), None),
        (18_000_000, -1), (18_000_000, 20_000_001), (18_000_000, 1.5),
    ],
)  # fmt: skip
def test_a_refill_that_cannot_be_is_refused_and_changes_nothing(volume, residual):
    bench = Bench()
    bench.run(3700)
    assert bench.order("patient_bolus") == 0
    before = _snapshot(bench)
    with pytest.raises(LimitError):
        bench.order("refill", volume, 2000, residual)
    assert _snapshot(bench) == before
    assert bench.mode == "BOLUS"
    bench.run(1000)
    assert bench.pump.ledger.fill_nl == 18_000_000


@pytest.mark.req("R06")
def test_a_refill_to_capacity_is_taken():
    bench = Bench()
    bench.order("refill", 20_000_000, 2000)
    assert bench.pump.ledger.remaining_nl == 20_000_000


def _off(fill_nl: int, steps: int, residual_nl: int) -> bool:
    ledger = Ledger(default_calibration())
    ledger.refill(fill_nl, 2000)
    ledger.count(steps)
    return ledger.discrepancy(residual_nl)


@pytest.mark.req("R06")
@given(
    fill_nl=st.integers(1_000_001, 20_000_000),
    part=st.floats(0, 1),
    off=st.integers(-3_000_000, 3_000_000),
)
def test_a_residual_off_by_more_than_1_ml_and_10_percent_is_a_discrepancy(fill_nl, part, off):
    steps = int(part * fill_nl / STEP_NL)
    expected_nl = fill_nl - steps * 89_819 // 1000
    for difference in (off, -off, 1_000_000, 1_000_001, -1_000_000, -1_000_001):
        residual_nl = expected_nl + difference
        too_much = abs(difference) > 1_000_000 and abs(difference) * 10 > expected_nl
        assert _off(fill_nl, steps, residual_nl) == too_much


@pytest.mark.req("R06")
@pytest.mark.parametrize(("off_nl", "alarms"), [(-1_100_000, True), (1_100_000, True), (0, False)])
def test_a_discrepancy_at_refill_alarms_until_acknowledged(off_nl, alarms):
    bench = Bench(fill_ml=6.0)
    bench.run(10 * DAY_S)
    residual_nl = round(bench.plant.withdraw()) + off_nl
    bench.plant.refill(15, 2000)
    bench.order("refill", 15_000_000, 2000, residual_nl)
    assert bench.present("RESERVOIR_DISCREPANCY") == alarms
    assert bench.mode == "BASAL"
    if alarms:
        assert bench.rig.hal.signal.priority == 2
        bench.run(DAY_S)
        assert bench.present("RESERVOIR_DISCREPANCY")
        bench.order("acknowledge", ALL)
    bench.run(DAY_S)
    assert not bench.present("RESERVOIR_DISCREPANCY")
    # The account starts anew from what is known now.
    assert bench.plant.syringe_nl == pytest.approx(bench.pump.ledger.remaining_nl, abs=1_000)


@pytest.mark.req("R06")
def test_a_refill_with_another_drug_strength_needs_a_stopped_pump_and_a_new_program():
    bench = Bench()
    bench.run(1000)
    with pytest.raises(Refused):
        bench.order("refill", 18_000_000, 500)
    bench.order("stop")
    bench.order("refill", 18_000_000, 500)
    with pytest.raises(Refused):
        bench.order("start")
    with pytest.raises(Refused):
        bench.order("single_bolus", 1_000, 600)
    bench.order("set_program", simple(300_000, 500))
    bench.order("start")


@pytest.mark.req("R07")
def test_a_refill_keeps_what_a_running_burst_was_charged():
    """Its pulses still come: a power loss right after the refill must leave them open."""
    ledger = Ledger(default_calibration())
    ledger.refill(10_000_000, 2000)
    ledger.charge(16, 150_000)
    ledger.count(4)
    ledger.refill(18_000_000, 2000)
    assert ledger.remaining_nl == 18_000_000
    after = Ledger(default_calibration())
    assert after.restore(ledger.pack()) == 12
    assert (after.forward, after.unconfirmed_steps) == (0, 12)
