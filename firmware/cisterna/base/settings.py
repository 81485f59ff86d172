"""Limits and calibration: tables of fields, each with its range, default and unit.

A limit has a default. A figure of the calibration has none, since it is a fact of one rig: the
board file gives it, or is refused.
"""

import struct

from .compat import const
from .sealed import Sealed
from .units import LimitError, check_int

# R04: what the measured content may be wrong by; empty is above it.
TOLERANCE_NL = const(500_000)

# name, lowest, highest, default (None: it must be given), unit
LIMIT_FIELDS = (
    # Delivery range of an implantable pump, 0.048..24 mL/day (recall).
    ("min_rate_nl_per_day", 48_000, 24_000_000, 48_000, "nL/day"),
    ("max_rate_nl_per_day", 48_000, 24_000_000, 24_000_000, "nL/day"),
    # Hard cap of the rolling 24 h dose (choice); published maintenance doses reach 800 ug/day.
    ("max_daily_dose_ng", 1_000, 5_000_000, 1_000_000, "ng"),
    # Withdrawal was seen above 2 mL and did not recur with 4 mL (Neurosurgery 2004).
    ("low_nl", 2_000_000, 20_000_000, 4_000_000, "nL"),
    ("empty_nl", TOLERANCE_NL + 100_000, 2_000_000, 1_000_000, "nL"),
    # 69 kPa is 10 psi (choice).
    ("occlusion_pa", 20_000, 140_000, 69_000, "Pa"),
    # Above the swing of a free line: posture 3 kPa, valve 1 kPa, noise and drift 2 kPa (choice).
    ("rise_pa", 4_000, 40_000, 8_000, "Pa"),
    # Automatic restarts after an occlusion within 10 min (Alaris: 0..9).
    ("restarts", 0, 9, 0, ""),
    # Level below the account that counts as free flow (choice; above sensor error, below 0.5 mL).
    ("free_flow_nl", 100_000, 500_000, 250_000, "nL"),
    ("supply_low_mv", 3_000, 5_000, 4_400, "mV"),
)

CALIBRATION_FIELDS = (
    ("step_pl", 1_000, 1_000_000, None, "pL"),
    ("capacity_nl", 1_000_000, 50_000_000, None, "nL"),
    # What the line stores per kPa.
    ("compliance_nl_per_kpa", 50, 20_000, None, "nL/kPa"),
    ("pressure_zero_raw", 0, 60_000, None, "raw"),
    ("pressure_pa_per_256", 100, 10_000, None, "Pa"),
    ("level_zero_raw", 0, 60_000, None, "raw"),
    ("level_nl_per_16", 100, 100_000, None, "nL"),
    ("supply_raw_per_mv", 1, 20, None, "raw/mV"),
)


class Settings(Sealed):
    """Named integers, checked when made and sealed from then on."""

    FIELDS: "tuple[tuple[str, int, int, int | None, str], ...]" = ()

    def __init__(self, values: "dict[str, int] | None" = None) -> None:
        """Take ``values`` over the defaults; LimitError names one that is wrong or lacking."""
        given = dict(values) if values else {}
        for name, low, high, default, unit in self.FIELDS:
            value = given.pop(name, default)
            if value is None:
                raise LimitError(f"{name} is not given; give {low}..{high} {unit}")
            setattr(self, name, check_int(name, value, low, high, unit))
        if given:
            raise LimitError(
                f"unknown: {', '.join(sorted(given))}; "
                f"known: {', '.join(field[0] for field in self.FIELDS)}"
            )
        self.check()
        self.seal()

    def check(self) -> None:
        """Check what one field alone cannot tell; raise LimitError."""

    def pack(self) -> bytes:
        """The values in the order of the table, 32 bits each."""
        return struct.pack(
            "<%dI" % len(self.FIELDS), *[getattr(self, field[0]) for field in self.FIELDS]
        )

    @classmethod
    def unpack(cls, data: bytes) -> "Settings":
        """The settings that ``pack`` made; LimitError if they are not such."""
        if len(data) != 4 * len(cls.FIELDS):
            raise LimitError(f"{len(data)} bytes are no {cls.__name__}")
        values = struct.unpack("<%dI" % len(cls.FIELDS), data)
        return cls({cls.FIELDS[i][0]: values[i] for i in range(len(values))})


class Limits(Settings):
    """What no program, bolus or sensor may pass."""

    FIELDS = LIMIT_FIELDS

    min_rate_nl_per_day: int
    max_rate_nl_per_day: int
    max_daily_dose_ng: int
    low_nl: int
    empty_nl: int
    occlusion_pa: int
    rise_pa: int
    restarts: int
    free_flow_nl: int
    supply_low_mv: int

    def check(self) -> None:
        if self.low_nl <= self.empty_nl:
            raise LimitError(
                f"low_nl = {self.low_nl} nL is not above empty_nl = {self.empty_nl} nL; "
                "raise low_nl"
            )
        if self.min_rate_nl_per_day > self.max_rate_nl_per_day:
            raise LimitError(
                f"min_rate_nl_per_day = {self.min_rate_nl_per_day} is above "
                f"max_rate_nl_per_day = {self.max_rate_nl_per_day}"
            )


class Calibration(Settings):
    """What this rig's mechanics and sensors are; derived from its board file."""

    FIELDS = CALIBRATION_FIELDS

    step_pl: int
    capacity_nl: int
    compliance_nl_per_kpa: int
    pressure_zero_raw: int
    pressure_pa_per_256: int
    level_zero_raw: int
    level_nl_per_16: int
    supply_raw_per_mv: int

    def pressure_pa(self, raw: int) -> int:
        """Line pressure in Pa (gauge) of a raw reading."""
        return ((raw - self.pressure_zero_raw) * self.pressure_pa_per_256) >> 8

    def pressure_raw(self, pressure_pa: int) -> int:
        """Raw reading at a line pressure in Pa."""
        return self.pressure_zero_raw + (pressure_pa << 8) // self.pressure_pa_per_256

    def level_nl(self, raw: int) -> int:
        """Content in nL of a raw level reading."""
        return ((raw - self.level_zero_raw) * self.level_nl_per_16) >> 4

    def level_raw(self, volume_nl: int) -> int:
        """Raw level reading at a content in nL."""
        return self.level_zero_raw + (volume_nl << 4) // self.level_nl_per_16

    def steps_in(self, volume_nl: int) -> int:
        """Whole steps that move no more than ``volume_nl``."""
        return volume_nl * 1000 // self.step_pl

    def volume_nl(self, steps: int) -> int:
        """Volume in nL of that many steps, rounded down."""
        return steps * self.step_pl // 1000
