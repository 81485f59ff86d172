"""Power supply and motor driver: what decides whether the rotor follows a pulse."""

import math
import random

from .checks import in_range
from .config import PlantConfig


class Drive:
    """``follows`` is true while driver and motor would turn the rotor, torque apart.

    The driver starts disabled, as its pull-up holds it, and a power loss disables it again.
    The rotor stays where it is meanwhile: screw friction exceeds detent torque (choice).
    """

    __slots__ = ("_dip_mv", "_draw", "_driver_min_mv", "_enabled", "_loss", "_nominal_mv",
                 "_powered", "_stalled", "dip_end_us", "follows")  # fmt: skip

    def __init__(self, config: PlantConfig) -> None:
        self._powered, self._enabled, self._stalled = True, False, False
        self._nominal_mv = self._dip_mv = config.supply_mv
        self._driver_min_mv = config.driver_min_mv
        self._loss = 0.0
        self._draw = random.Random(f"lost steps {config.seed}").random
        self.dip_end_us = math.inf
        self.follows = False

    def supply_mv(self, t_us: int) -> float:
        """True supply voltage at ``t_us``, now or later, as far as it is known now."""
        if not self._powered:
            return 0.0
        return self._dip_mv if t_us < self.dip_end_us else self._nominal_mv

    def power(self, on: bool) -> None:
        """Switch the supply."""
        self._powered = on
        self._enabled = self._enabled and on
        self._note()

    def enable(self, on: bool) -> None:
        """Let the driver energise the motor, or not."""
        self._enabled = on and self._powered
        self._note()

    def stall(self, on: bool) -> None:
        """Block the rotor, or free it."""
        self._stalled = on
        self._note()

    def lose_steps(self, probability: float) -> None:
        """Let each pulse be missed with that probability; 0 ends it."""
        self._loss = in_range("probability", probability, 0.0, 1.0)

    def dip(self, supply_mv: float, end_us: float) -> None:
        """Hold the supply at another voltage until ``end_us``."""
        self._dip_mv = in_range("supply_mv", supply_mv, 0.0)
        self.dip_end_us = end_us
        self._note()

    def end_dip(self) -> None:
        """Bring the supply back to its nominal voltage."""
        self._dip_mv, self.dip_end_us = self._nominal_mv, math.inf
        self._note()

    def misses(self) -> bool:
        """Draw whether the motor misses this pulse."""
        return self._loss > 0.0 and self._draw() < self._loss

    def _note(self) -> None:
        drives = self._enabled and self._powered and self._dip_mv >= self._driver_min_mv
        self.follows = drives and not self._stalled
