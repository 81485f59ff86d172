"""What follows an occlusion: stop, draw back what the line stores, wait until it is free.

1. In the tick that finds it the motor stops, the alarm is raised, and drawing back is charged and
   saved before the motor reverses.
2. Drawing back keeps the stored volume from being given at once when the line opens. It never
   takes more than the line is estimated to store, and it ends at the pressure at which the line
   was last free. The motor reverses nowhere else.
3. The condition ends once the line has been free for 15 s; the pump restarts by itself only if
   the limits allow it.
"""

from . import events
from .base import faults, modes
from .base.compat import TYPE_CHECKING, const
from .parts.dosing import MAX_BURST_STEPS

if TYPE_CHECKING:
    from .pump import Pump

# From the start of a burst to the next: 16 steps take 75 ms, and the motor's hardware cut wants to
# see it rest in between (hal/rp2/pio_cutoff.py). 5.7 uL/s on the default rig.
_BURST_EVERY_US = const(250_000)


class OcclusionResponse:
    """Handles the occlusions of one pump.

    ``left_steps`` are still to be drawn back, the next of them not before ``due_us``.
    """

    def __init__(self, pump: "Pump") -> None:
        self._pump = pump
        self.left_steps = 0
        self.due_us = 0
        self._reversed_before = 0

    def begin(self, witness: int, pressure_pa: int) -> None:
        """An occlusion was found: stop in the same tick, alarm, and begin to draw back."""
        pump = self._pump
        pump.stop_motor()
        pump.log.add(pump.now_us, events.OCCLUSION_FOUND, witness, pressure_pa)
        repeated = pump.occlusion.trip(pump.now_us)
        stored_nl = pump.occlusion.stored_nl(pressure_pa)
        self.left_steps = pump.memory.calibration.steps_in(stored_nl)
        self.due_us = pump.now_us
        self._reversed_before = pump.ledger.reversed
        if pump.modes.allows(modes.OCCLUDED):
            pump.set_mode(modes.OCCLUDED)
        pump.raise_fault(faults.OCCLUSION)
        if repeated:
            pump.raise_fault(faults.OCCLUSION_REPEATED)
        pump.ledger.charge_back(self.left_steps)
        pump.save()

    def draw_back(self) -> None:
        """Reverse by the next burst if it is due, or be done; the motor is not busy."""
        pump = self._pump
        if pump.now_us < self.due_us:
            return
        pressure_pa = pump.pressure_pa()
        if pressure_pa is not None and pressure_pa <= pump.occlusion.free_pa:
            self.left_steps = 0  # the line is stiffer than its calibration says
        if self.left_steps > 0:
            steps = min(self.left_steps, MAX_BURST_STEPS)
            self.left_steps -= steps
            self.due_us = pump.now_us + _BURST_EVERY_US
            pump.dosing.back_off(steps)
            return
        drawn_steps = pump.ledger.reversed - self._reversed_before
        drawn_nl = pump.memory.calibration.volume_nl(drawn_steps)
        pump.log.add(pump.now_us, events.BACKED_OFF, 0, drawn_nl)
        pump.occlusion.reset()
        pump.ledger.settle()
        pump.set_mode(modes.BACKED_OFF)

    def watch(self) -> None:
        """End the condition once the line has been free for 15 s; restart if that is allowed."""
        pump = self._pump
        pressure_pa = pump.pressure_pa()
        if pressure_pa is None or not pump.occlusion.released(pump.now_us, pressure_pa):
            return
        pump.clear_fault(faults.OCCLUSION)
        only = pump.alarms.present_of(faults.STOP_CODES) == [faults.OCCLUSION]
        halted = pump.modes.mode == modes.HALTED
        if only and halted and pump.occlusion.may_restart(pump.now_us):
            pump.acknowledge(1 << faults.OCCLUSION)
            pump.set_mode(modes.RESTART)
