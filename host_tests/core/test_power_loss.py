"""Power cut at every write of a busy day, and at any instant between: the account, the dose."""

import functools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.base import modes
from cisterna.base.settings import Limits
from cisterna.events import BOOT_CAUSES
from cisterna_sim.hal import SimStepper
from cisterna_sim.rig_board import default_calibration
from cisterna_sim.store import DictStore, PowerCut
from host_tests.kit.bench import Bench, simple
from host_tests.kit.busy_day import POWER_LOST, STRENGTH, TEARS, Believed, Day, believed

STEP_NL = default_calibration().step_pl / 1000
# The longest allowance, in steps: 46 uL on the default rig.
ALLOWANCE_STEPS = 512


def _facts(store: DictStore) -> tuple[int, int, int, int]:
    now = believed(store)
    return now.resting, now.fill_nl, now.dose_ng, now.occlusion_pa


@functools.cache
def _quiet_day() -> tuple[int, list[tuple[int, int, int, int]]]:
    """Writes of the whole day, and what is stored after each act of it."""
    day = Day()
    facts = [(modes.UNCONFIGURED, 0, 0, Limits().occlusion_pa)]
    facts += [_facts(day.store) for _ in day.live()]
    return day.store.writes, facts


def test_the_busy_day_does_what_it_is_meant_to():
    day = Day()
    for _ in day.live():
        pass
    assert day.bench is not None
    ends = [entry.detail for entry in day.bench.names("BOLUS_ENDED")]
    assert [end.split()[0] for end in ends] == ["interrupted", "complete", "interrupted"]
    raised = set(day.bench.raised())
    assert {"RESERVOIR_DISCREPANCY", "BUTTON_STUCK", "OCCLUSION", "RESERVOIR_LOW"} <= raised
    assert len(day.bench.names("BACKED_OFF")) == 1
    assert len({fact[1] for fact in _quiet_day()[1]}) == 4
    assert day.bench.mode == "BASAL"


def _check_bounds(day: Day, now: Believed) -> None:
    true = day.true_steps(now.fill_nl)
    assert now.low <= true <= now.high, (now, true)
    assert now.opened <= ALLOWANCE_STEPS
    # Two minutes of flow, or 16 steps: what an allowance is for.
    fastest = 24_000_000 if now.bolus else 10_000_000
    assert now.opened <= max(16, fastest * 120 / 86_400 / STEP_NL)


def _check_after(day: Day, now: Believed) -> None:
    """After the boot: the reset shows, the program goes on if it ran, nothing comes twice."""
    bench = day.bench
    assert bench is not None
    begin, heard = bench.plant.rotor_steps, len(bench.log)
    bench.plant.release()
    assert bench.names("BOOT")[-1].detail == f"{BOOT_CAUSES[day.cause]} {now.opened} steps open"
    assert bench.present("POWER_LOST") == (now.resting == modes.BASAL or now.bolus)
    bench.run(1.9)
    assert bench.plant.rotor_steps == begin
    bench.run(600)
    moved = bench.plant.rotor_steps - begin
    assert bench.pump.bolus is None
    assert not [e for e in bench.log[heard:] if e.name == "BOLUS_GRANTED"]
    stop = bench.pump.alarms.present & ((1 << 12) - 1)
    if now.resting != modes.BASAL or stop:
        assert moved == 0
        assert bench.mode in ("UNCONFIGURED", "IDLE", "STOPPED", "HALTED")
        return
    assert bench.mode == "BASAL"
    programmed = now.dose_ng * 1000 / STRENGTH * (600 + 1.9 - 2.0) / 86_400 / STEP_NL
    assert -2 < moved - programmed < 1
    ledger = bench.pump.ledger
    net = ledger.forward - ledger.reversed
    assert (
        net - ledger.unconfirmed_back_steps
        <= day.true_steps(now.fill_nl)
        <= net + ledger.unconfirmed_steps + 1
    )
    fill_nl = ledger.remaining_nl + ledger.delivered_nl + ledger.primed_nl
    assert fill_nl + ledger.unconfirmed_steps * STEP_NL == pytest.approx(
        ledger.fill_nl, abs=STEP_NL
    )


def _lose_power_at(tear: str, cut_at: int, facts: list[tuple[int, int, int, int]]) -> None:
    day = Day(tear, cut_at)
    with pytest.raises(PowerCut):
        for _ in day.live():
            pass
    now = believed(day.store)
    # What an order had done before, and its answer had said so, is there.
    stood = zip(_facts(day.store), facts[day.done], facts[day.done + 1], strict=True)
    for got, before, after in stood:
        assert got in (before, after), day.done
    if now.dose_ng == 2_000_000:
        assert now.former_ng >= 1_000_000  # D04 counts the program that ran till then
    if not now.known:
        assert day.true_steps(0) == 0
    else:
        _check_bounds(day, now)
    day.reboot()
    _check_after(day, now)


@pytest.fixture
def bursts(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[int], None]]:
    """What to call with the steps of each burst before it begins."""
    calls: list[Callable[[int], None]] = []
    plain = SimStepper.burst

    def burst(stepper: SimStepper, steps: int, interval_us: int) -> None:
        for call in calls:
            call(steps)
        plain(stepper, steps, interval_us)

    monkeypatch.setattr(SimStepper, "burst", burst)
    return calls


def _check_burst(store: DictStore, true: int, steps: int) -> None:
    """All that a burst can move is stored: a board goes on pulsing while it writes."""
    now = believed(store)
    assert now.low <= true + min(0, steps)
    assert true + max(0, steps) <= now.high


@pytest.mark.req("R07")
def test_whatever_a_burst_can_move_is_stored_before_it_begins(bursts):
    day = Day()
    bursts.append(
        lambda steps: _check_burst(day.store, day.true_steps(believed(day.store).fill_nl), steps)
    )
    for _ in day.live():
        pass


@pytest.mark.req("R07")
def test_a_back_off_is_stored_before_it_begins_even_right_after_a_save(bursts):
    bench = _running_at(600_000)
    seen: list[int] = []
    bench.run(600)
    bench.order("acknowledge", 0)
    bursts.append(seen.append)
    bursts.append(lambda steps: _check_burst(bench.rig.store, bench.plant.rotor_steps, steps))
    bench.plant.instruments.pressure.offset = 80_000
    bench.rig.attend()
    bench.run(2)
    assert min(seen) < 0


@pytest.mark.req("R07", "I03")
@pytest.mark.parametrize("tear", TEARS)
def test_power_cut_in_any_write_leaves_the_truth_within_the_stored_bounds(tear):
    writes, facts = _quiet_day()
    for cut_at in range(1, writes + 1):
        try:
            _lose_power_at(tear, cut_at, facts)
        except BaseException as error:
            error.add_note(f"power cut in write {cut_at}, which left: {tear}")
            raise


def _allowance(rate_nl_per_day: int) -> float:
    """Most steps of an allowance: two minutes of flow, 16 at least."""
    return max(16.0, rate_nl_per_day * 120 / 86_400 / STEP_NL)


def _running_at(rate_nl_per_day: int) -> Bench:
    """A pump with a thin drug, so that every rate is within the dose limits."""
    program = simple(rate_nl_per_day // 20, 50, bolus_dose_ng=1_000, lockout_s=300)
    return Bench(
        program=program, concentration_ug_per_ml=50, limits={"max_daily_dose_ng": 5_000_000}
    )


@pytest.mark.req("R07", "I03")
@given(
    rate=st.sampled_from([48_000, 600_000, 6_000_000, 24_000_000]),
    times_ms=st.lists(st.integers(2_000, 400_000), min_size=1, max_size=8),
    bolus=st.booleans(),
)
def test_power_cuts_at_any_instant_open_the_bounds_by_one_allowance_each(rate, times_ms, bolus):
    bench = _running_at(rate)
    for number, ms in enumerate(times_ms, 1):
        if bolus:
            bench.press()
        bench.run(ms / 1000)
        bench.rig.power_down()
        now = believed(bench.rig.store)
        assert now.low <= bench.plant.rotor_steps <= now.high
        assert now.high - now.low <= number * _allowance(rate + 3_000_000 * bolus)
        before = bench.plant.rotor_steps
        bench.rig.power_up(POWER_LOST)
        bench.run(2.9)
        assert bench.mode == "BASAL"
        assert bench.plant.rotor_steps - before <= 0.9 * rate / 86_400 / STEP_NL + 1


@pytest.mark.req("R07")
@pytest.mark.parametrize("seconds", [3, 119])
def test_many_power_cuts_in_a_row_raise_no_alarm_of_the_level(seconds):
    """At 24 mL/day each opens up to 33 uL: after ten that is more than the free-flow limit."""
    bench = _running_at(24_000_000)
    for _ in range(40):
        bench.run(2 + seconds)
        bench.rig.power_down()
        bench.rig.power_up(POWER_LOST)
    bench.run(60)
    assert set(bench.raised()) <= {"POWER_LOST", "RESERVOIR_LOW"}
    assert bench.mode == "BASAL"
    left_nl = bench.plant.syringe_nl
    assert bench.pump.ledger.remaining_nl <= left_nl + 1_000  # stiction and pitch of the screw
    assert bench.pump.ledger.most_remaining_nl >= left_nl - 1_000


def test_a_single_bolus_lost_with_the_power_shows_even_if_nothing_else_ran():
    bench = Bench()
    bench.order("stop")
    bench.order("single_bolus", 20_000, 600)
    bench.run(100)
    bench.rig.power_down()
    bench.rig.power_up(POWER_LOST)
    bench.run(5)
    assert bench.present("POWER_LOST")
    assert bench.names("BOLUS_ENDED")[-1].detail.startswith("power lost")
    assert bench.mode == "STOPPED"


@pytest.mark.req("R07")
@pytest.mark.parametrize("slot", ["state.a", "state.b"])
@pytest.mark.parametrize(
    ("order", "fact"),
    [(("stop",), (modes.STOPPED, 18_000_000)), (("refill", 9_000_000, 2000), (5, 9_000_000))],
)
def test_a_slot_that_fails_after_an_order_does_not_undo_it(slot, order, fact):
    bench = Bench()
    bench.run(1000)
    bench.order(*order)
    bench.rig.power_down()
    bench.rig.store.records[slot] = b""
    assert _facts(bench.rig.store)[:2] == fact
