"""Integer units of the core, the conversions between them, and the check every input passes.

Volumes are in nL or pL, times in us, ms or s, doses in ng, rates in nL/day, pressures in Pa.
Dose and volume are tied by the concentration: 1 ug/mL is 1 pg/nL, so ng = nL * (ug/mL) / 1000.
Boards have 32-bit floats and a laptop has doubles; integers give the same result on both.
"""

from .compat import const

US_PER_S = const(1_000_000)
S_PER_DAY = const(86_400)
US_PER_HOUR = 3_600 * 1_000_000
US_PER_DAY = 86_400 * 1_000_000

# One nL/day held for one us is 1/86_400_000 pL: the unit in which programmed volume is exact.
UNITS_PER_PL = 86_400_000
UNITS_PER_NL = 86_400_000 * 1_000


class LimitError(ValueError):
    """A value was refused. The text names the thing, the value, the limit and what to do."""


def check_int(name: str, value: object, low: int, high: int, unit: str = "") -> int:
    """Return ``value`` if it is a whole number in ``low..high``; else raise LimitError.

    Booleans, floats (NaN among them) and strings are refused, not converted.
    """
    if type(value) is not int:
        wanted = f"give an integer {low}..{high} {unit}".rstrip()
        raise LimitError(f"{name} = {value!r} is not a whole number; {wanted}")
    if not low <= value <= high:
        given = f"{value} {unit}".rstrip()
        raise LimitError(f"{name} = {given} is outside {low}..{high}; give a value inside")
    return value


def rate_from_dose(dose_ng_per_day: int, concentration_ug_per_ml: int) -> int:
    """Rate in nL/day that gives a dose in ng/day, to the nearest nL/day (a half goes up)."""
    return (dose_ng_per_day * 1000 + concentration_ug_per_ml // 2) // concentration_ug_per_ml


def volume_from_dose(dose_ng: int, concentration_ug_per_ml: int) -> int:
    """Volume in nL that holds a dose in ng, to the nearest nL (a half goes up)."""
    return rate_from_dose(dose_ng, concentration_ug_per_ml)


def dose_from_volume(volume_nl: int, concentration_ug_per_ml: int) -> int:
    """Dose in ng held by a volume in nL, rounded down."""
    return volume_nl * concentration_ug_per_ml // 1000


def step_volume_pl(bore_um: int, lead_um: int, steps_per_turn: int, microsteps: int) -> int:
    """Volume of one microstep in pL for a syringe of that bore on a screw of that lead.

    pi is taken as 355/113 (8.5e-8 off). The default rig, 19.13 mm bore, 1 mm lead, 200 steps of
    16 microsteps, gives 89 819 pL.
    """
    numerator = 355 * bore_um * bore_um * lead_um
    denominator = 4 * 113 * steps_per_turn * microsteps * 1000
    return (numerator + denominator // 2) // denominator
