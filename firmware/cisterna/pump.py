"""What the pump is: its parts, its mode, its alarms, its log, and the few verbs that change them.

1. ``Pump`` holds every part. It does not decide what happens next: ``controller`` and the helpers
   beside it (boluses, occlusions, conditions, self-test) do, and they act through the verbs here.
2. A change of mode and a fault that is raised, cleared or acknowledged are logged here and nowhere
   else, and are saved before the next step is emitted.
3. A verb never ends what it interrupts. It asks for a look at everything (``replan``), and the
   controller's settle loop ends what may not go on: a bolus, a rate, a suspension.
4. There is one time, the pump's: microseconds of power-on time since the pump was first switched
   on, so lockouts, 24 h windows and stoppages outlive a power loss. The time without power counts
   as none: lockouts and windows last longer for it.
"""

from . import events
from .base import faults, modes
from .base.compat import TYPE_CHECKING, const
from .base.journal import EventLog
from .memory import Memory
from .parts.alarms import Alarms
from .parts.button import ConfirmPress
from .parts.calendar import Calendar
from .parts.dosing import NEVER_US, Dosing
from .parts.guard import Guard
from .parts.motion import MotionWitness
from .parts.occlusion import OcclusionWatch
from .parts.sampler import Sampler
from .refill import RefillWatch
from .schedule import Schedule

if TYPE_CHECKING:
    from .base.ports import Hal
    from .base.settings import Calibration
    from .parts.bolus import ActiveBolus

# F09: a suspension ends by itself.
SUSPEND_US = const(120_000_000)

# The driver holds the rotor while delivering, or it would lose its microstep.
_ENERGISED = (modes.BASAL, modes.BOLUS, modes.SUSPENDED, modes.BACKOFF)
_REBASED_BY = 1 << faults.OVER_DELIVERY | 1 << faults.UNDER_DELIVERY


class Pump:
    """One pump on one set of ports.

    ``now_us`` is the present in pump time; before the first tick, the time of the last save.
    ``bolus`` is the one being delivered, or None. ``rates_due_us`` and ``settle_due_us`` say when
    the rate and everything else must be looked at again.
    """

    def __init__(self, hal: "Hal", board: "Calibration") -> None:
        """Load what is stored; the motor is without current. ``board`` is what the board file
        says."""
        hal.stepper.enable(False)
        self.hal = hal
        self.memory = Memory(hal.store, board)
        state = self.memory.state
        self.now_us = state.pump_us
        self.ledger = state.ledger
        self.stoppage = state.stoppage
        self.history = state.history
        self.dose_window = state.dose_window
        self.bolus: "ActiveBolus | None" = None
        self.log = EventLog(hal.store)
        self.modes = modes.ModeMachine(state.resting)
        self.calendar = Calendar(state.day_began_us)
        self.schedule = Schedule(self.memory, self.calendar)
        self.alarms = Alarms(state.latched, state.first_stop)
        self.confirm_press = ConfirmPress()
        calibration = self.memory.calibration
        self.motion = MotionWitness(hal.counter, hal.encoder)
        self.sampler = Sampler(hal, calibration)
        self.dosing = Dosing(hal.stepper, calibration.step_pl)
        self.guard = Guard(calibration.step_pl)
        self.occlusion = OcclusionWatch(self.memory.limits, calibration)
        self.refill = RefillWatch(self.memory, self.ledger, self.sampler.level)
        self._aim_sampler()
        self.suspend_until_us = NEVER_US
        self.rates_due_us = NEVER_US
        self.settle_due_us = self.now_us
        self.save_due = False
        self.saved_us = self.now_us

    # Reading

    @property
    def flowing(self) -> bool:
        """True while steps fall due."""
        return self.dosing.rate_nl_per_day > 0

    def pressure_pa(self) -> "int | None":
        """Line pressure now, in Pa (gauge); None if it cannot be measured."""
        raw = self.sampler.pressure.value()
        return None if raw is None else self.memory.calibration.pressure_pa(raw)

    # Faults

    def raise_fault(self, code: int) -> None:
        """The condition of a fault holds; logged and saved if that is new."""
        if self.alarms.raise_fault(code):
            self.log.add(self.now_us, events.ALARM_RAISED, code, 0)
            self.save_due = True

    def clear_fault(self, code: int) -> None:
        """The condition of a fault has ended; logged if it held."""
        if self.alarms.clear_fault(code):
            self.log.add(self.now_us, events.ALARM_GONE, code, 0)
            self.save_due = True

    def set_fault(self, code: int, holds: bool) -> None:
        """Raise or clear a fault, as its condition holds or not."""
        if holds:
            self.raise_fault(code)
        else:
            self.clear_fault(code)

    def acknowledge(self, mask: int) -> int:
        """Acknowledge the alarms of a mask; returns those that this changed. Logged."""
        changed = self.alarms.acknowledge(self.now_us, mask)
        for code in range(len(faults.FAULTS)):
            if changed >> code & 1:
                self.log.add(self.now_us, events.ALARM_ACKED, code, 0)
        if changed:
            self.save_due = True
        if changed & _REBASED_BY:
            self.guard.rebase(self.now_us)
        return changed

    def sound_again(self) -> None:
        """Let acknowledged alarms sound again that stand for too long; logged as raised."""
        for code in self.alarms.sound_again(self.now_us):
            self.log.add(self.now_us, events.ALARM_RAISED, code, 1)
            self.save_due = True

    def look_at_content(self) -> None:
        """Raise low and empty if they hold."""
        found = self.refill.look()
        for code in (faults.RESERVOIR_LOW, faults.EMPTY):
            if found >> code & 1:
                self.raise_fault(code)

    # Mode

    def set_mode(self, event: int) -> None:
        """Apply a mode event; a change is logged and saved. ModeError if it is not allowed."""
        before = self.modes.mode
        after = self.modes.handle(event)
        if after == before:
            return
        self.suspend_until_us = self.now_us + SUSPEND_US if after == modes.SUSPENDED else NEVER_US
        runaway = self.alarms.is_present(faults.RUNAWAY)
        self.hal.stepper.enable(after in _ENERGISED and not runaway)
        self.log.add(self.now_us, events.MODE, after, 0)
        self.memory.state.resting = self.modes.resting
        self.replan()

    def renew_suspension(self) -> None:
        """The host that asked for the suspension is still there."""
        self.suspend_until_us = self.now_us + SUSPEND_US

    def configure(self) -> None:
        """Leave UNCONFIGURED once there are a program and a known content."""
        known = self.memory.program is not None and self.ledger.known
        if known and self.modes.mode == modes.UNCONFIGURED:
            self.set_mode(modes.CONFIGURED)

    def use_limits(self) -> None:
        """Take up the limits in force; nothing may be flowing."""
        former = self.occlusion
        self.occlusion = OcclusionWatch(self.memory.limits, self.memory.calibration)
        self.occlusion.remember(former)
        self._aim_sampler()

    def _aim_sampler(self) -> None:
        calibration, limits = self.memory.calibration, self.memory.limits
        self.sampler.pressure.high = calibration.pressure_raw(limits.occlusion_pa) - 1
        self.sampler.supply.low = limits.supply_low_mv * calibration.supply_raw_per_mv

    # Motion

    def count_motion(self) -> int:
        """Book what moved since the last call; returns the forward steps."""
        if self.modes.mode == modes.BACKOFF:
            self.ledger.count(0, self.motion.look_back())
            return 0
        moved = self.motion.look()
        if moved:
            self.ledger.count(moved)
            self.dose_window.add(self.now_us, moved)
        return moved

    def stop_motor(self) -> None:
        """No further step; what was emitted is counted, what was charged is given back."""
        now_us = self.now_us
        self.dosing.halt(now_us)
        moved = self.count_motion()
        self.guard.look(now_us, moved - self.motion.recovered)
        self.ledger.settle()
        self.guard.set_rate(now_us, 0, self.schedule.day_nl)
        self.save_due = True

    # What is due

    def replan(self) -> None:
        """Look at everything anew in this tick, or in the next: something has changed."""
        self.rates_due_us = self.settle_due_us = self.now_us
        self.save_due = True

    def save_soon(self) -> None:
        """Save the state before this tick, or the next, emits a step."""
        self.save_due = True

    def save(self) -> None:
        """Save the state now."""
        state = self.memory.state
        state.pump_us = self.now_us
        state.latched = self.alarms.present
        state.first_stop = self.alarms.first_stop
        state.day_began_us = self.calendar.began_us
        self.saved_us = self.now_us
        self.memory.save_state(self.bolus)
        self.save_due = False
