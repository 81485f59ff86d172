"""A patient reduced to two linear compartments, so that a dose error can be seen as an effect.

**No clinical claim**: a teaching figure, not a prediction about anybody. Drug enters the spinal
fluid (volume V), is cleared from it, and the effect follows the concentration with a lag:

    c' = dose / V - (clearance / V) * c
    e' = k * (c - e)

Defaults V 65 mL, clearance 30 mL/h, k 0.1157 /h are the design's. After a stop the effect falls to
75 % at 4.5 h, 50 % at 8.4 h, 25 % at 14.5 h and 10 % at 22 h.
"""

import math

_US_PER_HOUR = 3_600_000_000


class Patient:
    """Effect in per cent of the steady effect of a reference daily dose.

    ``effect_percent`` is the effect at the time of the last ``advance``. Starts in the steady
    state of the reference dose, or without drug if ``steady`` is false. ValueError if a parameter
    is not above 0.
    """

    def __init__(
        self,
        reference_ng_per_day: float,
        t0_us: int,
        *,
        volume_ml: float = 65.0,
        clearance_ml_per_h: float = 30.0,
        effect_per_h: float = 0.1157,
        steady: bool = True,
    ) -> None:
        for name, value in (
            ("reference_ng_per_day", reference_ng_per_day),
            ("volume_ml", volume_ml),
            ("clearance_ml_per_h", clearance_ml_per_h),
            ("effect_per_h", effect_per_h),
        ):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} = {value} is not above 0")
        self._reference_ng_per_h = reference_ng_per_day / 24
        self._elimination_per_h = clearance_ml_per_h / volume_ml
        self._effect_per_h = effect_per_h
        self._now_us = t0_us
        self._given_ng = 0.0
        # Concentration and effect are kept as fractions of the reference's steady state.
        self._concentration = self._effect = 1.0 if steady else 0.0

    @property
    def effect_percent(self) -> float:
        """Present effect; below 50 is called under, above 150 over."""
        return 100.0 * self._effect

    def advance(self, t_us: int, given_ng: float) -> None:
        """Bring the patient to ``t_us``, by when ``given_ng`` has been given since the start.

        What was given since the last call is taken as a constant rate over that time.
        """
        hours = (t_us - self._now_us) / _US_PER_HOUR
        if hours <= 0:
            return
        steady = (given_ng - self._given_ng) / hours / self._reference_ng_per_h
        self._now_us, self._given_ng = t_us, given_ng
        fast, slow = self._elimination_per_h, self._effect_per_h
        surplus = self._concentration - steady
        faded, lagged = math.exp(-fast * hours), math.exp(-slow * hours)
        if abs(fast - slow) > 1e-6 * fast:
            crossed = slow * (faded - lagged) / (slow - fast)
        else:
            crossed = slow * hours * lagged
        self._concentration = steady + surplus * faded
        self._effect = steady + (self._effect - steady) * lagged + surplus * crossed
