"""The account follows what moved: pulses on the line, less what the encoder shows to be lost."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.parts.motion import LOST_STEPS, MotionWitness
from cisterna_sim.plant import sensors
from host_tests.kit.bench import Bench, simple

STEP_NL = 89.819
# What an encoder count of 0.8 microstep, jitter of one and rounding can hide.
HIDDEN = LOST_STEPS + 2


class Shaft:
    """A rotor, its pulse counter and its encoder, with the noise of the plant's own."""

    def __init__(self, seed: int = 0) -> None:
        self.pulses = self.rotor = 0
        self.dead = False
        self._sensor = sensors.Encoder(turn_steps=3200, seed=seed)
        self._t_us = 0

    def count(self) -> int:
        return self.pulses

    def position(self) -> int | None:
        self._t_us += sensors.SAMPLE_US
        return None if self.dead else self._sensor.read(self.rotor, self._t_us)

    def step(self, pulses: int, lost: int = 0, direction: int = 1) -> None:
        self.pulses += pulses
        self.rotor += direction * (pulses - lost)


@pytest.mark.req("R02")
@given(seed=st.integers(0, 1000), bursts=st.lists(st.integers(0, 16), max_size=60))
def test_motion_that_follows_is_counted_to_the_step_whatever_the_encoder_jitters(seed, bursts):
    shaft = Shaft(seed)
    witness = MotionWitness(shaft, shaft)
    for burst in bursts:
        shaft.step(burst)
        assert witness.look() == burst
    assert (witness.stalled, witness.runaway, witness.lost_steps) == (False, False, 0)


@pytest.mark.req("R02")
@given(
    seed=st.integers(0, 1000),
    bursts=st.lists(st.tuples(st.integers(0, 16), st.integers(0, 16)), max_size=80),
)
def test_the_count_follows_the_rotor_and_not_the_pulses(seed, bursts):
    """(pulses, of which lost) in each burst; a second look confirms what the first suspects."""
    shaft = Shaft(seed)
    witness = MotionWitness(shaft, shaft)
    counted = most = 0
    for pulses, lost in bursts:
        shaft.step(pulses, min(pulses, lost))
        counted += witness.look()
        counted += witness.look()
        most = max(most, shaft.rotor)
        # What was counted is never taken back, so the count may wait for the rotor.
        assert -HIDDEN <= counted - shaft.rotor <= HIDDEN + 16
        assert abs(witness.lost_steps - (shaft.pulses - shaft.rotor)) <= HIDDEN
    for _ in range(4):
        shaft.step(16)
        counted += witness.look()
    assert abs(counted - shaft.rotor) <= HIDDEN


@pytest.mark.req("R02")
def test_without_an_encoder_every_pulse_counts_commanded_or_not():
    shaft = Shaft()
    witness = MotionWitness(shaft, None)
    draw = random.Random(1)
    counted = 0
    for _ in range(1000):
        shaft.step(draw.randrange(17))
        counted += witness.look()
    assert counted == shaft.pulses == witness.pulses


@pytest.mark.req("R02")
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 16)), max_size=60))
def test_a_dead_encoder_is_named_and_pulses_count_meanwhile(looks):
    shaft = Shaft()
    witness = MotionWitness(shaft, shaft)
    counted = 0
    for dead, burst in looks:
        shaft.dead = dead
        shaft.step(burst)
        counted += witness.look()
        assert witness.dead == dead
    assert counted == shaft.rotor
    assert not witness.stalled


def test_motion_without_pulses_is_a_runaway():
    shaft = Shaft()
    witness = MotionWitness(shaft, shaft)
    shaft.rotor += 5
    witness.look()
    assert witness.look() >= 4
    assert witness.runaway
    assert not witness.stalled


def test_a_back_off_is_counted_backwards_and_is_no_stall():
    shaft = Shaft()
    witness = MotionWitness(shaft, shaft)
    shaft.step(40)
    assert witness.look() == 40
    for _ in range(5):
        shaft.step(16, direction=-1)
        assert witness.look_back() == 16
    shaft.step(40)
    assert witness.look() == 40
    assert witness.look() == 0
    assert not witness.stalled
    assert not witness.runaway


def _true_nl(bench: Bench) -> float:
    return bench.plant.rotor_steps * STEP_NL


@pytest.mark.req("R02")
def test_missed_steps_show_in_the_account_although_the_program_runs_on():
    bench = Bench(dose_ug_per_day=900)
    bench.run(3600)
    bench.plant.stall(True)
    bench.run(2 * 3600)
    programmed_nl = bench.rig.programmed_nl
    assert programmed_nl == pytest.approx(3 * 450_000 / 24, abs=STEP_NL)
    assert bench.plant.pulses * STEP_NL == pytest.approx(programmed_nl, abs=2 * STEP_NL)
    counted_nl = bench.pump.ledger.settled_nl
    assert counted_nl == pytest.approx(450_000 / 24, abs=HIDDEN * STEP_NL)
    assert counted_nl == pytest.approx(_true_nl(bench), abs=HIDDEN * STEP_NL)
    assert bench.pump.ledger.remaining_nl == 18_000_000 - counted_nl


@pytest.mark.req("R02")
@pytest.mark.parametrize("probability", [0.02, 0.3, 0.9])
def test_steps_lost_at_random_show_in_the_account(probability):
    bench = Bench(dose_ug_per_day=900)
    bench.plant.lose_steps(probability)
    bench.run(6 * 3600)
    assert bench.plant.rotor_steps < bench.plant.pulses * (1 - probability / 2)
    assert bench.pump.ledger.settled_nl == pytest.approx(_true_nl(bench), abs=HIDDEN * STEP_NL)


@pytest.mark.req("R02")
@pytest.mark.parametrize("encoder", [True, False])
def test_pulses_that_nobody_commanded_show_in_the_account(encoder):
    """Two of them are within what counter and command may differ by; they count all the same."""
    bench = Bench(encoder=encoder)
    bench.run(3600)
    for _ in range(2):
        bench.plant.step(1)
    bench.run(3600)
    assert bench.plant.rotor_steps * STEP_NL > bench.rig.programmed_nl + STEP_NL
    # The step of the last tick is counted by the next.
    assert bench.pump.ledger.settled_nl == pytest.approx(_true_nl(bench), abs=STEP_NL + 1)


@pytest.mark.req("R02")
def test_a_flood_of_pulses_shows_in_the_account_to_the_last():
    bench = Bench()
    bench.run(3600)
    bench.plant.extra_pulses(3600 * 5)
    bench.rig.attend(30)
    bench.run(30)
    bench.plant.extra_pulses(0)
    bench.run(60)
    assert bench.present("RUNAWAY")
    assert bench.pump.ledger.settled_nl == pytest.approx(_true_nl(bench), abs=2 * STEP_NL)


@pytest.mark.parametrize("full_rate", [False, True])
def test_an_encoder_that_sticks_cannot_hide_what_flows_from_the_level(full_rate):
    """It looks like a stall; the level falls all the same, and 0.25 mL below the account stops."""
    bench = Bench(
        program=simple(1_000_000, 100), concentration_ug_per_ml=100, fill_ml=18.0,
        limits={"max_daily_dose_ng": 5_000_000}, full_rate=full_rate,
    )  # fmt: skip
    bench.run(600)
    bench.plant.instruments.set_state("encoder", "stuck")
    bench.run_until(lambda: bench.present("FREE_FLOW"), 3600, 10)
    assert bench.present("MOTOR_STALL")
    assert bench.mode == "HALTED"
    assert bench.pump.ledger.settled_nl - _true_nl(bench) < -150_000
