"""From motor steps to plunger travel: screw with periodic error, backlash, a seal that sticks."""

import math

from .config import PlantConfig


class Mechanism:
    """Rotor, lead screw, nut and plunger seal; hears only of steps that the rotor follows.

    The nut lags the rotor by up to the backlash. Its travel winds up an elastic store in the
    plunger until the seal slips; a slip moves the plunger by the stiction volume. So over any
    distance plunger travel plus what is still stored equals nut travel exactly.
    """

    __slots__ = ("_backlash", "_nut_steps", "_slack", "_stiction_nl", "_strain_nl", "_strokes_nl",
                 "_turn_steps", "rotor_steps")  # fmt: skip

    def __init__(self, config: PlantConfig) -> None:
        turn = config.turn_steps
        area_um2 = math.pi / 4 * config.bore_um**2 * config.bore_area_ratio
        error = config.pitch_error_um

        def position_um(step: int) -> float:
            return config.lead_um * step / turn + error * math.sin(2 * math.pi * step / turn)

        self.rotor_steps = 0
        self._turn_steps = turn
        self._strokes_nl = [
            area_um2 * (position_um(step + 1) - position_um(step)) * 1e-6 for step in range(turn)
        ]
        self._backlash = config.backlash_steps
        self._slack = config.backlash_steps  # the nut starts in contact forwards
        self._nut_steps = 0
        self._stiction_nl = config.stiction_nl
        self._strain_nl = 0.0

    def turn(self, direction: int) -> float:
        """Turn the rotor one microstep (+1 or -1); return the volume the plunger sweeps, in nL."""
        self.rotor_steps += direction
        nut = self._nut_steps
        if direction > 0:
            if self._slack < self._backlash:
                self._slack += 1
                return 0.0
            strain = self._strain_nl + self._strokes_nl[nut % self._turn_steps]
            self._nut_steps = nut + 1
        else:
            if self._slack > 0:
                self._slack -= 1
                return 0.0
            nut -= 1
            strain = self._strain_nl - self._strokes_nl[nut % self._turn_steps]
            self._nut_steps = nut
        slip = self._stiction_nl
        if -slip < strain < slip:
            self._strain_nl = strain
            return 0.0
        # fmod keeps the sign, so a slip never overshoots the nut in either direction.
        rest = math.fmod(strain, slip) if slip else 0.0
        self._strain_nl = rest
        return strain - rest

    def relax(self) -> None:
        """Let go of what the seal holds back, as a refill does."""
        self._strain_nl = 0.0
