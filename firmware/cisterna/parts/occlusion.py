"""Find a blocked line by three witnesses; each finds blockages that the others find late or never.

Absolute
    Line pressure is at or above the limit. This is certain but slow: at 0.2 mL/day a blocked line
    of 1 uL/kPa takes more than eight hours to reach the limit, one of 10 uL/kPa takes days.
Trend
    Every volume pushed into a blocked line raises its pressure by volume / compliance; in an open
    line the pressure stays within the swing of posture, check valve, drift and noise. So a floor
    follows the pressure down at once and up by a quarter of what a blocked line would show. The
    line is blocked when the pressure is above the floor by more than ``rise_pa`` at 3 looks in a
    row. Looks before which nothing moved, such as those for an order, do not count. As the floor
    never passes the pressure, an open line whose pressure swings by less than ``rise_pa`` can
    never raise a false alarm, however long it runs; a blocked one raises it after
    rise_pa * compliance * 4/3 of volume.
Missing motion
    If the rotor does not follow its pulses while the pressure is at half the limit or above, the
    line is blocked; at a lower pressure the motor is stalled.
"""

from ..base.compat import TYPE_CHECKING, const

if TYPE_CHECKING:
    from ..base.settings import Calibration, Limits

CONFIRM_LOOKS = const(3)
CLEAR_US = const(15_000_000)
RESTART_WINDOW_US = const(600_000_000)
REPEATS = const(3)

ABSOLUTE = const(1)
TREND = const(2)
MOTION = const(3)
WITNESS_NAMES = ("none", "absolute", "trend", "motion")


class OcclusionWatch:
    """The watch over one line. Pressures in Pa, gauge; volumes in steps."""

    def __init__(self, limits: "Limits", calibration: "Calibration") -> None:
        self.limit_pa = limits.occlusion_pa
        self.half_pa = limits.occlusion_pa >> 1
        self._rise_mpa = limits.rise_pa * 1000
        # mPa by which one step lifts the floor: a quarter of step_pl / compliance.
        self._lift_mpa = calibration.step_pl * 250_000 // calibration.compliance_nl_per_kpa
        self._lift_mpa //= 1000
        self._compliance_nl_per_kpa = calibration.compliance_nl_per_kpa
        self._floor_mpa = 0
        self._base_pa = 0  # pressure when the floor last met it: the line was free
        self._started = False
        self._above = 0
        self._low_since_us = -1
        self._trips: "list[int]" = []
        self._restarts = limits.restarts
        self._restarted: "list[int]" = []

    def remember(self, former: "OcclusionWatch") -> None:
        """Copy the detections and restarts of the watch that the limits before had."""
        self._trips, self._restarted = former._trips, former._restarted

    def reset(self) -> None:
        """Start the trend again: the line was relieved, or delivery begins."""
        self._started = False
        self._base_pa = 0
        self._above = 0
        self._low_since_us = -1

    def look(self, pressure_pa: int, moved_steps: int, stalled: bool) -> int:
        """Judge a reading, ``moved_steps`` after the last; return the witness that trips, or 0."""
        if pressure_pa >= self.limit_pa:
            return ABSOLUTE
        if stalled and pressure_pa >= self.half_pa:
            return MOTION
        pressure_mpa = pressure_pa * 1000
        floor_mpa = self._floor_mpa + moved_steps * self._lift_mpa
        if pressure_mpa < floor_mpa or not self._started:
            self._started = True
            floor_mpa = pressure_mpa
            self._base_pa = pressure_pa
        self._floor_mpa = floor_mpa
        if pressure_mpa - floor_mpa <= self._rise_mpa:
            self._above = 0
        elif moved_steps:
            self._above += 1
        return TREND if self._above >= CONFIRM_LOOKS else 0

    def stored_nl(self, pressure_pa: int) -> int:
        """Volume in nL that the line stores above the pressure at which it was last free."""
        return max(0, pressure_pa - self.free_pa) * self._compliance_nl_per_kpa // 1000

    @property
    def free_pa(self) -> int:
        """Pressure at which the line was last free; drawing back ends there at the latest."""
        return max(0, self._base_pa)

    def trip(self, now_us: int) -> bool:
        """Note a detection; True if it is the third within ten minutes (F07)."""
        self._trips = [t for t in self._trips if now_us - t < RESTART_WINDOW_US]
        self._trips.append(now_us)
        self._low_since_us = -1
        return len(self._trips) >= REPEATS

    def may_restart(self, now_us: int) -> bool:
        """True if the limit allows one more restart within ten minutes (F06); it counts then."""
        self._restarted = [t for t in self._restarted if now_us - t < RESTART_WINDOW_US]
        if len(self._restarted) >= self._restarts:
            return False
        self._restarted.append(now_us)
        return True

    def forgive(self) -> None:
        """Forget the detections: an order of the service role."""
        self._trips = []

    def released(self, now_us: int, pressure_pa: int) -> bool:
        """True once the pressure has stayed below half the limit for 15 s of looks (F06)."""
        if pressure_pa >= self.half_pa:
            self._low_since_us = -1
            return False
        if self._low_since_us < 0:
            self._low_since_us = now_us
        return now_us - self._low_since_us >= CLEAR_US
