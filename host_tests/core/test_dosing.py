"""Steps follow the programmed integral to one quantum, and no window of time gives more.

Programmed volume is kept here as a whole number of nL/day times us, of which a quantum of
``step_pl`` holds step_pl * 86 400 000: exact. Windows are half-open on the clock's whole us.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cisterna.parts.dosing import CATCH_UP_INTERVAL_US, MAX_BURST_STEPS, NEVER_US, Dosing

S = 1_000_000
HOUR = 3_600 * S
DAY = 86_400 * S
UNITS_PER_PL = 86_400_000_000 // 1_000
# A burst's pulses are whole us apart, so its last may come this much early.
BURST_ROUNDING_US = MAX_BURST_STEPS - 1

RATES = st.integers(48_000, 24_000_000)
# From here up a quantum takes more than 125 ms at 24 mL/day, so no burst runs ahead.
COARSE_STEPS_PL = st.integers(34_723, 1_000_000) | st.just(89_819)
FINE_STEPS_PL = st.integers(1_000, 34_722)


class Motor:
    """A stepper that notes the time of each pulse; a burst while busy is an error."""

    def __init__(self) -> None:
        self.now_us = 0
        self.pulses_us: list[int] = []
        self.reversed = 0
        self.largest = 0
        self._waiting: list[int] = []
        self._direction = 1

    def advance(self, now_us: int) -> None:
        assert now_us >= self.now_us
        self.now_us = now_us
        while self._waiting and self._waiting[0] <= now_us:
            at_us = self._waiting.pop(0)
            if self._direction > 0:
                self.pulses_us.append(at_us)
            else:
                self.reversed += 1

    def burst(self, steps: int, interval_us: int) -> None:
        assert not self.busy(), "a burst while one runs"
        assert steps
        assert interval_us > 0
        self.largest = max(self.largest, abs(steps))
        self._direction = 1 if steps > 0 else -1
        self._waiting = [self.now_us + i * interval_us for i in range(abs(steps))]
        self.advance(self.now_us)

    def abort(self) -> None:
        self._waiting = []

    def emitted(self) -> int:
        return len(self.pulses_us) + self.reversed

    def busy(self) -> bool:
        return bool(self._waiting)

    def enable(self, on: bool) -> None:
        raise AssertionError("dosing does not switch the driver")


class Line:
    """Dosing on a motor, with its programme; every tick may come late."""

    def __init__(self, step_pl: int, start_us: int = 0) -> None:
        self.motor = Motor()
        self.motor.now_us = self.start_us = start_us
        self.dosing = Dosing(self.motor, step_pl)
        self.quantum = step_pl * UNITS_PER_PL
        self.changes: list[tuple[int, int]] = [(start_us, 0)]

    @property
    def now_us(self) -> int:
        return self.motor.now_us

    def set_rate(self, rate: int, priming: bool = False) -> None:
        self.changes.append((self.now_us, rate))
        self.dosing.set_rate(self.now_us, rate, priming)

    def halt(self) -> None:
        self.changes.append((self.now_us, 0))
        self.dosing.halt(self.now_us)

    def tick(self) -> int:
        steps = self.dosing.take(self.now_us)
        self.dosing.emit(steps)
        return steps

    def run(self, until_us: int, late: Callable[[], int] = lambda: 0) -> None:
        while True:
            due_us = max(self.dosing.due_us, self.now_us) + late()
            if due_us > until_us:
                break
            self.motor.advance(due_us)
            if not self.tick():  # the motor is busy; look again as the controller does
                if due_us == until_us:
                    break
                self.motor.advance(min(until_us, due_us + 10_000))
        self.motor.advance(until_us)

    def errors(self) -> list[tuple[int, int]]:
        """Delivered minus programmed, in units: (the us before a pulse, at the pulse); the end."""
        found = []
        changes = [*self.changes, (1 << 80, 0)]
        row, programmed = 0, 0

        def at(t_us: int) -> int:
            nonlocal row, programmed
            while changes[row + 1][0] <= t_us:
                programmed += (changes[row + 1][0] - changes[row][0]) * changes[row][1]
                row += 1
            return programmed + (t_us - changes[row][0]) * changes[row][1]

        for count, pulse_us in enumerate(self.motor.pulses_us):
            # Two pulses never share a us; the us before may lie in the row before.
            before = at(pulse_us - 1) if pulse_us > self.start_us else 0
            delivered = count * self.quantum
            found.append((delivered - before, delivered + self.quantum - at(pulse_us)))
        end = len(self.motor.pulses_us) * self.quantum - at(self.now_us)
        found.append((end, end))
        return found

    def check(self, early_units: int = 0) -> None:
        """D01 at every us and D02 over every window; ``early_units`` is what may come early."""
        lowest = 0
        for before, after in self.errors():
            assert before > -self.quantum, "more than a quantum behind"
            assert after <= early_units, "ahead of the programme"
            lowest = min(lowest, before)
            assert after - lowest <= self.quantum + early_units, "a window above its programme"


# -- D01, D02: the exact integral -----------------------------------------------------------------


@pytest.mark.req("D01", "D02")
@settings(max_examples=60)
@given(COARSE_STEPS_PL, st.lists(st.tuples(RATES | st.just(0), st.integers(1, 2_000)), max_size=8))
@example(89_819, [(24_000_000, 2_000), (48_000, 1), (23_999_999, 1), (48_001, 1)])
@example(34_723, [(24_000_000, 16), (48_000, 16)])
def test_any_rates_changed_at_any_time_are_delivered_to_one_quantum(step_pl, parts):
    line = Line(step_pl)
    for rate, tenths in parts:
        line.set_rate(rate)
        # Up to 200 quanta each, ended anywhere within a period.
        wait_us = tenths * line.quantum // (10 * rate) if rate else tenths * S
        line.run(line.now_us + wait_us)
    line.check()
    assert line.dosing.dropped_steps == 0
    assert line.motor.largest <= 1


@pytest.mark.req("D01", "D02")
@settings(max_examples=60)
@given(FINE_STEPS_PL, st.lists(st.tuples(RATES | st.just(0), st.integers(1, 2_000)), max_size=8))
@example(1_000, [(24_000_000, 55), (48_000, 30), (24_000_000, 55)])
def test_a_change_of_rate_in_a_burst_takes_back_what_the_old_rate_had_ahead(step_pl, parts):
    line = Line(step_pl)
    for rate, tenths in parts:
        line.set_rate(rate)
        wait_us = tenths * line.quantum // (10 * rate) if rate else tenths * S
        line.run(line.now_us + wait_us)
    line.check(early_units=BURST_ROUNDING_US * max([rate for rate, _ in parts], default=0))
    assert line.dosing.dropped_steps == 0


@pytest.mark.req("D01", "D02")
@settings(max_examples=5)
@given(st.integers(0, 1 << 32))
def test_180_days_of_random_rates_are_delivered_to_one_quantum(seed):
    random = Random(seed)
    line = Line(89_819)
    end_us = 180 * DAY
    while line.now_us < end_us:
        rate = random.choice((48_000, random.randint(48_000, 24_000_000)))
        span_us = random.randint(1, 2 * DAY)
        if rate > 48_000:
            span_us = min(span_us, 100 * line.quantum // rate)
        line.set_rate(rate)
        line.run(min(end_us, line.now_us + span_us))
    line.check()
    assert line.motor.pulses_us


@pytest.mark.req("D01")
def test_180_days_at_24_ml_a_day_end_on_the_exact_quantum():
    step_pl, rate = 999_983, 24_000_000  # a prime, so that no remainder ever comes out even
    line = Line(step_pl)
    line.set_rate(rate)
    dosing, quantum = line.dosing, line.quantum
    total = 180 * DAY * rate // quantum
    for count in range(1, total + 1):
        due_us = dosing.due_us
        if due_us != -(-count * quantum // rate):
            pytest.fail(f"step {count} is due at {due_us}")
        dosing.take(due_us)
    assert dosing.due_us > 180 * DAY
    assert dosing.dropped_steps == 0


@pytest.mark.req("D01")
@given(RATES, st.integers(1_000, 1_000_000), st.integers(0, 400 * DAY))
def test_a_steps_due_time_follows_from_the_rate_alone_wherever_the_clock_stands(
    rate, step_pl, start_us
):
    line = Line(step_pl, start_us)
    line.set_rate(rate)
    assert line.dosing.due_us == start_us + -(-line.quantum // rate)


@pytest.mark.req("D06")
def test_a_rate_of_zero_is_never_due_and_keeps_the_part_of_a_step_that_is_owed():
    line = Line(89_819)
    assert line.dosing.due_us == NEVER_US
    assert line.dosing.take(10**15) == 0
    line.set_rate(48_000)
    line.run(line.dosing.due_us - 1)
    line.set_rate(0)
    line.run(line.now_us + 400 * DAY)
    assert line.dosing.due_us == NEVER_US
    assert line.motor.pulses_us == []
    line.set_rate(48_000)
    assert line.dosing.due_us == line.now_us + 1


def test_a_segment_of_no_pulses_moves_nothing():
    line = Line(89_819)
    line.dosing.emit(0)
    assert not line.motor.busy()
    assert line.motor.emitted() == 0


# -- late ticks -----------------------------------------------------------------------------------


@pytest.mark.req("D02")
@pytest.mark.parametrize(
    ("late_periods", "given_", "dropped"),
    [
        (0, 1, 0),
        (1, 2, 0),
        (14.5, 15, 0),
        (15, 16, 0),
        (15.9, 16, 0),
        (16, 16, 1),
        (1000.5, 16, 985),
    ],
)
def test_a_late_tick_catches_up_by_16_quanta_at_most_and_drops_the_rest(
    late_periods, given_, dropped
):
    line = Line(89_819)
    line.set_rate(1_000_000)
    line.motor.advance(line.dosing.due_us + int(late_periods * line.quantum) // 1_000_000 + 1)
    assert line.tick() == given_
    assert line.dosing.dropped_steps == dropped
    assert line.dosing.due_us > line.now_us
    line.motor.advance(line.now_us + CATCH_UP_INTERVAL_US * 15)
    assert len(line.motor.pulses_us) == given_
    assert not line.motor.busy()


@pytest.mark.req("D02")
@settings(max_examples=60)
@given(
    st.integers(1_000, 200_000),
    st.lists(
        st.tuples(RATES, st.lists(st.integers(0, 40_000) | st.integers(0, 20 * S), max_size=12)),
        min_size=1,
        max_size=4,
    ),
)
@example(89_819, [(24_000_000, [323_350 * 3 - 100])])
@example(1_000, [(24_000_000, [10_000, 0, 0])])
def test_late_ticks_never_put_delivery_ahead_nor_one_burst_upon_another(step_pl, parts):
    line = Line(step_pl)
    for rate, delays in parts:
        line.set_rate(rate)
        for delay_us in delays:
            line.motor.advance(max(line.now_us, line.dosing.due_us) + delay_us)
            line.tick()
    line.run(line.now_us + 10 * S)
    early = BURST_ROUNDING_US * max(rate for rate, _ in parts)
    assert all(after <= early for _, after in line.errors())
    assert line.motor.largest <= MAX_BURST_STEPS


@given(RATES, st.lists(st.integers(0, 3 * S), min_size=1, max_size=20))
def test_lateness_does_not_add_up(rate, delays):
    """A step's time follows from the last due time, never from "now"."""
    line = Line(89_819)
    line.set_rate(rate)
    pending = iter(delays)
    line.run(60 * line.quantum // rate, lambda: next(pending, 0))
    line.run(line.now_us + 20 * line.quantum // rate)
    if not line.dosing.dropped_steps:
        count = len(line.motor.pulses_us)
        assert line.dosing.due_us == -(-(count + 1) * line.quantum // rate)


@pytest.mark.req("D02")
def test_steps_missed_before_a_stop_are_not_made_up_after_it():
    line = Line(89_819)
    line.set_rate(24_000_000)
    line.motor.advance(10 * S)  # no tick: 30 quanta fall due
    line.halt()
    line.run(line.now_us + HOUR)
    line.set_rate(24_000_000)
    assert line.dosing.due_us > line.now_us
    assert line.dosing.dropped_steps == 30
    begun = line.now_us
    line.run(begun + S)
    assert len(line.motor.pulses_us) <= 4  # 1 s of flow is 3.1 quanta


# -- bursts, priming, halt, back-off --------------------------------------------------------------


class PunctualDosing(RuleBasedStateMachine):
    """Rates, stops and restarts at any moment, in bursts and between them."""

    @initialize(step_pl=st.integers(1_000, 200_000))
    def begin(self, step_pl: int) -> None:
        self.line = Line(step_pl)
        self.highest = 0

    @rule(rate=RATES)
    def set_rate(self, rate: int) -> None:
        self.line.set_rate(rate)
        self.highest = max(self.highest, rate)

    @rule()
    def halt(self) -> None:
        count = self.line.motor.emitted()
        self.line.halt()
        self.line.run(self.line.now_us + HOUR)
        assert self.line.motor.emitted() == count

    @precondition(lambda self: self.line.dosing.rate_nl_per_day)
    @rule(quanta=st.integers(0, 40), part=st.integers(0, 999))
    def wait(self, quanta: int, part: int) -> None:
        rate = self.line.dosing.rate_nl_per_day
        thousandths = quanta * 1000 + part
        self.line.run(self.line.now_us + thousandths * self.line.quantum // (1000 * rate))

    @invariant()
    def follows(self) -> None:
        if hasattr(self, "line"):
            self.line.check(early_units=BURST_ROUNDING_US * self.highest)
            assert self.line.dosing.dropped_steps == 0
            assert self.line.motor.largest <= MAX_BURST_STEPS


TestPunctualDosing: Any = PunctualDosing.TestCase
TestPunctualDosing.settings = settings(max_examples=40, stateful_step_count=20)
TestPunctualDosing.pytestmark = [pytest.mark.req("D01", "D02", "D09")]


@settings(max_examples=30)
@given(st.integers(100_000_000, 15_000_000_000), st.integers(1_000, 200_000))
def test_priming_moves_at_most_250_ms_a_burst_and_keeps_its_rate(rate, step_pl):
    line = Line(step_pl)
    line.set_rate(rate, priming=True)
    period_us = line.quantum // rate
    line.run(S)
    most = max(1, 250_000 // max(1, period_us))
    assert line.motor.largest <= most
    if period_us:
        behind, early = -line.quantum, most * rate
        assert all(b > behind and a <= early for b, a in line.errors())


@pytest.mark.req("D09")
@pytest.mark.parametrize("after_us", [0, 1, 4_999, 5_000, 74_999])
def test_halt_in_a_burst_lets_no_further_pulse_out(after_us):
    line = Line(89_819)
    line.set_rate(24_000_000)
    line.motor.advance(20 * S)
    assert line.tick() == MAX_BURST_STEPS
    line.motor.advance(line.now_us + after_us)
    emitted = line.motor.emitted()
    line.halt()
    line.run(line.now_us + DAY)
    assert line.motor.emitted() == emitted == 1 + after_us // CATCH_UP_INTERVAL_US
    assert line.dosing.rate_nl_per_day == 0


@pytest.mark.req("D09")
def test_halt_in_a_back_off_ends_it_at_once_and_owes_nothing_for_it():
    line = Line(89_819)
    line.dosing.back_off(16)
    line.motor.advance(CATCH_UP_INTERVAL_US)
    line.halt()
    line.motor.advance(S)
    assert line.motor.reversed == 2
    line.set_rate(48_000)
    assert line.dosing.due_us == line.now_us + -(-line.quantum // 48_000)


@pytest.mark.parametrize("steps", [0, -1, -16, 17, 1 << 32])
def test_a_back_off_of_no_or_too_many_steps_is_refused(steps):
    line = Line(89_819)
    with pytest.raises(ValueError, match=f"back-off of {steps} steps .* 1..16"):
        line.dosing.back_off(steps)
    assert line.motor.emitted() == 0


def test_a_back_off_while_a_rate_is_set_is_refused():
    line = Line(89_819)
    line.set_rate(48_000)
    with pytest.raises(ValueError, match="at 48000 nL/day; stop first"):
        line.dosing.back_off(1)
    assert line.motor.emitted() == 0


@pytest.mark.parametrize("steps", [1, 16])
def test_a_back_off_reverses_by_exactly_its_steps_and_owes_nothing_for_it(steps):
    line = Line(89_819)
    line.dosing.back_off(steps)
    line.motor.advance(S)
    assert line.motor.reversed == steps
    line.set_rate(48_000)
    assert line.dosing.due_us == line.now_us + -(-line.quantum // 48_000)
