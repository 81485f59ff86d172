"""Alarms against a model of sets, and what the pump sounds."""

import itertools

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cisterna import controller, fault_conditions
from cisterna.base import faults
from cisterna.base.units import LimitError
from cisterna.parts.alarms import TONE_HZ, TONES, Alarms
from cisterna_sim.rig_board import default_calibration
from host_tests.kit.bench import ALL, Bench

US_PER_S = 1_000_000
CODES = st.integers(0, len(faults.FAULTS) - 1)
NAMES = [row[0] for row in faults.FAULTS]
PRIORITY = {name: row[1] for name, row in zip(NAMES, faults.FAULTS, strict=True)}
SERVICE = {name for name, row in zip(NAMES, faults.FAULTS, strict=True) if row[3] == 1}
STOPPING = {name for name, row in zip(NAMES, faults.FAULTS, strict=True) if row[2] == 2}
BIT = {name: 1 << place for place, name in enumerate(NAMES)}


def names_of(mask: int) -> set[str]:
    """The faults of a mask."""
    assert 0 <= mask < 1 << len(NAMES)
    return {name for name in NAMES if mask & BIT[name]}


class AlarmMachine(RuleBasedStateMachine):
    """``holding``: conditions that hold; ``standing``: alarms; ``silent``: acknowledged ones."""

    def __init__(self) -> None:
        super().__init__()
        self.alarms = Alarms()
        self.now_us = 1_000
        self.holding: set[str] = set()
        self.standing: set[str] = set()
        self.silent: set[str] = set()
        self.first: str | None = None
        self.paused: tuple[int, int] | None = None  # until, priority that was paused
        self.acked_us: dict[str, int] = {}

    def after(self) -> None:
        self.silent &= self.standing
        if not self.standing & STOPPING:
            self.first = None

    @rule(code=CODES)
    def the_condition_holds(self, code: int) -> None:
        name = NAMES[code]
        assert self.alarms.raise_fault(code) == (name not in self.holding)
        if name in self.holding:
            return
        self.holding.add(name)
        self.standing.add(name)
        self.silent.discard(name)
        if name in STOPPING and self.first is None:
            self.first = name
        if self.paused is not None and PRIORITY[name] >= self.paused[1]:
            self.paused = None

    @rule(code=CODES)
    def the_condition_ends(self, code: int) -> None:
        name = NAMES[code]
        assert self.alarms.clear_fault(code) == (name in self.holding)
        if name in self.holding:
            self.holding.discard(name)
            if name in self.silent and name not in SERVICE:
                self.standing.discard(name)
        self.after()

    @rule(chosen=st.sets(st.sampled_from(NAMES)))
    def people_acknowledge(self, chosen: set[str]) -> None:
        changed = self.alarms.acknowledge(self.now_us, sum(BIT[name] for name in chosen))
        heard = chosen & self.standing - self.silent
        self.acked_us.update(dict.fromkeys(heard, self.now_us))
        assert names_of(changed) == heard
        self.silent |= heard
        self.standing -= heard - self.holding - SERVICE
        self.after()

    @rule(code=st.sampled_from(sorted(SERVICE)).map(NAMES.index))
    def service_ends_it(self, code: int) -> None:
        self.alarms.service(code)
        self.holding.discard(NAMES[code])
        self.standing.discard(NAMES[code])
        self.after()

    @rule(seconds=st.integers(1, 300))
    def people_pause_the_sound(self, seconds: int) -> None:
        self.alarms.pause(self.now_us, seconds)
        loudest = max((PRIORITY[name] for name in self.standing - self.silent), default=0)
        self.paused = self.now_us + min(seconds, 120) * US_PER_S, loudest

    @rule()
    def the_link_that_paused_is_lost(self) -> None:
        self.alarms.end_pause()
        self.paused = None

    @rule(seconds=st.sampled_from([0.5, 1, 30, 119, 120, 3_479, 3_480, 3_600]))
    def time_passes(self, seconds: float) -> None:
        self.now_us += round(seconds * US_PER_S)
        forgotten = {
            name
            for name in self.silent & self.holding
            if (PRIORITY[name] == faults.HIGH or name == "STOPPED")
            and self.now_us >= self.acked_us[name] + 3_600 * US_PER_S
        }
        again_us = self.alarms.again_us()
        assert (0 < again_us <= self.now_us) == bool(forgotten)
        assert {NAMES[code] for code in self.alarms.sound_again(self.now_us)} == forgotten
        self.silent -= forgotten
        self.standing |= forgotten
        if self.paused is not None and self.now_us >= self.paused[0]:
            self.paused = None

    @rule()
    def power_is_lost(self) -> None:
        """What stands is stored; whether it holds is found anew."""
        self.alarms = Alarms(self.alarms.present)
        self.holding, self.silent, self.paused = set(), set(), None
        self.first = None

    @invariant()
    def an_alarm_stands_until_acknowledged_and_gone(self) -> None:
        assert names_of(self.alarms.active) == self.holding
        assert names_of(self.alarms.present) == self.standing
        assert self.holding <= self.standing

    @invariant()
    def the_highest_that_sounds_wins_the_signal(self) -> None:
        sounding = self.standing - self.silent
        shown = sounding or self.standing
        loudest = max((PRIORITY[name] for name in shown), default=0)
        audible = bool(sounding) and self.paused is None
        assert self.alarms.signal(self.now_us) == (loudest, audible)
        first = [name for name in NAMES if name in shown and PRIORITY[name] == loudest]
        assert self.alarms.shown() == (NAMES.index(first[0]) if first else -1)

    @invariant()
    def a_pause_ends_by_itself_within_two_minutes(self) -> None:
        until_us = self.alarms.paused_until_us(self.now_us)
        assert until_us == (self.paused[0] if self.paused else 0)
        assert until_us <= self.now_us + 120 * US_PER_S

    @invariant()
    def the_first_reason_for_a_stop_is_kept(self) -> None:
        if self.first is not None:
            assert self.alarms.first_stop == NAMES.index(self.first)
        elif not self.standing & STOPPING:
            assert self.alarms.first_stop == -1


@pytest.mark.req("A01", "A02", "A04")
class TestAlarmMachine(AlarmMachine.TestCase):  # type: ignore[misc, valid-type]
    pass


# -- what the pump does with them ---------------------------------------------------------------


def listen(bench: Bench) -> list[tuple[float, int, bool]]:
    """What the signal is told from now on: (seconds from now, priority, audible)."""
    told: list[tuple[float, int, bool]] = []
    begun_us, signal = bench.rig.now_us, bench.rig.hal.signal
    show = signal.show

    def heard(priority: int, audible: bool) -> None:
        told.append(((bench.rig.now_us - begun_us) / US_PER_S, priority, audible))
        show(priority, audible)

    signal.show = heard  # type: ignore[method-assign]
    return told


def raise_(bench: Bench, name: str) -> None:
    """Let a fault's condition come and be seen."""
    bench.pump.raise_fault(NAMES.index(name))
    bench.pump.replan()
    bench.order("acknowledge", 0)


@pytest.mark.req("A01")
def test_a_lower_alarm_is_announced_again_when_the_higher_goes() -> None:
    bench = Bench()
    told = listen(bench)
    for name in ("POWER_LOST", "LEVEL_SENSOR", "STOPPED_LONG"):
        bench.pump.raise_fault(NAMES.index(name))
    bench.order("acknowledge", 0)
    for name in ("STOPPED_LONG", "LEVEL_SENSOR", "POWER_LOST"):
        bench.pump.clear_fault(NAMES.index(name))
        bench.order("acknowledge", BIT[name])
    assert [row[1:] for row in told] == [(3, True), (2, True), (1, True), (0, False)]


@pytest.mark.req("A01")
def test_a_lower_alarm_does_not_take_the_signal_from_a_higher() -> None:
    bench = Bench()
    raise_(bench, "STOPPED_LONG")
    told = listen(bench)
    raise_(bench, "LEVEL_SENSOR")
    raise_(bench, "POWER_LOST")
    assert told == []
    assert bench.rig.hal.signal.priority == faults.HIGH


@pytest.mark.req("A02")
@pytest.mark.parametrize("name", NAMES)
def test_no_alarm_ends_by_one_of_acknowledgement_and_end_of_condition(name: str) -> None:
    code = NAMES.index(name)
    for order in itertools.permutations(("clear", "acknowledge")):
        standing = Alarms()
        standing.raise_fault(code)
        for act in order:
            assert names_of(standing.present) == {name}
            if act == "clear":
                standing.clear_fault(code)
            else:
                standing.acknowledge(0, BIT[name])
        assert names_of(standing.present) == ({name} & SERVICE)


@pytest.mark.req("A08")
def test_an_acknowledged_high_alarm_that_stands_sounds_again_each_hour() -> None:
    """Refilled, acknowledged, RESUME forgotten: 168 h of silence before."""
    bench = Bench()
    raise_(bench, "FREE_FLOW")
    told = listen(bench)
    bench.order("acknowledge", BIT["FREE_FLOW"])
    bench.run(3_599)
    assert told[-1][1:] == (3, False)
    bench.run(2)
    assert told[-1][1:] == (3, True)
    for _ in range(3):
        bench.order("acknowledge", ALL)
        bench.run(3_601)
        assert told[-1][1:] == (3, True)


@pytest.mark.req("A08")
def test_an_acknowledged_alarm_of_less_weight_stays_silent() -> None:
    bench = Bench()
    raise_(bench, "RESERVOIR_DISCREPANCY")
    told = listen(bench)
    bench.order("acknowledge", BIT["RESERVOIR_DISCREPANCY"])
    bench.run(4 * 3_600)
    assert told == [] or told[-1][2] is False


@pytest.mark.req("A08")
def test_a_stopped_pump_whose_reminder_was_acknowledged_reminds_again() -> None:
    bench = Bench()
    bench.order("stop")
    bench.run(3_610)
    assert bench.present("STOPPED")
    bench.order("acknowledge", ALL)
    assert not bench.rig.hal.signal.audible
    bench.run(3_600)
    assert bench.rig.hal.signal.audible


@pytest.mark.req("A02")
def test_standing_alarms_survive_a_power_loss() -> None:
    bench = Bench()
    raise_(bench, "OVER_DELIVERY")
    bench.pump.clear_fault(NAMES.index("OVER_DELIVERY"))
    bench.rig.power_down()
    bench.run(60)
    bench.rig.power_up(1)
    bench.run(3)
    assert bench.present("OVER_DELIVERY")
    assert bench.mode == "HALTED"
    pulses = bench.plant.pulses
    bench.run(600)
    assert bench.plant.pulses == pulses
    assert bench.rig.hal.signal.priority == faults.HIGH
    bench.order("acknowledge", BIT["OVER_DELIVERY"])
    bench.order("resume")
    assert bench.mode == "BASAL"


@pytest.mark.req("A03")
@pytest.mark.parametrize("bolus", [False, True])
@pytest.mark.parametrize("name", sorted(STOPPING))
def test_a_high_stop_means_no_pulse_after_the_tick_that_raises_it(
    name: str, bolus: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PRIORITY[name] == faults.HIGH
    bench = Bench(dose_ug_per_day=500)
    bench.run(100)
    if bolus:  # 14.4 mL/day: a pulse every 0.54 s
        bench.order("single_bolus", 300_000, 900)
        bench.run(10)
    row = (NAMES.index(name), lambda pump: True)
    monkeypatch.setattr(controller, "RAISED", (*fault_conditions.RAISED, row))
    bench.pump.sampler.attention = True
    # At the very instant at which a step is due, with the fault found in the same tick.
    bench.rig.run_until(int(bench.rig._due_us) - 1)
    pulses = bench.plant.pulses
    bench.run(1e-6)
    assert bench.present(name)
    assert bench.plant.pulses == pulses
    assert not bench.rig.hal.stepper.busy()
    assert bench.pump.dosing.rate_nl_per_day == 0
    bench.run(7200)
    assert bench.plant.pulses == pulses
    assert bench.mode == "HALTED"


@pytest.mark.req("A03")
def test_a_high_stop_aborts_the_burst_that_runs() -> None:
    # 256 microsteps of 5.6 nL: a bolus at 16 mL/day comes in bursts of several steps.
    bench = Bench(calibration=default_calibration(step_pl=5_614), microsteps=256, encoder=False)
    bench.order("single_bolus", 200_000, 540)
    bench.run(1)
    bench.run_until(lambda: bench.rig.hal.stepper.busy(), 5, 0.01)
    raise_(bench, "OVER_DELIVERY")
    pulses = bench.plant.pulses
    assert not bench.rig.hal.stepper.busy()
    bench.run(60)
    assert bench.plant.pulses == pulses


@pytest.mark.req("A03")
def test_a_high_stop_aborts_a_back_off_that_runs() -> None:
    bench = Bench()
    bench.run(100)
    bench.plant.occlude(1.0)
    bench.order("single_bolus", 100_000, 600)
    bench.run_until(lambda: bench.mode == "BACKOFF", 600, 0.005)
    bench.run_until(bench.rig.hal.stepper.busy, 5, 0.005)
    raise_(bench, "RUNAWAY")
    assert not bench.rig.hal.stepper.busy()
    pulses = bench.plant.pulses
    bench.run(600)
    assert (bench.mode, bench.plant.pulses) == ("HALTED", pulses)


# -- audio pause --------------------------------------------------------------------------------


@pytest.mark.req("A04")
@pytest.mark.parametrize("seconds", [1, 60, 120])
def test_an_audio_pause_ends_by_itself(seconds: int) -> None:
    bench = Bench()
    raise_(bench, "LEVEL_SENSOR")
    told = listen(bench)
    bench.order("pause_audio", seconds)
    bench.run(300)
    assert told == [(0.0, 2, False), (seconds, 2, True)]
    assert [entry.detail for entry in bench.names("AUDIO_PAUSED")] == [f"{seconds} s"]


@pytest.mark.req("A04")
@pytest.mark.parametrize("seconds", [0, 121, -1, 1.5, True])
def test_an_audio_pause_of_more_than_two_minutes_is_refused(seconds: int) -> None:
    bench = Bench()
    raise_(bench, "LEVEL_SENSOR")
    with pytest.raises(LimitError):
        bench.order("pause_audio", seconds)
    assert bench.rig.hal.signal.audible


@pytest.mark.req("A04")
@pytest.mark.parametrize(
    ("new", "audible"), [("STOPPED_LONG", True), ("SUPPLY_LOW", True), ("POWER_LOST", False)]
)
def test_an_audio_pause_is_broken_by_a_new_alarm_that_is_not_lower(
    new: str, audible: bool
) -> None:
    bench = Bench()
    raise_(bench, "LEVEL_SENSOR")
    bench.order("pause_audio", 120)
    bench.run(10)
    raise_(bench, new)
    assert bench.rig.hal.signal.audible == audible
    assert bench.rig.hal.signal.priority == max(faults.MEDIUM, PRIORITY[new])


@pytest.mark.req("A04")
def test_an_audio_pause_is_broken_by_the_loss_of_its_link() -> None:
    bench = Bench()
    raise_(bench, "LEVEL_SENSOR")
    bench.order("pause_audio", 120)
    assert not bench.rig.hal.signal.audible
    bench.pump.alarms.end_pause()
    bench.order("acknowledge", 0)
    assert bench.rig.hal.signal.audible


@pytest.mark.req("A04")
def test_an_alarm_raised_again_after_it_was_acknowledged_sounds() -> None:
    bench = Bench()
    raise_(bench, "LEVEL_SENSOR")
    bench.order("acknowledge", BIT["LEVEL_SENSOR"])
    assert not bench.rig.hal.signal.audible
    raise_(bench, "LEVEL_SENSOR")
    assert bench.rig.hal.signal.audible


# -- tones --------------------------------------------------------------------------------------


@pytest.mark.req("A05")
def test_the_tones_keep_to_the_standard() -> None:
    # IEC 60601-1-8: pulses, pulse ms, gap ms between pulses, burst interval ms.
    assert [row[0] for row in TONES] == list(faults.PRIORITY_NAMES)
    _, low, medium, high = TONES
    assert len(high[2]) + 1 == 10
    assert len(medium[2]) + 1 == 3
    assert len(low[2]) + 1 in (1, 2)
    assert 75 <= high[1] <= 200
    assert 125 <= medium[1] <= 250
    assert 125 <= low[1] <= 250
    assert 150 <= TONE_HZ <= 1000
    # High: 3 + 2, twice. Within a group 50..125 ms; 0.35..1.3 s between the fifth and the sixth.
    x = high[2][0]
    assert 50 <= x <= 125
    assert high[2] == (x, x, high[2][2], x, high[2][4], x, x, high[2][2], x)
    assert x < high[2][2] < high[2][4]
    assert 350 <= high[2][4] <= 1300
    # Medium: pulses evenly 125..250 ms apart.
    assert medium[2] == (medium[2][0],) * 2
    assert 125 <= medium[2][0] <= 250
    assert 2_500 <= high[3] <= 15_000
    assert 2_500 <= medium[3] <= 30_000
    assert low[3] > 15_000
    assert high[3] < medium[3] < low[3]
    for _, pulse_ms, gaps_ms, interval_ms, _ in (low, medium, high):
        assert pulse_ms * (len(gaps_ms) + 1) + sum(gaps_ms) < interval_ms


@pytest.mark.req("A05")
def test_the_lamps_keep_to_the_standard() -> None:
    none, low, medium, high = (row[4] for row in TONES)
    assert 1.4 <= 1000 / high <= 2.8
    assert 0.4 <= 1000 / medium <= 0.8
    assert (none, low) == (0, 0)  # steady


def test_a_quiet_pump_plays_nothing() -> None:
    assert TONES[faults.NONE][1:] == (0, (), 0, 0)
    bench = Bench()
    assert (bench.rig.hal.signal.priority, bench.rig.hal.signal.audible) == (0, False)


# -- alarm test ---------------------------------------------------------------------------------


@pytest.mark.req("A06")
def test_the_alarm_test_sounds_every_priority_and_is_logged() -> None:
    bench = Bench()
    told = listen(bench)
    bench.order("test_alarms")
    bench.run(60)
    assert [row[1:] for row in told] == [(3, True), (2, True), (1, True), (0, False)]
    for (begun_s, priority, _), (ended_s, _, _) in itertools.pairwise(told):
        _, pulse_ms, gaps_ms, _, _ = TONES[priority]
        assert ended_s - begun_s >= (pulse_ms * (len(gaps_ms) + 1) + sum(gaps_ms)) / 1000
    assert [entry.detail for entry in bench.names("ALARM_TEST")] == ["high", "medium", "low"]
    assert bench.pump.alarms.present == 0


@pytest.mark.req("A06")
def test_the_alarm_test_leaves_delivery_and_other_alarms_alone() -> None:
    bench = Bench()
    raise_(bench, "LEVEL_SENSOR")
    bench.order("single_bolus", 10_000, 600)
    bench.run(60)
    bench.order("test_alarms")
    assert bench.mode == "BOLUS"
    bench.run(2)
    bench.order("test_alarms")  # begins anew
    bench.run(60)
    assert names_of(bench.pump.alarms.present) == {"LEVEL_SENSOR"}
    assert bench.rig.hal.signal.audible
    bench.run(600)
    assert bench.names("BOLUS_ENDED")[-1].detail == "complete 5000 nL delivered"


@pytest.mark.req("A06")
def test_the_alarm_test_is_no_alarm() -> None:
    """Nothing is raised, latched or to be acknowledged, and it bars no bolus."""
    bench = Bench()
    bench.run(3_600)
    raised = len(bench.names("ALARM_RAISED"))
    bench.order("test_alarms")
    assert bench.rig.hal.signal.priority == faults.HIGH
    assert bench.pump.alarms.present == 0
    assert bench.order("patient_bolus") == 0
    assert len(bench.names("ALARM_RAISED")) == raised


@pytest.mark.req("A01", "A06")
def test_a_real_alarm_of_that_priority_is_heard_instead_of_the_test() -> None:
    bench = Bench()
    told = listen(bench)
    raise_(bench, "SUPPLY_LOW")
    bench.order("acknowledge", 0)
    bench.order("test_alarms")
    bench.run(7)
    raise_(bench, "OVER_DELIVERY")
    bench.run(60)
    assert [row[1:] for row in told] == [(2, True), (3, True), (2, True), (3, True)]


@pytest.mark.req("A04", "A06")
def test_a_pause_does_not_silence_the_test_and_outlives_it() -> None:
    bench = Bench()
    raise_(bench, "SUPPLY_LOW")
    bench.order("pause_audio", 120)
    told = listen(bench)
    bench.order("test_alarms")
    bench.run(60)
    assert [row[1:] for row in told] == [(3, True), (2, True), (1, True), (2, False)]


@pytest.mark.req("A06")
def test_an_alarm_test_does_not_outlive_a_power_loss() -> None:
    bench = Bench()
    bench.order("test_alarms")
    bench.rig.power_down()
    bench.run(1)
    bench.rig.power_up(1)
    bench.run(3)
    assert not names_of(bench.pump.alarms.present) & {name for name in NAMES if "TEST_" in name}
