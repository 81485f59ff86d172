"""The board's own stepper and hardware cut on the plant: their Python and their PIO words, run by
the interpreter."""

from cisterna_sim.hal import NEVER, SimStepper
from cisterna_sim.pio.board import PioBoard
from cisterna_sim.plant import Plant
from cisterna_sim.rig import Rig
from cisterna_sim.rig_board import default_calibration

_CYCLES_PER_US = 125
_SM, _CUT_SM = 0, 5
_STEP, _DIRECTION, _ENABLE, _COUNT = 2, 3, 4, 5


class SimPioStepper(SimStepper):
    """Port Stepper for the rig.

    The board's time is tied to the plant's at every first edge of a burst, as ``burst`` says that
    it comes now. What the firmware's calls take, a cycle of the program each, comes on top: an
    edge that falls into a call is early by less than that call takes.
    """

    step_pl = default_calibration().step_pl

    def __init__(self, plant: Plant) -> None:
        super().__init__(plant)
        self._board = board = PioBoard(((_STEP, _COUNT),), call_cycles=25)
        self._origin = 0  # the board's cycle at the plant's time 0
        board.pins.hooks.append(self._edge)
        pause_us = board.cutoff.pause_us(self.step_pl)
        cutoff = board.cutoff.PioCutoff(_CUT_SM, _ENABLE, _COUNT, pause_us)
        self._stepper = board.hal.PioStepper(_SM, _STEP, _DIRECTION, cutoff)

    def _edge(self, pin: int, level: int, cycle: int) -> None:
        if pin == _ENABLE:
            self._plant.enable(not level)
        elif pin == _STEP and level:
            self._plant.step(-1 if self._board.pins.level(_DIRECTION) else 1)

    def _catch_up(self) -> None:
        """Let the board do what it does up to and at the plant's time."""
        self._board.pio.run_until(self._origin + self._plant.now_us * _CYCLES_PER_US + 1)

    def _aim(self) -> None:
        rise = self._board.pio.machines[_SM].next_rise()
        self.next_us = NEVER
        if rise is not None:
            rise_us = -((self._origin - rise) // _CYCLES_PER_US)
            self.next_us = max(self._plant.now_us, rise_us)

    def burst(self, steps: int, interval_us: int) -> None:
        """Emit the first pulse now, the others ``interval_us`` apart."""
        self._catch_up()
        self._stepper.burst(steps, interval_us)
        rise = self._board.pio.machines[_SM].next_rise()
        assert rise is not None, "a token was put, and no edge comes of it"
        self._origin = rise - self._plant.now_us * _CYCLES_PER_US
        self._catch_up()
        self._aim()

    def pulse(self) -> None:
        """Let the program run up to now."""
        self._catch_up()
        self._aim()

    def abort(self) -> None:
        """Stop at once."""
        self._catch_up()
        self._stepper.abort()
        self._aim()

    def emitted(self) -> int:
        """Pulses since the board booted."""
        self._catch_up()
        return int(self._stepper.emitted())

    def busy(self) -> bool:
        """True while a burst runs."""
        self._catch_up()
        return bool(self._stepper.busy())

    def enable(self, on: bool) -> None:
        """Energise the motor or not."""
        self._stepper.enable(on)


class PioRig(Rig):
    """A rig whose motor the board's own PIO program drives."""

    stepper_type = SimPioStepper
