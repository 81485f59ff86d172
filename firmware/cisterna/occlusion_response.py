"""What follows an occlusion: stop, draw back what the line stores, wait until it is free.

Drawing back keeps the stored volume from being given at once when the line opens. It never takes
more than the line is estimated to store, and reverses the motor nowhere else.
"""

from . import events
from .base import faults, modes
from .base.compat import TYPE_CHECKING, const
from .parts.dosing import MAX_BURST_STEPS

if TYPE_CHECKING:
    from .controller import Controller

# From the start of a burst to the next: 16 steps take 75 ms, and the motor's hardware cut wants to
# see it rest in between (hal/rp2/pio_cutoff.py). 5.7 uL/s on the default rig.
_BURST_EVERY_US = const(250_000)
OCCLUSION_BITS = 1 << faults.OCCLUSION | 1 << faults.OCCLUSION_REPEATED


class Relief:
    """Handles the occlusions of one pump.

    ``left_steps`` are still to be drawn back, the next of them not before ``due_us``.
    """

    def __init__(self, pump: "Controller") -> None:
        self._pump = pump
        self.left_steps = 0
        self.due_us = 0
        self._drawn_steps = 0

    def begin(self, witness: int, pressure_pa: int) -> None:
        """An occlusion was found: stop in the same tick, alarm, and begin to draw back."""
        pump = self._pump
        pump.stop_motor()
        pump.log.add(pump.now_us, events.OCCLUSION_FOUND, witness, pressure_pa)
        repeated = pump.occlusion.trip(pump.now_us)
        stored_nl = pump.occlusion.stored_nl(pressure_pa)
        self.left_steps = pump.memory.calibration.steps_in(stored_nl)
        self.due_us = pump.now_us
        self._drawn_steps = pump.ledger.reversed
        if pump.modes.allows(modes.OCCLUDED):
            pump.set_mode(modes.OCCLUDED)
        pump.raise_(faults.OCCLUSION)
        if repeated:
            pump.raise_(faults.OCCLUSION_REPEATED)
        pump.ledger.charge_back(self.left_steps)
        pump.save()

    def draw_back(self) -> None:
        """Reverse by the next burst if it is due, or be done; the motor is not busy."""
        pump = self._pump
        if pump.now_us < self.due_us:
            return
        pressure_pa = self._pressure_pa()
        if pressure_pa is not None and pressure_pa <= pump.occlusion.free_pa:
            self.left_steps = 0  # the line is stiffer than its calibration says
        if self.left_steps > 0:
            steps = min(self.left_steps, MAX_BURST_STEPS)
            self.left_steps -= steps
            self.due_us = pump.now_us + _BURST_EVERY_US
            pump.dosing.back_off(steps)
            return
        drawn_steps = pump.ledger.reversed - self._drawn_steps
        drawn_nl = pump.memory.calibration.volume_nl(drawn_steps)
        pump.log.add(pump.now_us, events.BACKED_OFF, 0, drawn_nl)
        pump.occlusion.reset()
        pump.ledger.settle()
        pump.set_mode(modes.BACKED_OFF)

    def _pressure_pa(self) -> "int | None":
        channel = self._pump.sampler.pressure
        raw = channel.sensor.read()
        if channel.faulty or not channel.valid_low <= raw <= channel.valid_high:
            return None
        return self._pump.memory.calibration.pressure_pa(raw)

    def watch(self) -> None:
        """End the condition once the line has been free for 15 s; restart if that is allowed."""
        pump = self._pump
        pressure_pa = self._pressure_pa()
        if pressure_pa is None or not pump.occlusion.released(pump.now_us, pressure_pa):
            return
        pump.gone(faults.OCCLUSION)
        only = pump.alarms.present & faults.STOP_MASK == 1 << faults.OCCLUSION
        halted = pump.modes.mode == modes.HALTED
        if only and halted and pump.occlusion.may_restart(pump.now_us):
            pump.acknowledge(1 << faults.OCCLUSION)
            pump.set_mode(modes.RESTART)
