"""The simulated board: the core's ports on the plant's pins."""

import math
from collections.abc import Callable

from cisterna_sim.plant import Plant
from cisterna_sim.store import DictStore

NEVER = math.inf


class SimStepper:
    """Turns bursts into single pulses at their own times; ``next_us`` is when the next is due."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._left = 0
        self._direction = 1
        self._interval_us = 0
        self._emitted = 0
        self.next_us: float = NEVER

    def burst(self, steps: int, interval_us: int) -> None:
        """Emit the first pulse now, the others ``interval_us`` apart."""
        if self._left or not steps:
            raise RuntimeError(f"burst of {steps} with {self._left} steps still to emit")
        self._direction = 1 if steps > 0 else -1
        self._left = abs(steps)
        self._interval_us = interval_us
        self.pulse()

    def pulse(self) -> None:
        """Emit the pulse that is due."""
        self._plant.step(self._direction)
        self._emitted += 1
        self._left -= 1
        self.next_us = self._plant.now_us + self._interval_us if self._left else NEVER

    def abort(self) -> None:
        """Drop what is left of the burst."""
        self._left = 0
        self.next_us = NEVER

    def emitted(self) -> int:
        """Pulses since the board booted."""
        return self._emitted

    def busy(self) -> bool:
        """True while a burst runs."""
        return self._left > 0

    def enable(self, on: bool) -> None:
        """Energise the motor or not."""
        self._plant.enable(on)


class _Counter:
    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._origin = plant.pulses

    def count(self) -> int:
        return self._plant.pulses - self._origin


class _Reading:
    def __init__(self, read: Callable[[], int]) -> None:
        self.read = read


class _Encoder:
    def __init__(self, read: Callable[[], "int | None"]) -> None:
        self.position = read


class SimButton:
    """The button; ``held`` until true time ``until_us``."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self.until_us: float = -NEVER

    def pressed(self) -> bool:
        """True while it is held."""
        return self._plant.now_us < self.until_us


class SimSignal:
    """Remembers what buzzer and lamps were last told."""

    def __init__(self) -> None:
        self.priority = 0
        self.audible = False

    def show(self, priority: int, audible: bool) -> None:
        """Take up a pattern."""
        self.priority = priority
        self.audible = audible


class SimHal:
    """All ports of one boot of the board; the store and the button outlive it."""

    def __init__(
        self,
        plant: Plant,
        store: DictStore,
        button: SimButton,
        encoder: bool,
        level: bool,
        stepper_type: type[SimStepper] = SimStepper,
    ) -> None:
        instruments = plant.instruments
        self.stepper = stepper_type(plant)
        self.counter = _Counter(plant)
        self.encoder = _Encoder(instruments.read_position) if encoder else None
        self.pressure = _Reading(instruments.read_pressure)
        self.level = _Reading(instruments.read_level) if level else None
        self.supply = _Reading(instruments.read_supply)
        self.button = button
        self.signal = SimSignal()
        self.store = store
