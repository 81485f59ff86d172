"""The step and count programs, cycle by cycle: their words run in our interpreter and in another.

A cycle of the step program is 0.2 us, so "exact" means no cycle too many or too few.
"""

import random
from collections import deque
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from pioemu import State, emulate  # type: ignore[import-untyped]

from cisterna_sim.pio.board import PioBoard

STEP, DIRECTION, ENABLE, COUNT = 2, 3, 4, 5
PAUSE_US = 150_000
SYSTEM_CYCLES = 25  # of the 125 MHz clock in a cycle of the step program
CYCLES_PER_US = 5
RATES_US = {"1 Hz": 1_000_000, "100 Hz": 10_000, "10 kHz": 100, "100 kHz": 10, "250 kHz": 4}
COUNTS = (1, 16, 800, 4095)


class Bench:
    """A board with STEP wired to the counter's pin; notes every edge of STEP as it comes."""

    def __init__(self, call_cycles: int = 250, wires: tuple[tuple[int, int], ...] = ()) -> None:
        self.board = PioBoard(wires or ((STEP, COUNT),), call_cycles)
        self.rises: list[int] = []
        self.falls: list[int] = []
        self.board.pins.hooks.append(self._edge)
        self.hal: Any = self.board.hal
        self.cutoff: Any = self.board.cutoff.PioCutoff(5, ENABLE, COUNT, PAUSE_US)
        self.stepper = self.hal.PioStepper(0, STEP, DIRECTION, self.cutoff)
        self.counter = self.hal.PioCounter(4, COUNT)

    def _edge(self, pin: int, level: int, cycle: int) -> None:
        if pin == STEP:
            (self.rises if level else self.falls).append(cycle)

    def run(self, cycles: int) -> None:
        """Let system clock cycles pass."""
        self.board.pio.run_until(self.board.pio.cycle + cycles)

    def run_us(self, us: int) -> None:
        self.run(us * CYCLES_PER_US * SYSTEM_CYCLES)

    def put(self, *words: int) -> None:
        """Put words into the step program's FIFO past the firmware."""
        machine = self.board.pio.machines[0]
        machine.tx.extend(words)
        machine.wake(self.board.pio.cycle)


def spacings(edges: list[int]) -> list[int]:
    return [later - earlier for earlier, later in pairwise(edges)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_words_are_those_of_micropythons_own_assembler() -> None:
    """As ports/rp2/modules/rp2.py of MicroPython 1.25 assembles them; rung 3 asks a board."""
    steps, edges = PioBoard().hal.STEPS, PioBoard().hal.EDGES
    assert " ".join(f"{word:04x}" for word in steps.words) == (
        "80a0 604c 80a0 006a a327 1986 006a a0c2 8000 0247 a0c3 8020 0000"
    )
    assert (steps.wrap_target, steps.wrap_top, steps.side_optional) == (4, 9, False)
    assert " ".join(f"{word:04x}" for word in edges.words) == "2020 20a0 0040"
    assert (edges.wrap_target, edges.wrap_top) == (0, 2)


def test_both_programs_fit_into_one_pio_and_jump_within_themselves() -> None:
    hal = PioBoard().hal
    programs = (hal.STEPS, hal.EDGES)
    assert sum(len(program.words) for program in programs) <= 32
    for program in programs:
        jumps = [word & 31 for word in program.words if not word >> 13]
        assert max(jumps) < len(program.words)


@pytest.mark.parametrize("interval_us", RATES_US.values(), ids=RATES_US)
@pytest.mark.parametrize("count", COUNTS)
def test_period_is_exact_to_the_cycle(bench: Bench, interval_us: int, count: int) -> None:
    bench.stepper.burst(count, interval_us)
    bench.run_us(count * interval_us + 100)
    period = interval_us * CYCLES_PER_US * SYSTEM_CYCLES
    assert spacings(bench.rises) == [period] * (count - 1)
    assert len(bench.rises) == len(bench.falls) == bench.stepper.emitted() == count
    assert bench.counter.count() == count
    assert not bench.stepper.busy()


@pytest.mark.parametrize("interval_us", range(4, 40))
def test_period_is_exact_while_the_burst_is_asked_how_far_it_is(interval_us: int) -> None:
    bench = Bench(call_cycles=interval_us * 7)
    bench.stepper.burst(100, interval_us)
    while bench.stepper.busy():
        assert bench.stepper.emitted() <= len(bench.rises)
        bench.counter.count()
    assert set(spacings(bench.rises)) == {interval_us * CYCLES_PER_US * SYSTEM_CYCLES}
    assert bench.counter.count() == 100


def test_a_pulse_is_high_for_2_us(bench: Bench) -> None:
    bench.stepper.burst(16, 4)
    bench.run_us(100)
    widths = [fall - rise for rise, fall in zip(bench.rises, bench.falls, strict=True)]
    assert set(widths) == {2 * CYCLES_PER_US * SYSTEM_CYCLES}


def emulated(program: Any, state: State, cycles: int) -> tuple[list[int], State]:
    """What rp2040-pio-emulator makes of the step program: rising edges, by cycle, and the end."""
    rises = []
    for before, after in emulate(
        list(program.words),
        stop_when=lambda _, now: now.clock >= cycles,
        initial_state=state,
        side_set_base=STEP,
        side_set_count=1,
        wrap_target=program.wrap_target,
        wrap_top=program.wrap_top,
    ):
        if after.pin_values & ~before.pin_values & 1 << STEP:
            rises.append(before.clock)
        state = after
    return rises, state


@pytest.mark.parametrize(
    ("count", "interval_us"), [(0, 4), (1, 4), (16, 4), (800, 4), (800, 10), (16, 100)]
)
def test_independent_emulator_sees_the_same_edges(
    bench: Bench, count: int, interval_us: int
) -> None:
    tokens = (count, interval_us - bench.hal.MIN_INTERVAL_US)
    cycles = count * interval_us * CYCLES_PER_US + 100
    theirs, _ = emulated(bench.hal.STEPS, State(transmit_fifo=deque(tokens)), cycles)
    start = bench.board.pio.cycle
    bench.put(*tokens)
    bench.run_us(count * interval_us + 100)
    ours = [(cycle - start) // SYSTEM_CYCLES for cycle in bench.rises]
    assert spacings(ours) == spacings(theirs) == [interval_us * CYCLES_PER_US] * max(0, count - 1)
    assert len(ours) == len(theirs) == count


@pytest.mark.parametrize("interval_us", [10_000, 1_000_000], ids=["100 Hz", "1 Hz"])
def test_independent_emulator_agrees_on_long_periods(interval_us: int) -> None:
    """It takes 50 us an instruction, so most turns of the loop that counts X down are cut out.

    The turn before the cut shows that one takes five cycles and changes nothing else.
    """
    hal = PioBoard().hal
    word = interval_us - hal.MIN_INTERVAL_US
    start, state = emulated(hal.STEPS, State(transmit_fifo=deque((2, word))), 1_000)
    turn = emulated(hal.STEPS, state, state.clock + 5)[1]
    assert turn == replace(state, clock=state.clock + 5, x_register=state.x_register - 1)
    cut = turn.x_register - 20
    late = replace(turn, x_register=20, clock=turn.clock + 5 * cut)
    end, _ = emulated(hal.STEPS, late, late.clock + 500)
    assert spacings(start + end) == [interval_us * CYCLES_PER_US]


def test_no_token_no_pulse(bench: Bench) -> None:
    bench.run_us(10_000_000)
    assert bench.rises == []


@pytest.mark.parametrize("word", [0, 1 << 12, 0xFFFF_F000])
def test_a_count_of_zero_emits_nothing_and_the_next_burst_comes(bench: Bench, word: int) -> None:
    bench.put(word, 0)
    bench.run_us(10_000)
    assert bench.rises == []
    bench.board.pio.machines[0].rx.clear()
    bench.stepper.burst(3, 10)
    bench.run_us(100)
    assert len(bench.rises) == 3


def test_no_word_makes_it_faster_than_the_least_interval(bench: Bench) -> None:
    chance = random.Random(1)
    machine = bench.board.pio.machines[0]
    for _ in range(2_000):
        while len(machine.tx) < 4:
            bench.put(chance.choice((0, 1, 2, 5, chance.getrandbits(32))))
            bench.put(chance.choice((0, 1, 2, chance.getrandbits(6))))
        machine.rx.clear()
        machine.wake(bench.board.pio.cycle)
        bench.run(chance.randrange(2_000))
    least = bench.hal.MIN_INTERVAL_US * CYCLES_PER_US * SYSTEM_CYCLES
    assert len(bench.rises) > 1_000
    assert min(spacings(bench.rises)) == least
    machine.enable(False, bench.board.pio.cycle)
    assert bench.counter.count() == len(bench.rises)


@pytest.mark.req("D11")
def test_a_processor_that_hangs_delivers_the_rest_of_one_burst_at_most(bench: Bench) -> None:
    bench.stepper.burst(16, 5_000)
    with pytest.raises(RuntimeError, match="while a burst runs"):
        bench.stepper.burst(16, 5_000)
    bench.run_us(60_000_000)
    assert len(bench.rises) == 16


def test_no_count_makes_a_burst_longer_than_its_limit(bench: Bench) -> None:
    bench.put(0xFFFF_FFFF, 0)
    bench.run_us(1_000_000)
    assert len(bench.rises) == bench.hal.MAX_STEPS


@pytest.mark.parametrize(
    ("steps", "interval_us"),
    [(0, 1000), (4096, 1000), (-4096, 1000), (1, 3), (1, 0), (1, -1), (1, 1 << 30)],
)
def test_a_burst_out_of_range_is_refused_and_nothing_moves(
    bench: Bench, steps: int, interval_us: int
) -> None:
    with pytest.raises(ValueError, match="give"):
        bench.stepper.burst(steps, interval_us)
    bench.run_us(1_000_000)
    assert bench.rises == []
    assert bench.stepper.emitted() == 0


def test_direction_is_set_1_us_before_the_first_edge_and_kept(bench: Bench) -> None:
    changes: list[tuple[int, int]] = []
    bench.board.pins.hooks.append(
        lambda pin, level, cycle: changes.append((cycle, level)) if pin == DIRECTION else None
    )
    for steps in (-16, -3, 5):
        bench.stepper.burst(steps, 20)
        bench.run_us(400)
    assert [level for _, level in changes] == [1, 0]
    firsts = (bench.rises[0], bench.rises[19])
    for (changed, _), first in zip(changes, firsts, strict=True):
        assert first - changed >= 125
    assert bench.rises[18] < changes[1][0]
    assert bench.stepper.emitted() == 24


def test_the_program_alone_leaves_direction_1_us_to_settle(bench: Bench) -> None:
    put = bench.board.pio.cycle
    bench.put(1, 0)
    bench.run_us(10)
    assert bench.rises[0] - put >= 8 * SYSTEM_CYCLES


def test_enable_is_low_on_and_off_from_the_start(bench: Bench) -> None:
    pins = bench.board.pins
    assert pins.level(ENABLE) == 1
    bench.stepper.enable(True)
    bench.run_us(1)
    assert pins.level(ENABLE) == 0
    bench.stepper.enable(False)
    assert pins.level(ENABLE) == 1


@pytest.mark.req("D09")
def test_abort_at_any_cycle_ends_it_and_the_count_is_true() -> None:
    chance = random.Random(2)
    total = 0
    bench = Bench()
    for _ in range(1_000):
        bench.board.call_cycles = chance.choice((4, 125, 250, 999))
        count, interval_us = chance.randint(1, 40), chance.choice((4, 5, 10, 100))
        bench.stepper.burst(count, interval_us)
        bench.run(chance.randrange(count * interval_us * 125 + 500))
        bench.stepper.abort()
        seen = len(bench.rises)
        assert not bench.board.pins.level(STEP)
        assert bench.stepper.emitted() == seen
        assert total <= seen <= total + count
        assert not bench.stepper.busy()
        bench.run_us(chance.choice((1, 100, 10_000)))
        assert len(bench.rises) == seen
        assert bench.counter.count() == seen
        total = seen


def test_abort_drops_a_token_that_had_not_begun(bench: Bench) -> None:
    bench.board.call_cycles = 0
    bench.stepper.burst(16, 1_000)
    bench.board.call_cycles = 1
    bench.stepper.abort()
    bench.run_us(100_000)
    assert bench.rises == []
    assert bench.stepper.emitted() == 0
    bench.stepper.burst(2, 10)
    bench.run_us(100)
    assert len(bench.rises) == bench.stepper.emitted() == 2


@pytest.mark.parametrize("us", [0, 1, 30, 500, 1_000])
def test_a_soft_reset_finds_everything_safe(bench: Bench, us: int) -> None:
    """It stops the state machines where they are, and leaves pins as they were."""
    bench.stepper.enable(True)
    bench.stepper.burst(-16, 50)
    bench.run_us(us)
    bench.board.pio.machines[0].enable(False, bench.board.pio.cycle)
    seen = len(bench.rises)
    cutoff = bench.board.cutoff.PioCutoff(5, ENABLE, COUNT, PAUSE_US)
    stepper = bench.hal.PioStepper(0, STEP, DIRECTION, cutoff)
    pins = bench.board.pins
    assert (pins.level(STEP), pins.level(DIRECTION), pins.level(ENABLE)) == (0, 0, 1)
    bench.run_us(10_000)
    assert len(bench.rises) == seen
    assert (stepper.emitted(), stepper.busy()) == (0, False)
    stepper.burst(5, 50)
    bench.run_us(1_000)
    assert len(bench.rises) == seen + 5


def test_a_dead_program_is_told_and_never_waited_for(bench: Bench) -> None:
    bench.stepper.burst(16, 1_000)
    bench.run_us(100)
    for machine in bench.board.pio.machines:
        machine.enable(False, bench.board.pio.cycle)
    with pytest.raises(RuntimeError, match="no answer"):
        bench.stepper.emitted()
    bench.board.pio.machines[4].execute = lambda word, cycle: None  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="no answer"):
        bench.counter.count()


@pytest.mark.parametrize("system_hz", [133_000_000, 48_000_000])
def test_a_system_clock_without_an_integer_divider_is_refused(system_hz: int) -> None:
    board = PioBoard(system_hz=system_hz)
    with pytest.raises(ValueError, match="is no multiple of 5000000 Hz"):
        board.hal.PioStepper(0, STEP, DIRECTION, None)


@pytest.mark.req("D12")
def test_the_counter_sees_what_the_stepper_did_not_emit(bench: Bench) -> None:
    bench.stepper.burst(10, 10)
    bench.run_us(200)
    for _ in range(4):
        bench.board.pins.drive(COUNT, 1, bench.board.pio.cycle)
        bench.run_us(1)
        bench.board.pins.drive(COUNT, 0, bench.board.pio.cycle)
        bench.run_us(1)
    assert (bench.stepper.emitted(), bench.counter.count()) == (10, 14)


@pytest.mark.parametrize("half", [10, 13, 25], ids=lambda half: f"{half * 8} ns")
def test_the_counter_follows_5_million_pulses_a_second_while_it_is_read(half: int) -> None:
    """Half of 200 ns, in cycles of 8 ns, is 12.5; the shortest pulse it sees is 80 ns wide."""
    bench = Bench()
    pins, pio = bench.board.pins, bench.board.pio
    low = max(half, 25 - half)
    bench.run(25)
    bench.board.call_cycles = 0
    for number in range(1, 2_000):
        pins.drive(COUNT, 1, pio.cycle)
        bench.run(half)
        pins.drive(COUNT, 0, pio.cycle)
        bench.run(low)
        if number % 7 == 0:
            bench.counter._sm.exec(bench.hal.MOV_ISR_NOT_X)
        elif number % 7 == 3:
            bench.counter._sm.exec(bench.hal.PUSH_NOBLOCK)
            bench.board.pio.machines[4].rx.clear()
    bench.board.call_cycles = 250
    bench.run(100)
    assert bench.counter.count() == 1_999


def test_the_counter_starts_at_zero_whatever_the_pin_was() -> None:
    bench = Bench()
    bench.board.pins.drive(COUNT, 1, bench.board.pio.cycle)
    counter = bench.hal.PioCounter(4, COUNT)
    bench.run_us(10)
    assert counter.count() == 0
    bench.board.pins.drive(COUNT, 0, bench.board.pio.cycle)
    bench.stepper.burst(7, 10)
    bench.run_us(100)
    assert counter.count() == 7
