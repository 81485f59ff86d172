"""The board's stepper, Python and PIO words, drives the plant as the counting one does."""

from typing import Any

import pytest

from cisterna_sim import scenario
from cisterna_sim.hal import SimStepper
from cisterna_sim.pio.stepper import PioRig, SimPioStepper
from cisterna_sim.plant import Plant, PlantConfig
from cisterna_sim.rig import Rig
from cisterna_sim.stage import Stage


class Tape:
    """Keeps what a run records."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.samples: list[Any] = []

    def event(self, *event: Any) -> None:
        self.events.append(event)

    def sample(self, row: Any) -> None:
        self.samples.append(row)

    def meta(self, **facts: Any) -> None:
        self.facts = facts


def run(name: str, rig_type: type[Rig]) -> Tape:
    tape = Tape()
    Stage(scenario.load(name), tape, rig_type=rig_type).run(lambda done: None)  # type: ignore[arg-type]
    return tape


@pytest.mark.parametrize("name", ["day", "slow-occlusion", "power-lost-in-bolus"])
def test_event_log_and_samples_are_the_same_with_the_pio_program(name: str) -> None:
    counting, pio = run(name, Rig), run(name, PioRig)
    assert len(pio.events) > 5
    assert pio.events == counting.events
    assert pio.samples == counting.samples


class Shaft:
    """A plant's drive: notes when it is stepped, and which way."""

    def __init__(self) -> None:
        self.plant = Plant(PlantConfig(), 0)
        self.steps: list[tuple[int, int]] = []
        self.on = True

    now_us = property(lambda self: self.plant.now_us)
    pulses = property(lambda self: len(self.steps))

    def step(self, direction: int) -> None:
        self.steps.append((self.now_us, direction))

    def enable(self, on: bool) -> None:
        self.on = on

    def advance(self, us: int) -> None:
        self.plant.advance(us)


def play(stepper_type: type[Any], bursts: list[tuple[int, int, int]]) -> Shaft:
    """Give bursts of (steps, interval, time until the abort), each ending with an abort."""
    shaft = Shaft()
    stepper = stepper_type(shaft)
    stepper.enable(True)
    for steps, interval_us, abort_us in bursts:
        begun_us = shaft.now_us
        stepper.burst(steps, interval_us)
        while stepper.next_us <= begun_us + abort_us:
            shaft.advance(int(stepper.next_us))
            stepper.pulse()
        shaft.advance(begun_us + abort_us)
        stepper.abort()
        assert not stepper.busy()
        assert stepper.emitted() == len(shaft.steps)
    return shaft


def test_every_step_comes_at_the_same_us() -> None:
    bursts = [(16, 5_000, 90_000), (-16, 5_000, 31_000), (800, 312, 260_000), (1, 4, 4)]
    bursts += [(50, interval_us, 40 * interval_us + 1) for interval_us in range(4, 60)]
    counting, pio = play(SimStepper, bursts), play(SimPioStepper, bursts)
    assert len(pio.steps) > 2_000
    assert pio.steps == counting.steps
    assert pio.on
