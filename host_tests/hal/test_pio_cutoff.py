"""The hardware cut of the motor's current, cycle by cycle, and that no legal move meets it."""

from collections import deque
from itertools import pairwise
from typing import Any

import pytest
from pioemu import State, emulate  # type: ignore[import-untyped]

from cisterna import occlusion_response
from cisterna.parts.program import continuous
from cisterna_sim.pio.board import PioBoard
from cisterna_sim.pio.stepper import PioRig, SimPioStepper
from cisterna_sim.rig_board import default_calibration
from host_tests.kit import bench as bench_module
from host_tests.kit.bench import Bench

STEP, DIRECTION, ENABLE, COUNT = 2, 3, 4, 5
CUT_SM = 5
CYCLES_PER_US = 125
MOVE_US, PAUSE_US = 3_000_000, 150_000
# A turn of the program is 120 ns; it may see an edge a turn late, and a pause ends with a turn.
TURNS_US = 1


class Rig:
    """A board whose motor is on; keeps (us, level) of ENABLE from then on."""

    def __init__(self, pause_us: int = PAUSE_US) -> None:
        self.board = PioBoard(((STEP, COUNT),))
        self.pause_us = pause_us
        self.cutoff: Any = self.board.cutoff.PioCutoff(CUT_SM, ENABLE, COUNT, pause_us)
        self.stepper: Any = self.board.hal.PioStepper(0, STEP, DIRECTION, self.cutoff)
        self.edges: list[tuple[int, int]] = []
        self.board.pins.hooks.append(self._edge)
        self.stepper.enable(True)
        self.wait_us(10)
        assert self.edges.pop()[1] == 0

    def _edge(self, pin: int, level: int, cycle: int) -> None:
        if pin == ENABLE:
            self.edges.append((cycle // CYCLES_PER_US, level))

    @property
    def now_us(self) -> int:
        return self.board.pio.cycle // CYCLES_PER_US

    @property
    def on(self) -> bool:
        return not self.board.pins.level(ENABLE)

    def wait_us(self, us: int) -> None:
        self.board.pio.run_until(self.board.pio.cycle + us * CYCLES_PER_US)

    def pulse(self, us: int = 2) -> None:
        """A pulse on the count pin, as the step program makes one."""
        self.board.pins.drive(COUNT, 1, self.board.pio.cycle)
        self.wait_us(us)
        self.board.pins.drive(COUNT, 0, self.board.pio.cycle)

    def pulses(self, interval_us: int, until_us: int) -> None:
        while self.now_us < until_us:
            self.pulse()
            self.wait_us(interval_us - 2)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_both_programs_of_the_count_pin_fit_into_one_pio() -> None:
    board = PioBoard()
    programs = (board.hal.EDGES, board.cutoff.CUTOFF)
    assert sum(len(program.words) for program in programs) <= 32
    assert not board.cutoff.CUTOFF.side_optional


@pytest.mark.req("F12")
@pytest.mark.parametrize("interval_us", [500, 5_000, 20_000, 149_000])
def test_a_move_of_3_s_is_cut_and_stays_cut(rig: Rig, interval_us: int) -> None:
    begun_us = rig.now_us
    rig.pulses(interval_us, begun_us + 10_000_000)
    ((cut_us, level),) = rig.edges
    assert level == 1
    assert abs(cut_us - begun_us - MOVE_US) <= TURNS_US


@pytest.mark.req("F12")
def test_a_processor_that_feeds_tokens_for_ever_is_cut(rig: Rig) -> None:
    """Burst after burst, switching on again and again; only off and on arms it anew."""
    begun_us = rig.now_us
    while rig.now_us < begun_us + 4_000_000:
        rig.stepper.enable(True)
        if not rig.stepper.busy():
            rig.stepper.burst(16, 5_000)
        rig.wait_us(1_000)
    ((cut_us, level),) = rig.edges
    assert level == 1
    assert 0 <= cut_us - begun_us - MOVE_US <= 100
    rig.board.pio.machines[CUT_SM].tx.extend((1_000_000, 1_000_000))
    rig.board.pio.machines[CUT_SM].wake(rig.board.pio.cycle)
    rig.wait_us(1_000)
    assert not rig.on
    rig.stepper.abort()
    rig.stepper.enable(False)
    rig.wait_us(10_000_000)
    assert not rig.on
    rig.stepper.enable(True)
    rig.wait_us(10)
    assert rig.on
    rig.pulses(5_000, rig.now_us + 2_900_000)
    assert rig.on


@pytest.mark.parametrize("pause_us", [150_000, 15_157])
def test_a_pause_ends_a_move_and_a_shorter_one_does_not(pause_us: int) -> None:
    for gap_us, lives in ((pause_us + 2 * TURNS_US, True), (pause_us - 2 * TURNS_US, False)):
        rig = Rig(pause_us)
        for _ in range(4):
            begun_us = rig.now_us
            rig.pulses(pause_us // 3, begun_us + MOVE_US - 2 * pause_us)
            rig.pulse()
            rig.wait_us(gap_us)
        assert rig.on is lives


def test_a_move_may_last_all_but_a_pause(rig: Rig) -> None:
    """The time goes on in the pause, so what stops earlier than that is never cut."""
    for _ in range(3):
        rig.pulses(1_000, rig.now_us + MOVE_US - PAUSE_US - 1_000)
        rig.wait_us(PAUSE_US + 1_000)
    assert rig.on


def test_a_line_that_stays_high_is_a_move(rig: Rig) -> None:
    board = rig.board
    machine = board.pio.machines[CUT_SM]
    board.pins.drive(COUNT, 1, board.pio.cycle)
    rig.wait_us(1)
    machine.x = 1_000
    rig.wait_us(119)
    assert rig.on
    rig.wait_us(2)
    assert not rig.on


def test_off_is_at_once_and_from_the_start(rig: Rig) -> None:
    rig.stepper.burst(16, 5_000)
    rig.wait_us(7_000)
    rig.stepper.enable(False)
    assert not rig.on
    rig.wait_us(100_000)
    assert [level for _, level in rig.edges] == [1]
    rig.stepper.enable(True)
    rig.wait_us(10)
    rig.board.pio.machines[CUT_SM].enable(False, rig.board.pio.cycle)
    assert rig.on, "a soft reset leaves the level as it was"
    rig.edges.clear()
    cutoff = rig.board.cutoff.PioCutoff(CUT_SM, ENABLE, COUNT, PAUSE_US)
    rig.wait_us(1_000)
    assert [level for _, level in rig.edges] == [1]
    cutoff.enable(False)
    cutoff.enable(True)
    rig.wait_us(10)
    assert [level for _, level in rig.edges] == [1, 0]


def test_off_comes_before_what_can_fail() -> None:
    board = PioBoard(system_hz=133_000_000)
    with pytest.raises(ValueError, match="is no multiple"):
        board.cutoff.PioCutoff(CUT_SM, ENABLE, COUNT, PAUSE_US)
    assert board.pins.level(ENABLE) == 1


def theirs(program: Any, token: tuple[int, int], highs: list[tuple[int, int]], cycles: int) -> int:
    """The cycle in which rp2040-pio-emulator cuts, or -1; the pin is high in ``highs``."""

    def level(cycle: int) -> int:
        return int(any(begin <= cycle < end for begin, end in highs))

    for _, after in emulate(
        list(program.words),
        stop_when=lambda _, now: now.clock >= cycles,
        initial_state=State(transmit_fifo=deque(token), pin_directions=1 << ENABLE),
        input_source=level,
        side_set_base=ENABLE,
        side_set_count=1,
        jmp_pin=0,
        wrap_target=program.wrap_target,
        wrap_top=program.wrap_top,
    ):
        if after.clock > 10 and after.pin_values >> ENABLE & 1:
            return int(after.clock)
    return -1


@pytest.mark.parametrize("gap", [5, 20, 118, 119, 120, 121, 122, 123, 124, 125, 126, 130, 200])
def test_independent_emulator_cuts_in_the_same_cycle(gap: int) -> None:
    """A move of 300 turns and a pause of 40, with pulses of 50 cycles and ``gap`` between them."""
    board = PioBoard()
    board.cutoff.PioCutoff(CUT_SM, ENABLE, COUNT, PAUSE_US)
    machine = board.pio.machines[CUT_SM]
    highs = [(50 + n * (50 + gap), 100 + n * (50 + gap)) for n in range(40)]
    found: list[int] = []
    start = board.pio.cycle
    board.pins.hooks.append(
        lambda pin, level, cycle: found.append((cycle - start) // 5) if pin == ENABLE else None
    )
    machine.tx.extend((300, 40))
    machine.enable(True, start)
    for begin, end in highs:
        for at, level in ((begin, 1), (end, 0)):
            board.pio.run_until(start + 5 * at)
            board.pins.drive(COUNT, level, start + 5 * at)
    board.pio.run_until(start + 5 * 5_000)
    ours = found[1] if len(found) > 1 else -1
    independent = theirs(board.cutoff.CUTOFF, (300, 40), highs, 5_000)
    assert (ours < 0) == (independent < 0)
    assert abs(ours - independent) <= 1


def test_the_pause_is_shorter_than_a_step_at_the_highest_rate() -> None:
    pause_us = PioBoard().cutoff.pause_us
    assert pause_us(default_calibration().step_pl) == PAUSE_US
    for step_pl in (300, 5_614, 40_000, 55_000, 89_819, 500_000):
        period_us = step_pl * 86_400 * 1_000_000 // (24_000_000 * 1_000)
        assert pause_us(step_pl) <= period_us * 3 // 4 + 1


# -- legal moves, by the pump itself --------------------------------------------------------------


class FineStepper(SimPioStepper):
    """Of a board with 256 microsteps."""

    step_pl = 89_819 // 16


class FineRig(PioRig):
    stepper_type = FineStepper


def delivering(monkeypatch: pytest.MonkeyPatch, rig_type: type[PioRig], **given: Any) -> Bench:
    """A pump at the highest rate, 24 mL/day, on the board's own programs."""
    monkeypatch.setattr(bench_module, "Rig", rig_type)
    limits = {"max_daily_dose_ng": 2_000_000}
    program = continuous(50, 1_200_000)
    made = Bench(program=program, concentration_ug_per_ml=50, limits=limits, **given)
    made.run(5)
    assert is_on(made)
    return made


def board_of(bench: Bench) -> PioBoard:
    """What the pump's motor hangs on."""
    stepper: Any = bench.rig.hal.stepper
    board: PioBoard = stepper._board
    return board


def is_on(bench: Bench) -> bool:
    """Whether the motor has current."""
    return not board_of(bench).pins.level(ENABLE)


@pytest.mark.req("F12")
def test_the_highest_rate_is_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = delivering(monkeypatch, PioRig)
    pulses = bench.plant.pulses
    bench.run(3_600)
    assert abs(bench.plant.pulses - pulses - 3_600 / 0.323348) < 2
    assert is_on(bench)


@pytest.mark.req("F12")
def test_the_highest_rate_of_a_fine_step_is_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step each 20 ms, in bursts that follow each other without a seam. The encoder's counts are
    12 such steps, too coarse for the pump to judge them by."""
    calibration = default_calibration(step_pl=89_819 // 16)
    bench = delivering(
        monkeypatch, FineRig, calibration=calibration, microsteps=256, encoder=False
    )
    pulses = bench.plant.pulses
    bench.run(60)
    assert bench.plant.pulses - pulses > 2_900
    assert is_on(bench)


@pytest.mark.req("F12")
@pytest.mark.parametrize(("every_us", "cut"), [(250_000, False), (100_000, True)])
def test_drawing_back_rests_enough_between_bursts(
    monkeypatch: pytest.MonkeyPatch, every_us: int, cut: bool
) -> None:
    """More than 100 uL; bursts 100 ms apart, of which 75 ms are motion, would be cut."""
    monkeypatch.setattr(occlusion_response, "_BURST_EVERY_US", every_us)
    bench = delivering(monkeypatch, PioRig, compliance_ul_per_kpa=10.0)
    bench.plant.occlude(1.0)
    bench.run_until(lambda: bench.mode == "BACKOFF", 7_200, 0.01)
    bench.run_until(lambda: bench.mode != "BACKOFF" or not is_on(bench), 60, 0.01)
    assert (bench.mode == "BACKOFF") is cut
    if not cut:
        assert bench.pump.ledger.reversed * 89.819 > 100_000


@pytest.mark.req("F12")
def test_catching_up_is_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that is held up for 1 to 10 s, over and over, at the highest rate."""
    bench = delivering(monkeypatch, PioRig)
    rises: list[int] = []
    board_of(bench).pins.hooks.append(
        lambda pin, level, cycle: rises.append(cycle) if pin == STEP and level else None
    )
    for held_s in (1, 2, 4, 6, 10, 1, 2, 3):
        bench.rig._due_us = bench.plant.now_us + held_s * 1_000_000
        bench.run(held_s + 1)
    gaps = [later - earlier for earlier, later in pairwise(rises)]
    assert gaps.count(5_000 * CYCLES_PER_US) > 50
    assert is_on(bench)


@pytest.mark.req("F12", "F03")
def test_a_cut_motor_shows_as_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulses are counted and nothing turns: an alarm after 3 steps, and the cut does not end."""
    bench = delivering(monkeypatch, PioRig)
    machine = board_of(bench).pio.machines[CUT_SM]
    machine.x = 1
    bench.run_until(lambda: not is_on(bench), 1, 0.01)
    pulses = bench.plant.pulses
    bench.run_until(lambda: bench.present("MOTOR_STALL"), 10, 0.1)
    assert 3 <= bench.plant.pulses - pulses <= 6
    bench.run(60)
    assert not is_on(bench)
    bench.order("stop")
    bench.order("start")
    bench.run(1)
    assert is_on(bench)
