"""The pump: one synchronous tick that owns nothing but the order of things.

Data flows one way in a tick: inputs, faults, mode, program, dosing, ledger, outputs. ``tick``
returns when it next needs to run; a loop runs it then, or at once when the sampler asks.

Pump time goes on where the last save left it, so lockouts, 24 h windows and stoppages outlive a
power loss; the time without power counts as none: lockouts and windows last longer for it, and a
stoppage is saved every quarter of an hour. Ids such as F06 or D04 in the core's comments are those
of host_tests/requirements.toml.
"""

from . import events, selftest
from .alarm_test import TEST_MASK, AlarmTest
from .base import faults, modes
from .base.compat import TYPE_CHECKING, const
from .base.journal import EventLog
from .bolus_control import Boluses
from .fault_conditions import FOLLOWED, RAISED
from .memory import Memory
from .occlusion_response import OCCLUSION_BITS, Relief
from .parts.alarms import Alarms
from .parts.bolus import COMPLETE, INTERRUPTED, PATIENT, POWER_LOST
from .parts.button import Intent
from .parts.calendar import Calendar
from .parts.dosing import NEVER_US, Dosing
from .parts.guard import Guard
from .parts.motion import MotionWitness
from .parts.occlusion import OcclusionWatch
from .parts.sampler import Sampler
from .refill import ContentWatch
from .schedule import Schedule

if TYPE_CHECKING:
    from .base.ports import Hal
    from .base.settings import Calibration

# F09: a suspension ends by itself.
SUSPEND_US = const(120_000_000)
_RELEASE_TICK_US = const(1_000_000)
_RETRY_US = const(10_000)
# A pump at rest has no steps to save with; a quarter of an hour is what a reset may hide of it.
_STOPPED_SAVE_US = const(900_000_000)
# Lockout after a start that knows nothing of the time before it.
_UNKNOWN_LOCKOUT_S = const(3_600)

# The driver holds the rotor while delivering, or it would lose its microstep.
_ENERGISED = (modes.BASAL, modes.BOLUS, modes.SUSPENDED, modes.BACKOFF)
_PROGRAM_FAULTS = (
    faults.PROGRAM_CORRUPT,
    faults.LIMITS_CORRUPT,
    faults.CALIBRATION_CORRUPT,
    faults.RATE_MISMATCH,
)


class Controller:
    """One pump on one set of ports. Orders (orders.py) are how people act on it."""

    def __init__(self, hal: "Hal", board: "Calibration", clock_us: int, cause: int = 0) -> None:
        """Load what is stored and begin the self-test; ``cause`` is a row of BOOT_CAUSES."""
        hal.stepper.enable(False)
        self.hal = hal
        self.memory = Memory(hal.store, board)
        state = self.memory.state
        self.base_us = state.pump_us - clock_us
        self.now_us = state.pump_us
        self.ledger = state.ledger
        self.stoppage = state.stoppage
        self.log = EventLog(hal.store)
        self.modes = modes.ModeMachine(state.resting)
        self.calendar = Calendar()
        self.schedule = Schedule(self.memory, self.calendar)
        self.alarms = Alarms(state.latched & ~TEST_MASK, state.first_stop)
        self.window = state.window
        self.boluses = Boluses(self)
        self._make_workers()
        self.relief = Relief(self)
        self.alarm_test = AlarmTest(self)
        self.intent = Intent()
        self._slow_due_us = self.now_us
        self._rates_due_us = NEVER_US
        self._selftest_us = self.now_us + selftest.SETTLE_US
        self._suspend_until_us = NEVER_US
        self._save_due = False
        self._saved_us = self.now_us
        self._signal = (-1, False)
        self.modes.handle(modes.POWER_ON)
        self._boot(cause)

    def _make_workers(self) -> None:
        """What is derived from calibration and limits."""
        calibration = self.memory.calibration
        self.motion = MotionWitness(self.hal.counter, self.hal.encoder)
        self.sampler = Sampler(self.hal, calibration)
        self.dosing = Dosing(self.hal.stepper, calibration.step_pl)
        self.guard = Guard(calibration.step_pl)
        self.occlusion = OcclusionWatch(self.memory.limits, calibration)
        self.content = ContentWatch(self.memory, self.ledger, self.sampler.level)
        self._aim_sampler()

    def apply_limits(self) -> None:
        """Take up the limits in force; nothing may be flowing."""
        former = self.occlusion
        self.occlusion = OcclusionWatch(self.memory.limits, self.memory.calibration)
        self.occlusion.remember(former)
        self._aim_sampler()

    def _aim_sampler(self) -> None:
        calibration, limits = self.memory.calibration, self.memory.limits
        self.sampler.pressure.high = calibration.pressure_raw(limits.occlusion_pa) - 1
        self.sampler.supply.low = limits.supply_low_mv * calibration.supply_raw_per_mv

    def _boot(self, cause: int) -> None:
        now_us, state = self.now_us, self.memory.state
        self.log.add(now_us, events.BOOT, cause, state.open_steps)
        for code in self.memory.found:
            self.raise_(code)
        self.alarms.gone(faults.MEMORY_DEGRADED)
        if self.alarms.present & 1 << faults.OCCLUSION:
            self.raise_(faults.OCCLUSION)  # until the line is seen to be free
        if not self.memory.state_known:
            self.boluses.history.begin_lockout(now_us, _UNKNOWN_LOCKOUT_S)
        elif self.modes.resting == modes.BASAL or state.interrupted_kind >= 0:
            self.raise_(faults.POWER_LOST)
            self.alarms.gone(faults.POWER_LOST)
        if state.interrupted_kind >= 0:
            open_nl = self.memory.calibration.volume_nl(state.open_steps)
            delivered_nl = state.interrupted_nl + open_nl
            self.boluses.book(state.interrupted_kind, delivered_nl, POWER_LOST)
        if self.stoppage.since_us:
            self.stoppage.begin(now_us)
        self.look_at_content()

    def tick(self, clock_us: int) -> int:
        """Do what is due at ``clock_us`` (monotonic); return when to be called next."""
        now_us = clock_us + self.base_us
        self.now_us = now_us
        moved = self._inputs()
        if self._flowing:
            self._watch_flow(now_us, moved)
        elif moved:
            self.guard.look(now_us, moved - self.motion.recovered)
        if now_us >= self._slow_due_us or self.sampler.attention:
            self._slow(now_us)
        steps = self.dosing.take(now_us)
        if steps and self.ledger.needs_allowance(steps):
            steps = self._charge(steps)
        if self._save_due:
            self.save()
        if steps:
            self.dosing.emit(steps)
        due_us = min(self.dosing.due_us, self._slow_due_us)
        return (due_us if due_us > now_us else now_us + _RETRY_US) - self.base_us

    @property
    def _flowing(self) -> bool:
        return self.dosing.rate_nl_per_day > 0

    def _inputs(self) -> int:
        """Count what moved since the last tick; forward steps."""
        if self.modes.mode == modes.BACKOFF:
            self.ledger.count(0, self.motion.look_back())
            return 0
        moved = self.motion.look()
        if moved:
            self.ledger.forward += moved
            self.window.add(self.now_us, moved)
        return moved

    def _watch_flow(self, now_us: int, moved: int) -> None:
        """Faults that flow can show."""
        motion, guard_ = self.motion, self.guard
        was = guard_.over, guard_.under
        guard_.look(now_us, moved - motion.recovered)
        pressure = self.sampler.pressure
        raw = self.hal.pressure.read()
        if not pressure.faulty and pressure.valid_low <= raw <= pressure.valid_high:
            pressure_pa = self.memory.calibration.pressure_pa(raw)
            witness = self.occlusion.look(pressure_pa, moved, motion.stalled)
            if witness:
                self.relief.begin(witness, pressure_pa)
                self._slow_due_us = now_us
                return
        if (
            motion.stalled != bool(self.alarms.active & 1 << faults.MOTOR_STALL)
            or motion.runaway
            or was != (guard_.over, guard_.under)
            or self.ledger.forward >= self.content.mark_steps
        ):
            self._slow_due_us = now_us

    def _slow(self, now_us: int) -> None:
        """Everything that is not a step: conditions, timers, program, mode, rate, signal."""
        self.stoppage.advance(now_us, self.schedule.rate_nl_per_day)
        self.sampler.attention = False
        settled = False
        while not settled:  # a new mode may make other conditions hold
            mode = self.modes.mode
            self._conditions(now_us)
            self._timers(now_us)
            self._take_presses()
            if now_us >= self._rates_due_us:
                self.schedule.look_up(now_us)
                self._raise_wrong()
            self._stop_for_faults(now_us)
            if now_us >= self._rates_due_us:
                self._set_rate(now_us)
            self._watch_stoppage(now_us)
            settled = mode == self.modes.mode
        self._plan(now_us)
        self._show(now_us)

    def raise_(self, code: int) -> None:
        """The condition of a fault holds; logged and saved if that is new."""
        if self.alarms.raise_(code):
            self.log.add(self.now_us, events.ALARM_RAISED, code, 0)
            self._save_due = True
            if 1 << code & faults.NO_BOLUS_MASK:
                self.boluses.end(INTERRUPTED)

    def gone(self, code: int) -> None:
        """The condition of a fault has ended; logged if it held."""
        if self.alarms.gone(code):
            self.log.add(self.now_us, events.ALARM_GONE, code, 0)
            self._save_due = True

    def _set(self, code: int, holds: bool) -> None:
        if holds:
            self.raise_(code)
        else:
            self.gone(code)

    def _conditions(self, now_us: int) -> None:
        """Raise and end every fault whose condition somebody keeps as a flag."""
        stalled = bool(self.alarms.active & 1 << faults.MOTOR_STALL)
        for code, holds in FOLLOWED:
            self._set(code, holds(self))
        for code, holds in RAISED:
            if holds(self):
                self.raise_(code)
        if stalled and not self.motion.stalled:
            self.log.add(now_us, events.LOST_STEPS, 0, self.motion.lost_steps)
        if self.ledger.forward >= self.content.mark_steps:
            self.look_at_content()

    def look_at_content(self) -> None:
        """Raise low and empty if they hold."""
        found = self.content.look()
        for code in (faults.RESERVOIR_LOW, faults.EMPTY):
            if found >> code & 1:
                self.raise_(code)

    def set_mode(self, event: int) -> None:
        """Apply a mode event; a change is logged and saved. ModeError if it is not allowed."""
        before = self.modes.mode
        after = self.modes.handle(event)
        if after == before:
            return
        if before == modes.BOLUS and event != modes.BOLUS_END:
            self.boluses.end(INTERRUPTED)
        self._suspend_until_us = self.now_us + SUSPEND_US if after == modes.SUSPENDED else NEVER_US
        runaway = self.alarms.present & 1 << faults.RUNAWAY
        self.hal.stepper.enable(after in _ENERGISED and not runaway)
        self.log.add(self.now_us, events.MODE, after, 0)
        self.memory.state.resting = self.modes.resting
        self._rates_due_us = self.now_us
        self._slow_due_us = self.now_us
        self._save_due = True

    def renew_suspension(self) -> None:
        """The host that asked for the suspension is still there."""
        self._suspend_until_us = self.now_us + SUSPEND_US

    def _stop_for_faults(self, now_us: int) -> None:
        stop = self.alarms.present & faults.STOP_MASK
        mode = self.modes.mode
        if mode == modes.BACKOFF:
            stop &= ~OCCLUSION_BITS
        if stop and mode in (modes.BASAL, modes.BOLUS, modes.SUSPENDED, modes.BACKOFF):
            self.stop_motor()
            self.relief.left_steps = 0
            self.set_mode(modes.FAULT)

    def _timers(self, now_us: int) -> None:
        mode = self.modes.mode
        if mode == modes.SELFTEST and now_us >= self._selftest_us:
            self._finish_selftest()
        elif mode == modes.SUSPENDED and now_us >= self._suspend_until_us:
            self.set_mode(modes.RESUME)
        elif mode == modes.BACKOFF and not self.hal.stepper.busy():
            self.relief.draw_back()
        elif self.alarms.active & 1 << faults.OCCLUSION:
            self.relief.watch()
        if now_us >= self.alarm_test.due_us:
            self.alarm_test.advance()

    def _take_presses(self) -> None:
        presses, self.sampler.presses = self.sampler.presses, 0
        if presses and not self.intent.take() and self.modes.mode > modes.UNCONFIGURED:
            self.boluses.request(PATIENT)

    def _finish_selftest(self) -> None:
        place = selftest.failed(self)
        if place >= 0:
            self.raise_(faults.SELFTEST_FAILED)
            self.set_mode(modes.FAULT)
            return
        self.content.aim_level()
        self.set_mode(modes.SELFTEST_PASSED)
        self.configured()

    def configured(self) -> None:
        """Leave UNCONFIGURED once there are a program and a known content."""
        known = self.memory.program is not None and self.ledger.known
        if known and self.modes.mode == modes.UNCONFIGURED:
            self.set_mode(modes.CONFIGURED)

    def _raise_wrong(self) -> None:
        """Raise what keeps the program from being used."""
        for code in _PROGRAM_FAULTS:
            if self.schedule.wrong >> code & 1:
                self.raise_(code)

    def _set_rate(self, now_us: int) -> None:
        """The rate that holds from now on, and until when."""
        bolus = self.boluses.running
        if bolus is not None and now_us >= bolus.end_us:
            self.boluses.end(COMPLETE)
            bolus = None
        until_us, rate = self.schedule.until_us, 0
        mode = self.modes.mode
        if mode == modes.BASAL or (mode == modes.BOLUS and self.modes.resting == modes.BASAL):
            rate = self.schedule.rate_nl_per_day
        if bolus is not None:
            bolus.set_headroom(now_us, self.memory.limits.max_rate_nl_per_day - rate)
            rate += bolus.rate_nl_per_day
            until_us = min(until_us, bolus.end_us)
        self._rates_due_us = until_us
        if rate == self.dosing.rate_nl_per_day:
            return
        if rate == 0:
            self.stop_motor()
        else:
            if self.dosing.rate_nl_per_day == 0:
                self.occlusion.reset()
            self.dosing.set_rate(now_us, rate)
            # What a faster rate had charged is given back.
            self.ledger.charge(0, rate)
            self._save_due = True
            self.guard.set_rate(now_us, rate, self.schedule.day_nl)

    def stop_motor(self) -> None:
        """No further step; what was emitted is counted, what was charged is given back."""
        now_us = self.now_us
        self.dosing.halt(now_us)
        moved = self._inputs()
        self.guard.look(now_us, moved - self.motion.recovered)
        self.ledger.settle()
        self.guard.set_rate(now_us, 0, self.schedule.day_nl)
        self._save_due = True

    def _charge(self, steps: int) -> int:
        """Charge an allowance; returns the steps that may be emitted."""
        self.schedule.check_seals()
        if self.schedule.wrong:
            self._raise_wrong()
            self._slow_due_us = self.now_us
            return 0
        strength = self.ledger.concentration_ug_per_ml
        if self.window.over(self.now_us, self.memory.limits, strength):
            self.raise_(faults.OVER_DELIVERY)
            self._slow_due_us = self.now_us
            return 0
        self.ledger.charge(steps, self.dosing.rate_nl_per_day)
        self.content.aim_level()
        self._save_due = True
        return steps

    def save_soon(self) -> None:
        """Save the state before this tick, or the next, emits a step."""
        self._save_due = True

    def save(self) -> None:
        """Save the state now."""
        state = self.memory.state
        state.pump_us = self.now_us
        state.latched = self.alarms.present
        state.first_stop = self.alarms.first_stop
        self._saved_us = self.now_us
        self.memory.save_state(self.boluses.running)
        self._save_due = False

    def acknowledge(self, mask: int) -> int:
        """Acknowledge the alarms of a mask; returns those that this changed. Logged."""
        changed = self.alarms.acknowledge(mask)
        for code in range(len(faults.FAULTS)):
            if changed >> code & 1:
                self.log.add(self.now_us, events.ALARM_ACKED, code, 0)
        if changed:
            self._save_due = True
        if changed & (1 << faults.OVER_DELIVERY | 1 << faults.UNDER_DELIVERY):
            self.guard.rebase(self.now_us)
        return changed

    def replan(self) -> None:
        """Look at everything anew in the next tick: an order has changed something."""
        self._rates_due_us = self._slow_due_us = self.now_us
        self._save_due = True

    def _watch_stoppage(self, now_us: int) -> None:
        stoppage = self.stoppage
        if self._flowing:
            if stoppage.since_us:
                stoppage.end()
                self._save_due = True
        elif self.modes.mode > modes.UNCONFIGURED and not stoppage.since_us:
            stoppage.begin(now_us)
            self._save_due = True
        elif now_us - self._saved_us >= _STOPPED_SAVE_US:
            self._save_due = True  # or resets would hide how long it has been stopped
        self._set(faults.STOPPED, stoppage.reminds(now_us))
        self._set(faults.STOPPED_LONG, stoppage.alarms(now_us, self.schedule.day_nl))

    def _plan(self, now_us: int) -> None:
        """When the next thing but a step is due."""
        mode = self.modes.mode
        due_us = min(self._rates_due_us, self._suspend_until_us, self.alarm_test.due_us)
        if mode == modes.SELFTEST:
            due_us = min(due_us, self._selftest_us)
        elif mode == modes.BACKOFF:
            due_us = min(due_us, self.relief.due_us)
        elif self.alarms.active & 1 << faults.OCCLUSION:
            due_us = min(due_us, now_us + _RELEASE_TICK_US)
        schedule = self.schedule
        if self.stoppage.since_us:
            due_us = min(due_us, max(self._saved_us, now_us) + _STOPPED_SAVE_US)
        stop_us = self.stoppage.next_us(now_us, schedule.rate_nl_per_day, schedule.day_nl)
        if stop_us:
            due_us = min(due_us, stop_us)
        pause_us = self.alarms.paused_until_us(now_us)
        if pause_us:
            due_us = min(due_us, pause_us)
        self._slow_due_us = due_us

    def _show(self, now_us: int) -> None:
        signal = self.alarms.signal(now_us)
        if signal != self._signal:
            self._signal = signal
            self.hal.signal.show(signal[0], signal[1])
