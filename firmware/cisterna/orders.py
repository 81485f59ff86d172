"""What people can order of the pump: checked first, then done whole, or refused with a reason.

1. Every order brings the pump to the present with a tick, checks, acts, and ticks again, so that
   it holds when the call returns (``_Order``).
2. A refused order raises LimitError or Refused and changes nothing.
3. Who may give which order, and how it is confirmed, is not decided here.
"""

from . import events
from .base import faults, modes
from .base.compat import TYPE_CHECKING
from .base.units import (
    US_PER_DAY,
    LimitError,
    check_int,
    dose_from_volume,
    volume_from_dose,
)
from .parts.bolus import PATIENT, REFUSALS, SINGLE
from .parts.program import check_concentration, check_field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .base.settings import Limits
    from .controller import Controller
    from .parts.program import Program
    from .pump import Pump

# 2000-01-01 .. 2099-12-31
_MAX_WALL_US = 36_525 * US_PER_DAY

_ENDED_BY_REFILL = (
    faults.RESERVOIR_UNKNOWN,
    faults.RESERVOIR_LOW,
    faults.EMPTY,
    faults.FREE_FLOW,
    faults.RESERVOIR_DISCREPANCY,
)


class Refused(Exception):
    """An order is not possible now; the text says why and what to do. Nothing was changed."""


class _Order:
    """What stands before and after the act of every order, as a context: ``with``.

    Before: a tick. After, unless it was refused: what the order has changed is taken up, a tick,
    and a save. With the save of the tick both slots hold it: one that fails later cannot undo it.
    """

    def __init__(self, controller: "Controller") -> None:
        self._controller = controller
        self.now_us = 0

    def __enter__(self) -> "Pump":
        self._controller.tick(self.now_us)
        return self._controller.pump

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is not None:
            return
        pump = self._controller.pump
        pump.replan()
        pump.configure()
        if pump.ledger.known:
            pump.look_at_content()
        self._controller.tick(self.now_us)
        pump.save()


class Orders:
    """The orders to one pump; each takes pump time in us as ``tick`` does."""

    def __init__(self, controller: "Controller") -> None:
        self._controller = controller
        self._pump = controller.pump
        self._order = _Order(controller)

    def _at(self, now_us: int) -> _Order:
        self._order.now_us = now_us
        return self._order

    def _need(self, event: int, what: str) -> None:
        pump = self._pump
        if not pump.modes.allows(event):
            raise Refused(f"{what} is not possible in mode {modes.MODE_NAMES[pump.modes.mode]}")

    def _need_no_stop(self, what: str) -> None:
        stopping = self._pump.alarms.present_of(faults.STOP_CODES)
        if stopping:
            names = ", ".join([faults.name(code) for code in stopping])
            raise Refused(
                f"{what} is not possible while {names} stands; remove the cause and acknowledge"
            )

    def _need_program_and_drug(self) -> None:
        program, ledger = self._pump.memory.program, self._pump.ledger
        if program is None:
            raise Refused("there is no program; set one first")
        if not ledger.known:
            raise Refused("the content of the reservoir is not known; confirm a refill first")
        if program.concentration_ug_per_ml != ledger.concentration_ug_per_ml:
            raise Refused(
                f"the program is for {program.concentration_ug_per_ml} ug/mL and the reservoir "
                f"holds {ledger.concentration_ug_per_ml} ug/mL; program the concentration that "
                "was filled"
            )

    def check_program(self, program: "Program") -> None:
        """Raise what would refuse ``program`` now."""
        for _ in self.check_program_in_pieces(program):
            pass

    def check_program_in_pieces(self, program: "Program") -> "Iterator[int]":
        """``check_program``, which takes long for a long program, a piece at a time. What comes
        last is the program's ``day_bound_nl``."""
        pump = self._pump
        limits, ledger = pump.memory.limits, pump.ledger
        program.check_rates(limits)
        bound_nl = 0
        yield bound_nl
        for bound_nl in program.day_bound_in_pieces(limits):
            yield bound_nl
        program.check_doses(limits, bound_nl)
        concentration, limit_ng = program.concentration_ug_per_ml, limits.max_daily_dose_ng
        if ledger.known and ledger.concentration_ug_per_ml != concentration:
            raise Refused(
                f"the reservoir holds {ledger.concentration_ug_per_ml} ug/mL, the program is for "
                f"{concentration} ug/mL; refill first"
            )
        bound_ng = dose_from_volume(bound_nl, concentration)
        given_ng = self._controller.boluses.given_ng()
        if bound_ng + given_ng > limit_ng:
            raise LimitError(
                f"the program's day of up to {bound_ng} ng and the boluses of the last 24 h, "
                f"{given_ng} ng, pass max_daily_dose_ng = {limit_ng}; lower the dose or wait"
            )
        if self._flat(program):
            return
        window, calendar = pump.dose_window, pump.calendar
        for fits in window.fits_so_far(pump.now_us, program, limits, calendar):
            if not fits:
                raise LimitError(
                    "the program, after what the last 24 h have delivered, would pass "
                    f"max_daily_dose_ng = {limit_ng}; lower the dose or wait"
                )
            yield bound_nl

    def _flat(self, program: "Program") -> bool:
        """True if ``program`` and all programs of the last 24 h have one rate each."""
        memory = self._pump.memory
        former = memory.program
        if program.by_clock or (former is not None and former.by_clock):
            return False
        return memory.state.former_flat_at(self._pump.now_us)

    def set_program(self, now_us: int, program: "Program") -> None:
        """Make ``program`` the one in use; a pump that delivers goes on with it at once."""
        with self._at(now_us) as pump:
            self.check_program(program)
            memory, state = pump.memory, pump.memory.state
            flat = self._flat(program)
            state.former_bound_ng = self._controller.boluses.basal_bound_ng()
            state.former_until_us = pump.now_us + US_PER_DAY
            state.former_flat = flat
            self._controller.boluses.cancel()
            pump.save()  # a power cut must not leave the new program without the old one's bound
            memory.save_program(program)
            pump.clear_fault(faults.PROGRAM_CORRUPT)
            mean_rate = program.mean_rate(memory.limits)
            pump.log.add(pump.now_us, events.PROGRAM_SET, program.kind, mean_rate)

    def check_limits(self, limits: "Limits") -> None:
        """Raise what would refuse ``limits`` now."""
        pump = self._pump
        if pump.modes.mode not in (modes.UNCONFIGURED, modes.IDLE, modes.STOPPED, modes.HALTED):
            raise Refused("limits can only be changed while the pump is stopped; stop it first")
        if pump.memory.program is not None:
            pump.memory.program.check_against(limits)
        self._check_past(limits)

    def _check_past(self, limits: "Limits") -> None:
        """Refuse a limit of the daily dose that the last 24 h have passed already."""
        pump = self._pump
        window, limit_ng = pump.dose_window, limits.max_daily_dose_ng
        past_ng = -(-window.most_pg(pump.now_us) // 1000)
        if past_ng > limit_ng:
            wait_us = window.below_us(pump.now_us, limit_ng) - pump.now_us
            raise LimitError(
                f"max_daily_dose_ng = {limit_ng} is below the {past_ng} ng that the last 24 h "
                f"have got; the pump would stop for it: wait {-(-wait_us // 60_000_000)} min"
            )

    def set_limits(self, now_us: int, limits: "Limits") -> None:
        """Put limits in force; the program must keep within them. Only at rest."""
        with self._at(now_us) as pump:
            self.check_limits(limits)
            pump.memory.save_limits(limits)
            pump.use_limits()
            pump.clear_fault(faults.LIMITS_CORRUPT)
            pump.log.add(pump.now_us, events.LIMITS_SET, 0, 0)

    def check_refill(
        self, volume_nl: int, concentration_ug_per_ml: int, residual_nl: "int | None"
    ) -> None:
        """Raise what would refuse this refill now."""
        pump = self._pump
        limits, capacity_nl = pump.memory.limits, pump.memory.calibration.capacity_nl
        check_int("refill volume", volume_nl, limits.empty_nl + 1, capacity_nl, "nL")
        check_concentration(concentration_ug_per_ml)
        if residual_nl is not None:
            check_int("residual volume", residual_nl, 0, capacity_nl, "nL")
        resting = pump.modes.mode in (modes.UNCONFIGURED, modes.IDLE, modes.STOPPED)
        if self._changes_concentration(concentration_ug_per_ml) and not resting:
            raise Refused(
                f"the concentration changes from {pump.ledger.concentration_ug_per_ml} to "
                f"{concentration_ug_per_ml} ug/mL while delivering; stop the pump, refill, "
                "program, start"
            )

    def _changes_concentration(self, concentration_ug_per_ml: int) -> bool:
        ledger = self._pump.ledger
        return ledger.known and concentration_ug_per_ml != ledger.concentration_ug_per_ml

    def refill(
        self,
        now_us: int,
        volume_nl: int,
        concentration_ug_per_ml: int,
        residual_nl: "int | None" = None,
    ) -> None:
        """Confirm a refill of ``volume_nl`` in all; ``residual_nl`` is what was drawn off before.

        A residual that differs from the account by the larger of 1 mL and 10 % raises
        RESERVOIR_DISCREPANCY; the account starts anew all the same: the new content is known.
        """
        with self._at(now_us) as pump:
            self.check_refill(volume_nl, concentration_ug_per_ml, residual_nl)
            ledger = pump.ledger
            self._controller.boluses.cancel()
            off = residual_nl is not None and ledger.known and ledger.discrepancy(residual_nl)
            ledger.refill(volume_nl, concentration_ug_per_ml)
            pump.dose_window.fill(concentration_ug_per_ml)
            for code in _ENDED_BY_REFILL:
                pump.clear_fault(code)
            if off:
                pump.raise_fault(faults.RESERVOIR_DISCREPANCY)
            pump.refill.aim_level()
            pump.sampler.forget_level()
            pump.log.add(pump.now_us, events.REFILLED, 0, volume_nl)
        if off:
            pump.clear_fault(faults.RESERVOIR_DISCREPANCY)

    def check_start(self) -> None:
        """Raise what would refuse to start now."""
        self._need(modes.START, "start")
        self._need_program_and_drug()
        self._need_no_stop("start")

    def start(self, now_us: int) -> None:
        """Begin the program."""
        with self._at(now_us) as pump:
            self.check_start()
            pump.set_mode(modes.START)

    def stop(self, now_us: int) -> None:
        """Stop all delivery until started again; a running bolus ends."""
        with self._at(now_us) as pump:
            self._need(modes.STOP, "stop")
            pump.set_mode(modes.STOP)

    def suspend(self, now_us: int) -> None:
        """Suspend for at most two minutes, or renew a suspension; a running bolus ends."""
        with self._at(now_us) as pump:
            if pump.modes.mode == modes.SUSPENDED:
                pump.renew_suspension()
            else:
                self._need(modes.SUSPEND, "suspend")
                pump.set_mode(modes.SUSPEND)

    def resume(self, now_us: int) -> None:
        """Go on after a suspension, or after a fault that is gone and acknowledged."""
        with self._at(now_us) as pump:
            self._need(modes.RESUME, "resume")
            self._need_no_stop("resume")
            if pump.modes.resting == modes.BASAL:
                self._need_program_and_drug()
            pump.set_mode(modes.RESUME)

    def patient_bolus(self, now_us: int) -> int:
        """Ask for the patient's bolus; returns a row of bolus.REFUSALS."""
        with self._at(now_us):
            reason = self._controller.boluses.request(PATIENT)
        return reason

    def check_single_bolus(self, dose_ng: int, duration_s: int) -> int:
        """Raise what would refuse this bolus now; its volume in nL."""
        volume_nl = self._single_bolus_nl(dose_ng, duration_s)
        _raise_refusal(self._controller.boluses.refusal(SINGLE, volume_nl))
        return volume_nl

    def _single_bolus_nl(self, dose_ng: int, duration_s: int) -> int:
        self._need_program_and_drug()
        limits, program = self._pump.memory.limits, self._pump.memory.program
        assert program is not None
        check_int("bolus dose", dose_ng, 1, limits.max_daily_dose_ng, "ng")
        check_field("bolus_s", duration_s, "bolus duration")
        return volume_from_dose(dose_ng, program.concentration_ug_per_ml)

    def single_bolus(self, now_us: int, dose_ng: int, duration_s: int) -> None:
        """Give one bolus on top of whatever runs, then go on with that."""
        with self._at(now_us):
            volume_nl = self._single_bolus_nl(dose_ng, duration_s)
            reason = self._controller.boluses.request(SINGLE, volume_nl, duration_s)
        _raise_refusal(reason)

    def acknowledge(self, now_us: int, mask: int) -> int:
        """Acknowledge the alarms of ``mask``; returns the mask of those that this changed."""
        with self._at(now_us) as pump:
            check_int("alarm mask", mask, 0, (1 << len(faults.FAULTS)) - 1)
            changed = pump.acknowledge(mask)
        return changed

    def pause_audio(self, now_us: int, seconds: int) -> None:
        """Silence the alarms for at most two minutes."""
        with self._at(now_us) as pump:
            check_int("audio pause", seconds, 1, 120, "s")
            pump.alarms.pause(pump.now_us, seconds)
            pump.log.add(pump.now_us, events.AUDIO_PAUSED, 0, seconds)

    def test_alarms(self, now_us: int) -> None:
        """Sound every priority."""
        with self._at(now_us):
            self._controller.alarm_test.begin()

    def set_clock(self, now_us: int, wall_us: int) -> None:
        """Set the wall clock: us since 2000-01-01 00:00 local. Never changes the daily total."""
        with self._at(now_us) as pump:
            check_int("wall time", wall_us, 0, _MAX_WALL_US, "us since 2000")
            calendar = pump.calendar
            shift_us = wall_us - calendar.wall_us(pump.now_us) if calendar.known else 0
            # A profile must not be run through twice in a day, not even by a pump stopped
            # meanwhile.
            delivering = pump.modes.resting == modes.BASAL or pump.dose_window.most_pg(now_us) > 0
            calendar.set_wall(pump.now_us, wall_us, delivering)
            pump.log.add(pump.now_us, events.CLOCK_SET, 0, shift_us // 1_000_000)

    def check_service(self, code: int) -> None:
        """Raise what would refuse to end this fault."""
        check_int("fault code", code, 0, len(faults.FAULTS) - 1)
        if faults.FAULTS[code][3] != faults.SERVICE:
            raise Refused(f"{faults.name(code)} needs no service; acknowledge it")

    def service(self, now_us: int, code: int) -> None:
        """End a fault that is latched for service, its cause having been removed."""
        with self._at(now_us) as pump:
            self.check_service(code)
            if code == faults.OCCLUSION_REPEATED:
                pump.occlusion.forgive()
            elif code == faults.RUNAWAY:
                pump.sampler.forgive_mismatch()
                pump.motion.runaway = False
                pump.guard.rebase(pump.now_us)
            pump.alarms.service(code)
            pump.log.add(pump.now_us, events.SERVICED, code, 0)


def _raise_refusal(reason: int) -> None:
    if reason:
        raise Refused(f"the bolus is refused: {REFUSALS[reason]}")
