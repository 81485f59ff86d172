"""What people can order of the pump: checked first, then done whole, or refused with a reason.

Every order brings the pump to the present with a tick, checks, acts, and ticks again, so that it
holds when the call returns. A refused order raises LimitError or Refused and changes nothing.
Who may give which order, and how it is confirmed, is not decided here.
"""

from . import events
from .base import faults, modes
from .base.compat import TYPE_CHECKING
from .base.units import US_PER_DAY, LimitError, check_int, dose_from_volume, volume_from_dose
from .parts.bolus import INTERRUPTED, PATIENT, REFUSALS, SINGLE
from .parts.program import KIND_PROFILE, check_concentration

if TYPE_CHECKING:
    from .base.settings import Limits
    from .controller import Controller
    from .parts.program import Program

# 2000-01-01 .. 2099-12-31
_MAX_WALL_US = 36_525 * US_PER_DAY


class Refused(Exception):
    """An order is not possible now; the text says why and what to do. Nothing was changed."""


class Orders:
    """The orders to one controller; each takes the clock's time in us as ``tick`` does."""

    def __init__(self, pump: "Controller") -> None:
        self._pump = pump

    def _need(self, event: int, what: str) -> None:
        pump = self._pump
        if not pump.modes.allows(event):
            raise Refused(
                "{} is not possible in mode {}".format(what, modes.MODE_NAMES[pump.modes.mode])
            )

    def _need_no_stop(self, what: str) -> None:
        stop = self._pump.alarms.present & faults.STOP_MASK
        if stop:
            names = [faults.name(code) for code in range(len(faults.FAULTS)) if stop >> code & 1]
            raise Refused(
                "{} is not possible while {} stands; remove the cause and acknowledge".format(
                    what, ", ".join(names)
                )
            )

    def _need_therapy(self) -> None:
        pump = self._pump
        program, ledger = pump.memory.program, pump.ledger
        if program is None:
            raise Refused("there is no program; set one first")
        if not ledger.known:
            raise Refused("the content of the reservoir is not known; confirm a refill first")
        if program.concentration_ug_per_ml != ledger.concentration_ug_per_ml:
            raise Refused(
                "the program is for {} ug/mL and the reservoir holds {} ug/mL; program the "
                "concentration that was filled".format(
                    program.concentration_ug_per_ml, ledger.concentration_ug_per_ml
                )
            )

    def _done(self, clock_us: int) -> None:
        self._pump.replan()
        self._pump.tick(clock_us)
        self._pump.save()  # in both slots now: one that fails later cannot undo the order

    def check_program(self, program: "Program") -> None:
        """Raise what would refuse ``program`` now."""
        pump = self._pump
        memory, ledger = pump.memory, pump.ledger
        program.check_against(memory.limits)
        strength = program.concentration_ug_per_ml
        if ledger.known and ledger.concentration_ug_per_ml != strength:
            raise Refused(
                "the reservoir holds {} ug/mL, the program is for {} ug/mL; refill first".format(
                    ledger.concentration_ug_per_ml, strength
                )
            )
        bound_ng = dose_from_volume(program.day_bound_nl(memory.limits), strength)
        given_ng = pump.boluses.history.dose_ng(pump.now_us)
        if bound_ng + given_ng > memory.limits.max_daily_dose_ng:
            raise LimitError(
                "the program's day of up to {} ng and the boluses of the last 24 h, {} ng, pass "
                "max_daily_dose_ng = {}; lower the dose or wait".format(
                    bound_ng, given_ng, memory.limits.max_daily_dose_ng
                )
            )
        if not self._flat(program) and not pump.window.fits(
            pump.now_us, program, memory.limits, pump.calendar
        ):
            raise LimitError(
                "the program, after what the last 24 h have delivered, would pass "
                "max_daily_dose_ng = {}; lower the dose or wait".format(
                    memory.limits.max_daily_dose_ng
                )
            )

    def _flat(self, program: "Program") -> bool:
        """True if ``program`` and all programs of the last 24 h have one rate each."""
        memory = self._pump.memory
        flat = program.kind != KIND_PROFILE and memory.state.former_flat_at(self._pump.now_us)
        if memory.program is not None:
            flat = flat and memory.program.kind != KIND_PROFILE
        return flat

    def set_program(self, clock_us: int, program: "Program") -> None:
        """Make ``program`` the one in use; a pump that delivers goes on with it at once."""
        pump = self._pump
        pump.tick(clock_us)
        self.check_program(program)
        memory, state, flat = pump.memory, pump.memory.state, self._flat(program)
        former_ng = pump.boluses.basal_bound_ng()
        pump.boluses.end(INTERRUPTED)
        state.former_bound_ng, state.former_until_us = former_ng, pump.now_us + US_PER_DAY
        state.former_flat = flat
        pump.save()  # a power cut must not leave the new program without the old one's bound
        memory.save_program(program)
        pump.gone(faults.PROGRAM_CORRUPT)
        pump.log.add(
            pump.now_us, events.PROGRAM_SET, program.kind, program.mean_rate(memory.limits)
        )
        self._configured(clock_us)

    def _configured(self, clock_us: int) -> None:
        pump = self._pump
        pump.replan()
        pump.configured()
        if pump.ledger.known:
            pump.look_at_content()
        pump.tick(clock_us)
        pump.save()

    def check_limits(self, limits: "Limits") -> None:
        """Raise what would refuse ``limits`` now."""
        pump = self._pump
        if pump.modes.mode not in (modes.UNCONFIGURED, modes.IDLE, modes.STOPPED, modes.HALTED):
            raise Refused("limits can only be changed while the pump is stopped; stop it first")
        if pump.memory.program is not None:
            pump.memory.program.check_against(limits)

    def set_limits(self, clock_us: int, limits: "Limits") -> None:
        """Put limits in force; the program must keep within them. Only at rest."""
        pump = self._pump
        pump.tick(clock_us)
        self.check_limits(limits)
        pump.memory.save_limits(limits)
        pump.apply_limits()
        pump.gone(faults.LIMITS_CORRUPT)
        pump.log.add(pump.now_us, events.LIMITS_SET, 0, 0)
        self._configured(clock_us)

    def check_refill(
        self, volume_nl: int, concentration_ug_per_ml: int, residual_nl: "int | None"
    ) -> None:
        """Raise what would refuse this refill now."""
        pump = self._pump
        ledger, limits = pump.ledger, pump.memory.limits
        capacity_nl = pump.memory.calibration.capacity_nl
        check_int("refill volume", volume_nl, limits.empty_nl + 1, capacity_nl, "nL")
        check_concentration(concentration_ug_per_ml)
        if residual_nl is not None:
            check_int("residual volume", residual_nl, 0, capacity_nl, "nL")
        resting = pump.modes.mode in (modes.UNCONFIGURED, modes.IDLE, modes.STOPPED)
        if self._changes_concentration(concentration_ug_per_ml) and not resting:
            raise Refused(
                "the concentration changes from {} to {} ug/mL while delivering; stop the "
                "pump, refill, program, start".format(
                    ledger.concentration_ug_per_ml, concentration_ug_per_ml
                )
            )

    def _changes_concentration(self, concentration_ug_per_ml: int) -> bool:
        ledger = self._pump.ledger
        return ledger.known and concentration_ug_per_ml != ledger.concentration_ug_per_ml

    def refill(
        self,
        clock_us: int,
        volume_nl: int,
        concentration_ug_per_ml: int,
        residual_nl: "int | None" = None,
    ) -> None:
        """Confirm a refill of ``volume_nl`` in all; ``residual_nl`` is what was drawn off before.

        A residual that differs from the account by the larger of 1 mL and 10 % raises
        RESERVOIR_DISCREPANCY; the account starts anew all the same: the new content is known.
        """
        pump = self._pump
        pump.tick(clock_us)
        self.check_refill(volume_nl, concentration_ug_per_ml, residual_nl)
        ledger, changes = pump.ledger, self._changes_concentration(concentration_ug_per_ml)
        pump.boluses.end(INTERRUPTED)
        off = residual_nl is not None and ledger.known and ledger.discrepancy(residual_nl)
        if changes:
            pump.window.rescale(ledger.concentration_ug_per_ml, concentration_ug_per_ml)
        ledger.refill(volume_nl, concentration_ug_per_ml)
        for code in _ENDED_BY_REFILL:
            pump.gone(code)
        if off:
            pump.raise_(faults.RESERVOIR_DISCREPANCY)
        pump.content.aim_level()
        pump.sampler.forget_level()
        pump.log.add(pump.now_us, events.REFILLED, 0, volume_nl)
        self._configured(clock_us)
        if off:
            pump.gone(faults.RESERVOIR_DISCREPANCY)

    def check_start(self) -> None:
        """Raise what would refuse to start now."""
        self._need(modes.START, "start")
        self._need_therapy()
        self._need_no_stop("start")

    def start(self, clock_us: int) -> None:
        """Begin the program."""
        self._pump.tick(clock_us)
        self.check_start()
        self._pump.set_mode(modes.START)
        self._done(clock_us)

    def stop(self, clock_us: int) -> None:
        """Stop all delivery until started again; a running bolus ends."""
        self._pump.tick(clock_us)
        self._need(modes.STOP, "stop")
        self._pump.set_mode(modes.STOP)
        self._done(clock_us)

    def suspend(self, clock_us: int) -> None:
        """Suspend for at most two minutes, or renew a suspension; a running bolus ends."""
        pump = self._pump
        pump.tick(clock_us)
        if pump.modes.mode == modes.SUSPENDED:
            pump.renew_suspension()
        else:
            self._need(modes.SUSPEND, "suspend")
            pump.set_mode(modes.SUSPEND)
        self._done(clock_us)

    def resume(self, clock_us: int) -> None:
        """Go on after a suspension, or after a fault that is gone and acknowledged."""
        self._pump.tick(clock_us)
        self._need(modes.RESUME, "resume")
        self._need_no_stop("resume")
        if self._pump.modes.resting == modes.BASAL:
            self._need_therapy()
        self._pump.set_mode(modes.RESUME)
        self._done(clock_us)

    def patient_bolus(self, clock_us: int) -> int:
        """Ask for the patient's bolus; returns a row of bolus.REFUSALS."""
        self._pump.tick(clock_us)
        reason = self._pump.boluses.request(PATIENT)
        self._done(clock_us)
        return reason

    def check_single_bolus(self, dose_ng: int, duration_s: int) -> int:
        """Raise what would refuse this bolus now; its volume in nL."""
        volume_nl = self._single_bolus_nl(dose_ng, duration_s)
        reason = self._pump.boluses.refusal(SINGLE, volume_nl)
        if reason:
            raise Refused("the bolus is refused: {}".format(REFUSALS[reason]))
        return volume_nl

    def _single_bolus_nl(self, dose_ng: int, duration_s: int) -> int:
        self._need_therapy()
        limits, program = self._pump.memory.limits, self._pump.memory.program
        assert program is not None
        check_int("bolus dose", dose_ng, 1, limits.max_daily_dose_ng, "ng")
        check_int("bolus duration", duration_s, 60, 14_400, "s")
        return volume_from_dose(dose_ng, program.concentration_ug_per_ml)

    def single_bolus(self, clock_us: int, dose_ng: int, duration_s: int) -> None:
        """Give one bolus on top of whatever runs, then go on with that."""
        pump = self._pump
        pump.tick(clock_us)
        volume_nl = self._single_bolus_nl(dose_ng, duration_s)
        reason = pump.boluses.request(SINGLE, volume_nl, duration_s)
        self._done(clock_us)
        if reason:
            raise Refused("the bolus is refused: {}".format(REFUSALS[reason]))

    def acknowledge(self, clock_us: int, mask: int) -> int:
        """Acknowledge the alarms of ``mask``; returns the mask of those that this changed."""
        self._pump.tick(clock_us)
        check_int("alarm mask", mask, 0, (1 << len(faults.FAULTS)) - 1)
        changed = self._pump.acknowledge(mask)
        self._done(clock_us)
        return changed

    def pause_audio(self, clock_us: int, seconds: int) -> None:
        """Silence the alarms for at most two minutes."""
        pump = self._pump
        pump.tick(clock_us)
        check_int("audio pause", seconds, 1, 120, "s")
        pump.alarms.pause(pump.now_us, seconds)
        pump.log.add(pump.now_us, events.AUDIO_PAUSED, 0, seconds)
        self._done(clock_us)

    def test_alarms(self, clock_us: int) -> None:
        """Sound every priority."""
        self._pump.tick(clock_us)
        self._pump.alarm_test.begin()
        self._done(clock_us)

    def set_clock(self, clock_us: int, wall_us: int) -> None:
        """Set the wall clock: us since 2000-01-01 00:00 local. Never changes the daily total."""
        pump = self._pump
        pump.tick(clock_us)
        check_int("wall time", wall_us, 0, _MAX_WALL_US, "us since 2000")
        now_us, calendar = pump.now_us, pump.calendar
        shift_us = wall_us - calendar.wall_us(now_us) if calendar.known else 0
        # A profile must not be run through twice in a day, not even by a pump stopped meanwhile.
        delivering = pump.modes.resting == modes.BASAL or pump.window.steps(now_us) > 0
        calendar.set_wall(now_us, wall_us, delivering)
        pump.log.add(now_us, events.CLOCK_SET, 0, shift_us // 1_000_000)
        self._done(clock_us)

    def check_service(self, code: int) -> None:
        """Raise what would refuse to end this fault."""
        check_int("fault code", code, 0, len(faults.FAULTS) - 1)
        if not faults.SERVICE_MASK >> code & 1:
            raise Refused("{} needs no service; acknowledge it".format(faults.name(code)))

    def service(self, clock_us: int, code: int) -> None:
        """End a fault that is latched for service, its cause having been removed."""
        pump = self._pump
        pump.tick(clock_us)
        self.check_service(code)
        if code == faults.OCCLUSION_REPEATED:
            pump.occlusion.forgive()
        elif code == faults.RUNAWAY:
            pump.sampler.forgive_mismatch()
            pump.motion.runaway = False
            pump.guard.rebase(pump.now_us)
        pump.alarms.service(code)
        pump.log.add(pump.now_us, events.SERVICED, code, 0)
        self._done(clock_us)


_ENDED_BY_REFILL = (
    faults.RESERVOIR_UNKNOWN,
    faults.RESERVOIR_LOW,
    faults.EMPTY,
    faults.FREE_FLOW,
    faults.RESERVOIR_DISCREPANCY,
)
