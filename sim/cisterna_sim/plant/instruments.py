"""The rig's sensors, each tied to the truth that it measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from . import sensors
from .config import PlantConfig


class Truth(Protocol):
    """What the sensors measure: the plant."""

    @property
    def now_us(self) -> int: ...
    @property
    def pressure_pa(self) -> float: ...
    @property
    def level_nl(self) -> float: ...
    @property
    def rotor_steps(self) -> int: ...
    def supply_mv(self, at_us: int) -> float: ...


class Instruments:
    """Sensors ``pressure``, ``level``, ``supply`` and ``encoder``, read at the plant's present."""

    __slots__ = ("_plant", "encoder", "level", "pressure", "supply")

    def __init__(self, config: PlantConfig, plant: Truth) -> None:
        self._plant = plant
        self.pressure = sensors.pressure_sensor(config, plant.now_us)
        self.level = sensors.level_sensor(config)
        self.supply = sensors.supply_sensor(config)
        self.encoder = sensors.encoder(config)

    def read_pressure(self) -> int:
        """Raw line pressure."""
        return self.pressure.read(self._plant.pressure_pa, self._plant.now_us)

    def read_level(self) -> int:
        """Raw plunger position."""
        return self.level.read(self._plant.level_nl, self._plant.now_us)

    def read_supply(self) -> int:
        """Raw supply voltage."""
        now_us = self._plant.now_us
        return self.supply.read(self._plant.supply_mv(now_us), now_us)

    def read_position(self) -> int | None:
        """Screw position in microsteps as the encoder sees it; None if it is dead."""
        return self.encoder.read(self._plant.rotor_steps, self._plant.now_us)

    def read_angle(self) -> int | None:
        """The same as the encoder says it: 0..4095 of a turn; None if it is dead."""
        counts = self.encoder.counts(self._plant.rotor_steps, self._plant.now_us)
        return None if counts is None else counts % sensors.ENCODER_COUNTS

    def set_state(self, name: str, state: str) -> None:
        """Break or mend a sensor: ok, dead, open or stuck (an encoder has no open).

        ValueError if there is no such sensor or state; nothing changes then.
        """
        plant = self._plant
        now_us = plant.now_us
        actions: dict[str, Callable[[], None]] = {
            "pressure": lambda: self.pressure.set_state(state, plant.pressure_pa, now_us),
            "level": lambda: self.level.set_state(state, plant.level_nl, now_us),
            "supply": lambda: self.supply.set_state(state, plant.supply_mv(now_us), now_us),
            "encoder": lambda: self.encoder.set_state(state, plant.rotor_steps, now_us),
        }
        if name not in actions:
            raise ValueError(f"{name!r} is no sensor; one of {', '.join(actions)}")
        actions[name]()
