"""What happens next: one tick, and in it one loop that runs until everything has settled.

A tick, in this order:

1. Count what moved since the last one.
2. If the pump flows, weigh that motion: guard, occlusion, stall, content.
3. If something is due or a sensor asks for attention, settle (below).
4. Take the steps that are due off the program. Charge an allowance for them if the last one does
   not cover them; a program that fails its check sum, or a 24 h dose at its limit, gets none.
5. Save, if anything above asked for it.
6. Emit the steps as one burst.

Settling repeats these until the mode stands still: a new mode may make other conditions hold.

1. Raise and clear the faults whose conditions somebody keeps as a flag; let those sound again that
   stand an hour after they were acknowledged.
2. End the running bolus if it may not go on, or is complete.
3. Run what time alone ends: self-test, suspension, drawing back, the wait for a free line.
4. Take the button's presses.
5. Look the program's rate up, twice; raise what keeps it from being used.
6. Halt for a fault that stops the pump.
7. Set the rate.
8. Watch how long the pump has stood still.

A loop runs the next tick when the last one said, or at once when the sampler asks. Orders
(orders.py) are how people act on the pump. Ids such as F06 or D04 in the core's comments are those
of host_tests/requirements.toml.
"""

from . import events, selftest
from .alarm_test import AlarmTest
from .base import faults, modes
from .base.compat import TYPE_CHECKING, const
from .bolus_control import BolusControl
from .fault_conditions import FOLLOWED, RAISED
from .occlusion_response import OcclusionResponse
from .parts.bolus import PATIENT

if TYPE_CHECKING:
    from .pump import Pump

_RELEASE_TICK_US = const(1_000_000)
_RETRY_US = const(10_000)
# A pump at rest has no steps to save with; a quarter of an hour is what a reset may hide of it.
_STOPPED_SAVE_US = const(900_000_000)
# Lockout after a start that knows nothing of the time before it.
_UNKNOWN_LOCKOUT_S = const(3_600)

_PROGRAM_FAULTS = (
    faults.PROGRAM_CORRUPT,
    faults.LIMITS_CORRUPT,
    faults.CALIBRATION_CORRUPT,
    faults.RATE_MISMATCH,
)


class Controller:
    """Runs one pump. ``boluses``, ``occlusions`` and ``alarm_test`` are its helpers."""

    def __init__(self, pump: "Pump", cause: int = 0) -> None:
        """Begin the self-test; ``cause`` is a row of events.BOOT_CAUSES."""
        self.pump = pump
        self.boluses = BolusControl(pump)
        self.occlusions = OcclusionResponse(pump)
        self.alarm_test = AlarmTest(pump)
        self._selftest_us = pump.now_us + selftest.SETTLE_US
        self._shown = (-1, False)
        pump.modes.handle(modes.POWER_ON)
        self._boot(cause)

    def _boot(self, cause: int) -> None:
        pump = self.pump
        now_us, state = pump.now_us, pump.memory.state
        pump.log.add(now_us, events.BOOT, cause, state.open_steps)
        if pump.memory.migrated_from >= 0:
            pump.log.add(now_us, events.MIGRATED, 0, pump.memory.migrated_from)
        for code in pump.memory.found:
            pump.raise_fault(code)
        pump.alarms.clear_fault(faults.MEMORY_DEGRADED)  # it is raised to be acknowledged
        if pump.alarms.is_present(faults.OCCLUSION):
            pump.raise_fault(faults.OCCLUSION)  # until the line is seen to be free
        if not pump.memory.state_known:
            pump.history.begin_lockout(now_us, _UNKNOWN_LOCKOUT_S)
        elif pump.modes.resting == modes.BASAL or state.interrupted_kind >= 0:
            pump.raise_fault(faults.POWER_LOST)
            pump.alarms.clear_fault(faults.POWER_LOST)
        if state.interrupted_kind >= 0:
            self.boluses.book_cut_off()
        if pump.stoppage.since_us:
            pump.stoppage.begin(now_us)
        pump.look_at_content()

    def tick(self, now_us: int) -> int:
        """Do what is due at ``now_us`` (pump time); return when to be called next."""
        pump = self.pump
        pump.now_us = now_us
        moved = pump.count_motion()
        if pump.flowing:
            self._watch_flow(moved)
        elif moved:
            pump.guard.look(now_us, moved - pump.motion.recovered)
        if now_us >= pump.settle_due_us or pump.sampler.attention:
            self._settle()
        steps = pump.dosing.take(now_us)
        if steps and pump.ledger.needs_allowance(steps):
            steps = self._charge(steps)
        if pump.save_due:
            pump.save()
        if steps:
            pump.dosing.emit(steps)
        due_us = min(pump.dosing.due_us, pump.settle_due_us)
        return due_us if due_us > now_us else now_us + _RETRY_US

    def _watch_flow(self, moved: int) -> None:
        """Faults that flow can show."""
        pump = self.pump
        motion, guard = pump.motion, pump.guard
        was = guard.over, guard.under
        guard.look(pump.now_us, moved - motion.recovered)
        pressure_pa = pump.pressure_pa()
        if pressure_pa is not None:
            witness = pump.occlusion.look(pressure_pa, moved, motion.stalled)
            if witness:
                self.occlusions.begin(witness, pressure_pa)
                pump.settle_due_us = pump.now_us
                return
        if (
            motion.stalled != pump.alarms.is_active(faults.MOTOR_STALL)
            or motion.runaway
            or was != (guard.over, guard.under)
            or pump.ledger.forward >= pump.refill.mark_steps
        ):
            pump.settle_due_us = pump.now_us

    def _settle(self) -> None:
        """Everything that is not a step, as the module says."""
        pump = self.pump
        now_us = pump.now_us
        pump.stoppage.advance(now_us, pump.schedule.rate_nl_per_day)
        pump.sampler.attention = False
        settled = False
        while not settled:
            mode = pump.modes.mode
            self._conditions()
            self.boluses.reconcile()
            self._timers()
            self._take_presses()
            if now_us >= pump.rates_due_us:
                pump.schedule.look_up(now_us)
                self._raise_wrong()
            self._stop_for_faults()
            if now_us >= pump.rates_due_us:
                self._set_rate()
            self._watch_stoppage()
            settled = mode == pump.modes.mode
        self._plan()
        self._show()

    def _conditions(self) -> None:
        """Raise and clear every fault whose condition somebody keeps as a flag."""
        pump = self.pump
        stalled = pump.alarms.is_active(faults.MOTOR_STALL)
        for code, holds in FOLLOWED:
            pump.set_fault(code, holds(pump))
        for code, holds in RAISED:
            if holds(pump):
                pump.raise_fault(code)
        again_us = pump.alarms.again_us()
        if again_us and pump.now_us >= again_us:
            pump.sound_again()
        if stalled and not pump.motion.stalled:
            pump.log.add(pump.now_us, events.LOST_STEPS, 0, pump.motion.lost_steps)
        if pump.ledger.forward >= pump.refill.mark_steps:
            pump.look_at_content()

    def _timers(self) -> None:
        pump = self.pump
        mode, now_us = pump.modes.mode, pump.now_us
        if mode == modes.SELFTEST and now_us >= self._selftest_us:
            self._finish_selftest()
        elif mode == modes.SUSPENDED and now_us >= pump.suspend_until_us:
            pump.set_mode(modes.RESUME)
        elif mode == modes.BACKOFF and not pump.hal.stepper.busy():
            self.occlusions.draw_back()
        elif pump.alarms.is_active(faults.OCCLUSION):
            self.occlusions.watch()
        if now_us >= self.alarm_test.due_us:
            self.alarm_test.advance()

    def _finish_selftest(self) -> None:
        pump = self.pump
        if selftest.failed(pump) >= 0:
            pump.raise_fault(faults.SELFTEST_FAILED)
            pump.set_mode(modes.FAULT)
            return
        pump.refill.aim_level()
        pump.set_mode(modes.SELFTEST_PASSED)
        pump.configure()

    def _take_presses(self) -> None:
        """A press confirms what waits for one; else it asks for the patient's bolus."""
        pump = self.pump
        presses, pump.sampler.presses = pump.sampler.presses, 0
        if presses and not pump.confirm_press.take() and pump.modes.mode > modes.UNCONFIGURED:
            self.boluses.request(PATIENT)

    def _raise_wrong(self) -> None:
        """Raise what keeps the program from being used."""
        for code in _PROGRAM_FAULTS:
            if self.pump.schedule.wrong >> code & 1:
                self.pump.raise_fault(code)

    def _stop_for_faults(self) -> None:
        pump = self.pump
        mode = pump.modes.mode
        if mode not in (modes.BASAL, modes.BOLUS, modes.SUSPENDED, modes.BACKOFF):
            return
        # Drawing back is itself the answer to an occlusion.
        stopping = faults.STOP_BUT_OCCLUSION if mode == modes.BACKOFF else faults.STOP_CODES
        if pump.alarms.any_present(stopping):
            pump.stop_motor()
            self.occlusions.left_steps = 0
            pump.set_mode(modes.FAULT)

    def _set_rate(self) -> None:
        """The rate that holds from now on, and until when."""
        pump, now_us = self.pump, self.pump.now_us
        schedule, dosing, bolus = pump.schedule, pump.dosing, pump.bolus
        until_us, rate = schedule.until_us, 0
        mode = pump.modes.mode
        if mode == modes.BASAL or (mode == modes.BOLUS and pump.modes.resting == modes.BASAL):
            rate = schedule.rate_nl_per_day
        if mode == modes.BOLUS and bolus is not None:
            bolus.set_headroom(now_us, pump.memory.limits.max_rate_nl_per_day - rate)
            rate += bolus.rate_nl_per_day
            until_us = min(until_us, bolus.end_us)
        pump.rates_due_us = until_us
        if rate == dosing.rate_nl_per_day:
            return
        if rate == 0:
            pump.stop_motor()
            return
        if dosing.rate_nl_per_day == 0:
            pump.occlusion.reset()
        dosing.set_rate(now_us, rate)
        # What a faster rate had charged is given back.
        pump.ledger.charge(0, rate)
        pump.save_soon()
        pump.guard.set_rate(now_us, rate, schedule.day_nl)

    def _charge(self, steps: int) -> int:
        """Charge an allowance; returns the steps that may be emitted."""
        pump = self.pump
        pump.schedule.check_seals()
        if pump.schedule.wrong:
            self._raise_wrong()
            pump.settle_due_us = pump.now_us
            return 0
        if pump.dose_window.over(pump.now_us, pump.memory.limits):
            pump.raise_fault(faults.OVER_DELIVERY)
            pump.settle_due_us = pump.now_us
            return 0
        pump.ledger.charge(steps, pump.dosing.rate_nl_per_day)
        pump.refill.aim_level()
        pump.save_soon()
        return steps

    def _watch_stoppage(self) -> None:
        pump, now_us = self.pump, self.pump.now_us
        stoppage = pump.stoppage
        if pump.flowing:
            if stoppage.since_us:
                stoppage.end()
                pump.save_soon()
        elif pump.modes.mode > modes.UNCONFIGURED and not stoppage.since_us:
            stoppage.begin(now_us)
            pump.save_soon()
        elif now_us - pump.saved_us >= _STOPPED_SAVE_US:
            pump.save_soon()  # or resets would hide how long it has been stopped
        pump.set_fault(faults.STOPPED, stoppage.reminds(now_us))
        pump.set_fault(faults.STOPPED_LONG, stoppage.alarms(now_us, pump.schedule.day_nl))

    def _plan(self) -> None:
        """When the next thing but a step is due."""
        pump, now_us = self.pump, self.pump.now_us
        mode, schedule = pump.modes.mode, pump.schedule
        due_us = min(pump.rates_due_us, pump.suspend_until_us, self.alarm_test.due_us)
        if mode == modes.SELFTEST:
            due_us = min(due_us, self._selftest_us)
        elif mode == modes.BACKOFF:
            due_us = min(due_us, self.occlusions.due_us)
        elif pump.alarms.is_active(faults.OCCLUSION):
            due_us = min(due_us, now_us + _RELEASE_TICK_US)
        if pump.stoppage.since_us:
            due_us = min(due_us, max(pump.saved_us, now_us) + _STOPPED_SAVE_US)
        stop_us = pump.stoppage.next_us(now_us, schedule.rate_nl_per_day, schedule.day_nl)
        if stop_us:
            due_us = min(due_us, stop_us)
        for at_us in (pump.alarms.paused_until_us(now_us), pump.alarms.again_us()):
            if at_us:
                due_us = min(due_us, at_us)
        pump.settle_due_us = due_us

    def _show(self) -> None:
        """Tell buzzer and lamps what to play, if that has changed."""
        shown = self.alarm_test.signal(self.pump.alarms.signal(self.pump.now_us))
        if shown != self._shown:
            self._shown = shown
            self.pump.hal.signal.show(shown[0], shown[1])
