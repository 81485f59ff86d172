"""The rig as one object: steps and faults go in, truth and sensor readings come out.

Time is true time in whole microseconds. The caller advances the plant, then acts on it at that
instant. Nothing is stepped through: between two acts or events the line's own solution holds.

Conservation, always: what was there at the start, plus refills, minus withdrawals, equals syringe
+ line + catheter + tip + leaked (``unaccounted_nl``).

Simplifications, each on purpose: syringe and line hold one well-mixed concentration, with no dead
volume between them; a catheter that is put back is full and holds no air.
"""

import math

from .catheter import Catheter
from .checks import in_range
from .config import PlantConfig
from .drive import Drive
from .instruments import Instruments
from .line import VACUUM_PA, Line
from .mechanism import Mechanism
from .posture import Posture

_NG_PER_NL = 1e-3  # 1 ug/mL
_US_PER_HOUR = 3_600_000_000


class Plant:
    """Ground truth of a simulated rig.

    For reading: ``now_us``; ``next_event_us``, the next moment at which something changes by
    itself (infinity if nothing will); ``pulses`` on the STEP line, followed or not; ``tip_nl`` and
    ``tip_ng`` out of the catheter tip into the spinal fluid; ``leaked_nl`` and ``leaked_ng``
    elsewhere; ``syringe_nl``; ``refilled_nl``, ``withdrawn_nl``; ``concentration_ng_per_nl`` in
    syringe and line; ``instruments``, the sensors.
    """

    __slots__ = ("_capacity_nl", "_catheter", "_drive", "_extra_period_us", "_extra_us",
                 "_initial_nl", "_last_direction", "_line", "_mechanism", "_posture", "_torque_nl",
                 "_vacuum_nl", "_volume_to_level", "concentration_ng_per_nl", "instruments",
                 "leaked_ng", "leaked_nl", "next_event_us", "now_us", "pulses", "refilled_nl",
                 "syringe_nl", "tip_ng", "tip_nl", "withdrawn_nl")  # fmt: skip

    def __init__(self, config: PlantConfig, t0_us: int) -> None:
        self.now_us = t0_us
        self._posture = Posture(config, t0_us)
        self._mechanism = Mechanism(config)
        self._drive = Drive(config)
        self._line = line = Line(config, self._posture.csf_pa)
        filled = config.concentration_ug_per_ml
        primed = config.catheter_ug_per_ml
        self.concentration_ng_per_nl = filled * _NG_PER_NL
        self._catheter = Catheter(
            config.catheter_nl, (filled if primed is None else primed) * _NG_PER_NL
        )
        self.syringe_nl = config.fill_ml * 1e6
        self._capacity_nl = config.capacity_ml * 1e6
        self._initial_nl = self.syringe_nl + line.stored_nl + self._catheter.volume_nl
        self._torque_nl = config.motor_max_kpa * 1e3 * line.compliance_nl_per_pa
        self._vacuum_nl = VACUUM_PA * line.compliance_nl_per_pa
        self._volume_to_level = 1.0 / config.bore_area_ratio
        self.tip_nl = self.tip_ng = self.leaked_nl = self.leaked_ng = 0.0
        self.refilled_nl = self.withdrawn_nl = 0.0
        self.pulses = 0
        self._last_direction = 1
        self._extra_period_us = 0
        self._extra_us = math.inf
        self._note_events()
        self.instruments = Instruments(config, self)

    @property
    def pressure_pa(self) -> float:
        """True line pressure, gauge."""
        return self._line.stored_nl / self._line.compliance_nl_per_pa

    @property
    def csf_pa(self) -> float:
        """Pressure of the spinal fluid at the tip."""
        return self._posture.csf_pa

    @property
    def rotor_steps(self) -> int:
        """Microsteps the rotor has really turned, net."""
        return self._mechanism.rotor_steps

    @property
    def level_nl(self) -> float:
        """Plunger position as volume of nominal bore: all that a level sensor can know."""
        return self.syringe_nl * self._volume_to_level

    @property
    def line_nl(self) -> float:
        """Volume stored in the line's compliance, relative to 0 Pa gauge."""
        return self._line.stored_nl

    @property
    def catheter_nl(self) -> float:
        """Volume of the catheter, always full."""
        return self._catheter.volume_nl

    @property
    def catheter_ng(self) -> float:
        """Drug inside the catheter."""
        return self._catheter.content_ng

    @property
    def unaccounted_nl(self) -> float:
        """Volume that appeared from nowhere (negative: vanished); 0 but for rounding."""
        there = self.syringe_nl + self._line.stored_nl + self._catheter.volume_nl
        gone = self.tip_nl + self.leaked_nl + self.withdrawn_nl
        return there + gone - self._initial_nl - self.refilled_nl

    def supply_mv(self, t_us: int) -> float:
        """True supply voltage at ``t_us``, now or later, as far as it is known now."""
        return self._drive.supply_mv(t_us)

    def advance(self, t_us: int) -> None:
        """Bring everything to ``t_us``, through every event up to then.

        ValueError if that lies in the past; nothing changes then.
        """
        if t_us < self.now_us:
            raise ValueError(f"t_us = {t_us} lies before now, {self.now_us}; time never goes back")
        while t_us >= self.next_event_us:
            self._flow(int(self.next_event_us))
            self._event()
        self._flow(t_us)

    def _flow(self, t_us: int) -> None:
        span_us = t_us - self.now_us
        if span_us == 0:
            return
        self.now_us = t_us
        tip, leaked, drawn = self._line.relax(span_us, self.syringe_nl)
        if tip:
            self.tip_nl += tip
            self.tip_ng += self._catheter.push(tip, self.concentration_ng_per_nl)
        if leaked:
            self.leaked_nl += leaked
            self.leaked_ng += leaked * self.concentration_ng_per_nl
        if drawn:
            self.syringe_nl -= drawn

    def _note_events(self) -> None:
        self.next_event_us = min(self._posture.next_us, self._drive.dip_end_us, self._extra_us)

    def _event(self) -> None:
        now = self.now_us
        if now >= self._posture.next_us:
            self._posture.change()
            self._line.set_csf(self._posture.csf_pa)
        if now >= self._drive.dip_end_us:
            self._drive.end_dip()
        if now >= self._extra_us:
            self._extra_us += self._extra_period_us
            self.step(self._last_direction)
        self._note_events()

    def step(self, direction: int) -> None:
        """One pulse on the STEP line now; +1 delivers, -1 draws back.

        The rotor does not follow when the driver is off, its supply too low, the motor stalled or
        losing steps, the line pressure beyond its torque, the plunger at either end of the
        syringe, or a draw below the vacuum the line can hold.
        """
        self.pulses += 1
        self._last_direction = direction
        drive, line = self._drive, self._line
        if not drive.follows or drive.misses():
            return
        syringe = self.syringe_nl
        if direction > 0:
            if syringe <= 0.0 or line.stored_nl >= self._torque_nl:
                return
        elif syringe >= self._capacity_nl or line.stored_nl <= self._vacuum_nl:
            return
        swept = self._mechanism.turn(direction)
        if swept:
            swept = min(swept, syringe)  # the last slip ends where the syringe does
            self.syringe_nl = syringe - swept
            line.stored_nl += swept

    def power(self, on: bool) -> None:
        """Switch the supply; off also disables the driver until it is enabled again."""
        self._drive.power(on)

    def enable(self, on: bool) -> None:
        """Enable or disable the motor driver; a plant starts with it disabled."""
        self._drive.enable(on)

    def refill(self, volume_ml: float, concentration_ug_per_ml: float) -> None:
        """Add drug to what the syringe holds. ValueError if it would overflow; nothing changes."""
        volume = in_range("volume_ml", volume_ml, 0.0) * 1e6
        concentration = in_range("concentration_ug_per_ml", concentration_ug_per_ml, 0.0)
        space = max(0.0, self._capacity_nl - self.syringe_nl)
        if volume > space + 1e-3:  # a caller's own rounding of "full" is no overflow
            raise ValueError(f"volume_ml = {volume_ml} exceeds the free {space * 1e-6:.6f} mL")
        held = max(0.0, self.syringe_nl + self._line.stored_nl)
        if volume:
            self.concentration_ng_per_nl = (
                held * self.concentration_ng_per_nl + volume * concentration * _NG_PER_NL
            ) / (held + volume)
        self.syringe_nl += volume
        self.refilled_nl += volume
        self._mechanism.relax()

    def withdraw(self) -> float:
        """Empty the syringe with a needle; return the volume withdrawn in nL."""
        volume = self.syringe_nl
        self.syringe_nl = 0.0
        self.withdrawn_nl += volume
        self._mechanism.relax()
        return volume

    # Faults

    def occlude(self, fraction: float) -> None:
        """Narrow the outlet: resistance / (1 - fraction); 1 is a total occlusion."""
        self._line.occlude(in_range("fraction", fraction, 0.0, 1.0))

    def release(self) -> None:
        """End the occlusion."""
        self._line.occlude(0.0)

    def leak(self, fraction: float) -> None:
        """Open a leak at the connector, to tissue at 0 Pa; 0 ends it.

        ``fraction`` is its share of the two conductances. Its share of the flow is larger: at
        therapy rates the spinal fluid's pressure alone keeps the tip shut, and all of it leaks.
        """
        self._line.leak(in_range("fraction", fraction, 0.0, 1.0))

    def disconnect(self) -> None:
        """Take the catheter off: all flow leaks at little pressure, none reaches the tip."""
        self._line.disconnect(True)

    def reconnect(self) -> None:
        """Put the catheter back."""
        self._line.disconnect(False)

    def stall(self, on: bool) -> None:
        """Block the rotor, or free it."""
        self._drive.stall(on)

    def lose_steps(self, probability: float) -> None:
        """Let the rotor miss each pulse with that probability; 0 ends it."""
        self._drive.lose_steps(probability)

    def free_flow(self, ml_per_h: float) -> None:
        """Siphon: fluid leaves the syringe without the motor, plunger and all; 0 ends it."""
        rate_nl_per_h = in_range("ml_per_h", ml_per_h, 0.0) * 1e6
        self._line.free_flow(rate_nl_per_h / _US_PER_HOUR)

    def extra_pulses(self, per_hour: float) -> None:
        """Put pulses on the STEP line that nobody commanded, evenly; 0 ends it."""
        rate = in_range("per_hour", per_hour, 0.0, _US_PER_HOUR)
        self._extra_period_us = round(_US_PER_HOUR / rate) if rate else 0
        self._extra_us = self.now_us + self._extra_period_us if rate else math.inf
        self._note_events()

    def brown_out(self, supply_mv: float, duration_us: int) -> None:
        """Hold the supply at another voltage for a while; ends by itself."""
        self._drive.dip(supply_mv, self.now_us + duration_us)
        self._note_events()
