"""What one simulated rig is made of: every true property, its default and where it is from."""

import math
from dataclasses import dataclass, fields

from cisterna_boards.pico import MECHANICS, SENSORS

_UNBOUNDED = (-math.inf, math.inf)

# Least and greatest value of each number; outside, the equations lose their meaning.
_RANGES = {
    "bore_um": (1_000, 100_000),
    "bore_error_ppm": (-100_000.0, 100_000.0),
    "lead_um": (100, 20_000),
    "steps_per_turn": (1, 1_000),
    "microsteps": (1, 256),
    "pitch_error_um": (0.0, 100.0),
    "backlash_steps": (0, 10_000),
    "stiction_nl": (0.0, 100_000.0),
    "capacity_ml": (0.01, 100.0),
    "fill_ml": (0.0, 100.0),
    "concentration_ug_per_ml": (0.0, 1e6),
    "compliance_ul_per_kpa": (0.001, 1_000.0),
    "catheter_id_mm": (0.05, 5.0),
    "catheter_length_cm": (0.1, 1_000.0),
    "catheter_ml_per_cm": (1e-5, 1.0),
    "check_valve_kpa": (0.0, 50.0),
    "motor_max_kpa": (1.0, 10_000.0),
    "siphon_head_kpa": (0.1, 1_000.0),
    "oscillator_ppm": (-100_000.0, 100_000.0),
    "supply_mv": (0.0, 60_000.0),
    "driver_min_mv": (0.0, 60_000.0),
    "pressure_sigma_pa": (0.0, 1e6),
    "pressure_drift_limit_pa": (0.0, 1e6),
    "level_sigma_nl": (0.0, 1e7),
    "supply_sigma_mv": (0.0, 1e5),
}


@dataclass(frozen=True, slots=True)
class PlantConfig:
    """True properties of a rig; ValueError names a value that is not finite or out of range.

    What the default rig is built of is taken from its board file, so pump and plant agree unless a
    run makes them differ. Other figures: (recall) is general knowledge without a source at hand;
    (choice) is the project's own.
    """

    # Mechanism.
    bore_um: int = MECHANICS["bore_um"]
    """Nominal bore; the true one is ``bore_um * (1 + bore_error_ppm / 1e6)``."""
    bore_error_ppm: float = 0.0
    lead_um: int = MECHANICS["lead_um"]
    steps_per_turn: int = MECHANICS["steps_per_turn"]
    microsteps: int = MECHANICS["microsteps"]
    pitch_error_um: float = 1.0
    """Amplitude of the lead error, one period a turn (choice)."""
    backlash_steps: int = 8
    """Microsteps that a reversal loses: 2.5 um of play (choice)."""
    stiction_nl: float = 120.0
    """The plunger seal sticks and moves in slips of this volume: 0.42 um of travel (choice)."""

    # Content.
    capacity_ml: float = SENSORS["capacity_nl"] / 1e6
    fill_ml: float = 18.0
    concentration_ug_per_ml: float = 2_000.0
    catheter_ug_per_ml: float | None = None
    """What the catheter holds at the start; None: the same as the reservoir."""

    # Line and catheter.
    compliance_ul_per_kpa: float = SENSORS["compliance_nl_per_kpa"] / 1e3
    catheter_id_mm: float = 0.53
    """Inner diameter; 0.53 mm gives the 0.0022 mL/cm below (derived)."""
    catheter_length_cm: float = 90.0
    catheter_ml_per_cm: float = 0.0022
    check_valve_kpa: float = 1.0
    """Cracking pressure of the check valve between line and catheter (choice)."""
    motor_max_kpa: float = 250.0
    """Line pressure above which the motor's torque does not turn the screw forward (choice)."""
    siphon_head_kpa: float = 10.0
    """A free flow stops at this line pressure: about 1 m of water (choice)."""

    # Electronics.
    oscillator_ppm: float = 0.0
    """How much too fast the board's clock runs. Only stored here: the caller keeps the clocks."""
    supply_mv: float = 5_000.0
    driver_min_mv: float = 4_200.0
    """Below this supply the motor driver locks itself out (TMC2209, recall)."""

    # Sensors; all noise is Gaussian, cut at 4.5 sigma (choice, as are the figures).
    pressure_sigma_pa: float = 150.0
    pressure_offset_pa: float = 0.0
    pressure_drift_pa_per_day: float = 20.0
    pressure_drift_limit_pa: float = 1_500.0
    pressure_temperature_pa: float = 100.0
    """Amplitude of the pressure sensor's daily swing with temperature."""
    level_sigma_nl: float = 15_000.0
    supply_sigma_mv: float = 5.0

    # Circumstances.
    posture: bool = True
    """False keeps the spinal fluid at its pressure lying."""
    midnight_us: int = 0
    """True time of a local midnight; posture and temperature follow the hour."""
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None or isinstance(value, bool):
                continue
            low, high = _RANGES.get(field.name, _UNBOUNDED)
            if not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"{field.name} = {value} is not a number in {low}..{high}")
        if self.fill_ml > self.capacity_ml:
            raise ValueError(f"fill_ml = {self.fill_ml} exceeds capacity_ml = {self.capacity_ml}")

    @property
    def turn_steps(self) -> int:
        """Microsteps of one turn of the screw."""
        return self.steps_per_turn * self.microsteps

    @property
    def nominal_step_nl(self) -> float:
        """Volume of a microstep if nothing were in error."""
        return math.pi / 4 * self.bore_um**2 * self.lead_um / self.turn_steps * 1e-6

    @property
    def bore_area_ratio(self) -> float:
        """True area of the bore over the nominal one."""
        return (1 + self.bore_error_ppm * 1e-6) ** 2

    @property
    def catheter_nl(self) -> float:
        """Volume of the catheter."""
        return self.catheter_length_cm * self.catheter_ml_per_cm * 1e6
