"""Boluses on a pump: who is given one, when it ends, what is booked.

1. A refusal refuses the bolus whole, and basal goes on.
2. The 24 h dose is checked as if the window held a full day of basal and every bolus already in it
   (a published check that looked at the past alone let overdoses through: Vasicek 2024).
3. A bolus ends in one place, ``reconcile``, which the controller's settle loop passes after every
   event: whatever took its mode, raised a fault that bars boluses, or cancelled it, only sets a
   fact; the end is found from the facts.
4. It is booked once, for what was delivered, and never taken up again. One that did not complete
   starts the patient's lockout anew.
"""

from . import events
from .base import faults, modes
from .base.compat import TYPE_CHECKING
from .base.units import dose_from_volume
from .parts.bolus import (
    ALARM,
    COMPLETE,
    DAILY_CAP,
    DAILY_DOSE,
    GRANTED,
    INTERRUPTED,
    LOCKOUT,
    NONE_PROGRAMMED,
    PATIENT,
    POWER_LOST,
    RATE,
    RESERVOIR,
    RUNNING,
    WRONG_MODE,
    ActiveBolus,
)

if TYPE_CHECKING:
    from .pump import Pump


class BolusControl:
    """Grants and ends the boluses of one pump."""

    def __init__(self, pump: "Pump") -> None:
        self._pump = pump

    def request(self, kind: int, volume_nl: int = 0, duration_s: int = 0) -> int:
        """Grant or refuse a bolus now; returns a row of REFUSALS. Logged.

        A patient's bolus is the program's; a single one is of ``volume_nl`` over ``duration_s``.
        """
        pump = self._pump
        now_us, program = pump.now_us, pump.memory.program
        if kind == PATIENT and program is not None:
            volume_nl, duration_s = program.bolus_nl(), program.bolus_s
        reason = self.refusal(kind, volume_nl)
        if reason:
            pump.log.add(now_us, events.BOLUS_REFUSED, reason, volume_nl)
            return reason
        pump.log.add(now_us, events.BOLUS_GRANTED, kind, volume_nl)
        lockout_s = program.lockout_s if kind == PATIENT and program is not None else 0
        pump.bolus = ActiveBolus(now_us, kind, volume_nl, duration_s, lockout_s)
        if lockout_s:
            pump.history.begin_lockout(now_us, lockout_s)
        pump.set_mode(modes.BOLUS_START)
        return GRANTED

    def cancel(self) -> None:
        """The running bolus, if any, may not go on: its program or its reservoir changes."""
        if self._pump.bolus is not None:
            self._pump.bolus.cancelled = True

    def reconcile(self) -> None:
        """End the running bolus if it is complete or may not go on."""
        pump = self._pump
        bolus = pump.bolus
        if bolus is None:
            return
        barred = pump.modes.mode != modes.BOLUS or pump.alarms.any_present(faults.NO_BOLUS_CODES)
        if bolus.cancelled or barred:
            how = INTERRUPTED
        elif pump.now_us >= bolus.end_us:
            how = COMPLETE
        else:
            return
        pump.bolus = None
        self._book(bolus.kind, bolus.delivered_nl(pump.now_us), how, bolus.lockout_s)
        if pump.modes.mode == modes.BOLUS:
            pump.set_mode(modes.BOLUS_END)

    def book_cut_off(self) -> None:
        """Book the bolus that a power loss cut off: what was stored as delivered, and all steps
        that were left open."""
        pump = self._pump
        state, program = pump.memory.state, pump.memory.program
        kind = state.interrupted_kind
        open_nl = pump.memory.calibration.volume_nl(state.open_steps)
        lockout_s = program.lockout_s if kind == PATIENT and program is not None else 0
        self._book(kind, state.interrupted_nl + open_nl, POWER_LOST, lockout_s)

    def _book(self, kind: int, delivered_nl: int, how: int, lockout_s: int) -> None:
        pump = self._pump
        concentration = pump.ledger.concentration_ug_per_ml
        pump.history.record(pump.now_us, dose_from_volume(delivered_nl, concentration), kind)
        if how != COMPLETE and lockout_s:
            pump.history.begin_lockout(pump.now_us, lockout_s)
        pump.log.add(pump.now_us, events.BOLUS_ENDED, how, delivered_nl)
        pump.save_soon()

    def refusal(self, kind: int, volume_nl: int) -> int:
        """Why a bolus of ``volume_nl`` must be refused now; GRANTED if it need not."""
        pump = self._pump
        now_us, mode, patient = pump.now_us, pump.modes.mode, kind == PATIENT
        program, limits, history = pump.memory.program, pump.memory.limits, pump.history
        if mode == modes.BOLUS:
            return RUNNING
        if not pump.modes.allows(modes.BOLUS_START) or (patient and mode != modes.BASAL):
            return WRONG_MODE
        if program is None or volume_nl <= 0:
            return NONE_PROGRAMMED
        barred = faults.NO_PATIENT_BOLUS_CODES if patient else faults.NO_BOLUS_CODES
        if pump.alarms.any_present(barred):
            return ALARM
        if patient and history.locked(now_us):
            return LOCKOUT
        if history.full(now_us) or (
            patient and history.patient_count(now_us) >= program.daily_cap
        ):
            return DAILY_CAP
        if pump.ledger.remaining_nl - volume_nl < limits.empty_nl:
            return RESERVOIR
        dose_ng = dose_from_volume(volume_nl, program.concentration_ug_per_ml)
        if self.basal_bound_ng() + history.dose_ng(now_us) + dose_ng > limits.max_daily_dose_ng:
            return DAILY_DOSE
        changed = now_us < pump.memory.state.former_until_us and not pump.memory.state.former_flat
        if changed and not pump.dose_window.fits(
            now_us, program, limits, pump.calendar, volume_nl
        ):
            return DAILY_DOSE
        basal = pump.schedule.rate_nl_per_day if mode == modes.BASAL else 0
        if basal >= limits.max_rate_nl_per_day:
            return RATE
        return GRANTED

    def given_ng(self) -> int:
        """Bolus dose of the last 24 h in ng, with what the running bolus has given so far."""
        pump = self._pump
        given_ng = pump.history.dose_ng(pump.now_us)
        if pump.bolus is not None:
            running_nl = pump.bolus.delivered_nl(pump.now_us)
            given_ng += dose_from_volume(running_nl, pump.ledger.concentration_ug_per_ml)
        return given_ng

    def basal_bound_ng(self) -> int:
        """Most that basal can have given in any 24 h that holds the present, in ng."""
        pump = self._pump
        program, state = pump.memory.program, pump.memory.state
        bound_ng = 0
        if program is not None:
            bound_nl = program.day_bound_nl(pump.memory.limits)
            bound_ng = dose_from_volume(bound_nl, program.concentration_ug_per_ml)
        if pump.now_us < state.former_until_us:
            bound_ng = max(bound_ng, state.former_bound_ng)
        return bound_ng
