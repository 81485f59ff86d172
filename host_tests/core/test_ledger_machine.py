"""fill = remaining + delivered + primed, whatever happens in whatever order."""

import contextlib
import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cisterna.base.units import LimitError
from cisterna.orders import Refused
from cisterna.parts.ledger import MAX_ALLOWANCE_STEPS, MIN_ALLOWANCE_STEPS, Ledger
from cisterna_sim.rig_board import default_calibration
from host_tests.kit.bench import ALL, Bench, simple

STEP_PL = 89_819


class Model:
    """The same account in plain pL, by adding up; ``out`` is what truly went out."""

    def __init__(self) -> None:
        self.fill = self.out = self.primed = self.open = self.open_back = 0

    def check(self, ledger: Ledger) -> None:
        delivered, primed = ledger.delivered_nl * 1000, ledger.primed_nl * 1000
        remaining = ledger.remaining_nl * 1000
        whole = remaining + delivered + primed + self.open
        assert abs(self.fill - whole) <= STEP_PL
        assert abs(delivered - (self.out - self.primed)) <= STEP_PL + self.open + self.open_back
        assert abs(primed - self.primed) <= STEP_PL
        assert remaining - STEP_PL <= self.fill - self.out
        assert ledger.most_remaining_nl * 1000 + STEP_PL >= self.fill - self.out


def _flow(ledger: Ledger, model: Model, draw: random.Random) -> None:
    steps = draw.randrange(17)
    if ledger.needs_allowance(steps):
        ledger.charge(steps, draw.choice((48_000, 600_000, 24_000_000)))
    ledger.count(steps)
    model.out += steps * STEP_PL
    if draw.randrange(20) == 0:
        ledger.primed += steps
        model.primed += steps * STEP_PL


def _draw_back(ledger: Ledger, model: Model, draw: random.Random) -> None:
    steps = draw.randrange(200)
    ledger.settle()
    ledger.charge_back(steps)
    steps = draw.randrange(steps + 1)
    ledger.count(0, steps)
    model.out -= steps * STEP_PL
    ledger.settle()


def _stop(ledger: Ledger, model: Model, draw: random.Random) -> None:
    ledger.settle()


def _refill(ledger: Ledger, model: Model, draw: random.Random) -> None:
    volume_nl = draw.randrange(-1, 25_000_000)
    try:
        ledger.refill(volume_nl, 2000)
    except LimitError:
        assert not 1 <= volume_nl <= 20_000_000
        return
    model.__init__()  # type: ignore[misc]
    model.fill = volume_nl * 1000


def _lose_power(ledger: Ledger, model: Model, draw: random.Random) -> None:
    """Power goes with part of an allowance, or of a back-off, emitted and not stored."""
    if draw.randrange(4) == 0:
        back = draw.randrange(100)
        ledger.settle()
        ledger.charge_back(back)
        stored = ledger.pack()
        model.out -= draw.randrange(back + 1) * STEP_PL
        model.open_back += back * STEP_PL
    else:
        ledger.charge(1, draw.choice((48_000, 600_000, 24_000_000)))
        stored = ledger.pack()
        allowance = ledger.charged - ledger.forward
        assert MIN_ALLOWANCE_STEPS <= allowance <= MAX_ALLOWANCE_STEPS
        model.out += draw.randrange(allowance + 1) * STEP_PL
        model.open += allowance * STEP_PL
    ledger.restore(stored)


OPERATIONS = (_flow,) * 900 + (_draw_back,) * 20 + (_stop,) * 60 + (_refill,) * 5 + (
    _lose_power,
) * 15  # fmt: skip


@pytest.mark.slow
@pytest.mark.req("R01")
def test_the_account_closes_to_a_quantum_over_a_million_operations():
    draw = random.Random("ledger")
    ledger, model = Ledger(default_calibration()), Model()
    for _ in range(1_000_000):
        draw.choice(OPERATIONS)(ledger, model, draw)
        model.check(ledger)


@pytest.mark.req("R07")
@pytest.mark.parametrize("rate", [0, 48_000, 150_000, 6_000_000, 24_000_000])
@pytest.mark.parametrize("step_pl", [STEP_PL, 10_000])
@pytest.mark.parametrize("steps", [1, 16])
def test_an_allowance_is_two_minutes_of_flow_within_16_and_512_steps(rate, step_pl, steps):
    ledger = Ledger(default_calibration(step_pl=step_pl))
    ledger.refill(18_000_000, 2000)
    ledger.count(1000)
    ledger.charge(steps, rate)
    allowance = ledger.charged - ledger.forward
    assert allowance == min(512, max(16, int(rate * 120 / 86_400 * 1000 / step_pl)))
    assert not ledger.needs_allowance(allowance)
    assert ledger.needs_allowance(allowance + 1)


class PumpMachine(RuleBasedStateMachine):
    """People and mishaps act on a whole pump; truth is the plant's rotor."""

    @initialize(rate=st.sampled_from([200, 2_000, 10_000]))
    def begin(self, rate: int) -> None:
        program = simple(rate * 100, 100, bolus_dose_ng=2_000, lockout_s=300)
        self.bench = Bench(
            program=program, concentration_ug_per_ml=100, fill_ml=15,
            limits={"max_daily_dose_ng": 5_000_000, "restarts": 9}, level=False,
        )  # fmt: skip
        self.origin = 0
        self.cuts = 0

    def _try(self, name: str, *arguments: object) -> None:
        with contextlib.suppress(Refused):
            self.bench.order(name, *arguments)

    @rule(seconds=st.integers(0, 4000))
    def time_passes(self, seconds: int) -> None:
        self.bench.run(seconds)

    @rule(name=st.sampled_from(["start", "stop", "suspend", "resume", "patient_bolus"]))
    def someone_orders(self, name: str) -> None:
        self._try(name)

    @rule()
    def someone_acknowledges(self) -> None:
        self.bench.order("acknowledge", ALL)
        self._try("resume")

    @rule(dose_ng=st.integers(500, 50_000), seconds=st.integers(60, 3600))
    def a_single_bolus_is_given(self, dose_ng: int, seconds: int) -> None:
        self._try("single_bolus", dose_ng, seconds)

    @rule(volume_nl=st.integers(10_000_000, 20_000_000))
    def it_is_refilled(self, volume_nl: int) -> None:
        plant = self.bench.plant
        plant.withdraw()
        plant.refill(volume_nl / 1e6, 100)
        self.bench.run(1)  # whatever was emitted belongs to the old filling
        self.origin, self.cuts = plant.rotor_steps, 0
        self.bench.order("refill", volume_nl, 100)

    @rule(seconds=st.integers(0, 600))
    def the_line_is_blocked_for_a_while(self, seconds: int) -> None:
        self.bench.plant.occlude(1.0)
        self.bench.run(seconds)
        self.bench.plant.release()

    @rule(after_ms=st.integers(0, 200_000))
    def power_is_lost(self, after_ms: int) -> None:
        self.bench.run(after_ms / 1000)
        self.bench.rig.power_down()
        self.bench.rig.power_up(1)
        self.cuts += 1

    @precondition(lambda self: hasattr(self, "bench"))
    @invariant()
    def the_account_closes_and_holds_the_truth(self) -> None:
        ledger, plant = self.bench.pump.ledger, self.bench.plant
        whole_nl = ledger.remaining_nl + ledger.delivered_nl + ledger.primed_nl
        assert (
            abs(ledger.fill_nl - whole_nl - ledger.unconfirmed_steps * STEP_PL / 1000)
            <= STEP_PL / 1000
        )
        true_nl = ledger.fill_nl - (plant.rotor_steps - self.origin) * STEP_PL / 1000
        # A burst that the last tick emitted is counted by the next; it is charged already.
        charged = max(ledger.charged, ledger.forward) - ledger.forward
        charged_back = max(ledger.charged_back, ledger.reversed) - ledger.reversed
        assert ledger.remaining_nl - (charged + 1) * STEP_PL / 1000 <= true_nl
        assert true_nl <= ledger.most_remaining_nl + (charged_back + 1) * STEP_PL / 1000
        assert ledger.unconfirmed_steps <= self.cuts * max(16, self.widest())

    def widest(self) -> float:
        return 24_000_000 * 120 / 86_400 * 1000 / STEP_PL


TestPumpMachine = PumpMachine.TestCase
TestPumpMachine.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestPumpMachine.pytestmark = [pytest.mark.req("R01", "R07")]  # type: ignore[attr-defined]
