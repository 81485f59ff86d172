"""Boluses on a pump: who is given one, what runs, what is booked.

A refusal refuses the bolus whole and basal goes on.
The 24 h dose is checked as if the window held a full day of basal and every bolus already in it
(a published check that did not let overdoses through).
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
    LOCKOUT,
    NONE_PROGRAMMED,
    PATIENT,
    RATE,
    RESERVOIR,
    RUNNING,
    WRONG_MODE,
    Running,
)

if TYPE_CHECKING:
    from .controller import Controller


class Boluses:
    """The boluses of one pump. ``running`` is the one being delivered, or None."""

    def __init__(self, pump: "Controller") -> None:
        self._pump = pump
        self.history = pump.memory.state.history
        self.running: "Running | None" = None

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
        self.running = Running(now_us, kind, volume_nl, duration_s)
        self._lock(kind)
        pump.set_mode(modes.BOLUS_START)
        return GRANTED

    def end(self, how: int) -> None:
        """Book the running bolus, if any, for what was delivered; ``how`` is a row of ENDS."""
        bolus, self.running = self.running, None
        if bolus is not None:
            pump = self._pump
            self.book(bolus.kind, bolus.delivered_nl(pump.now_us), how)
            if pump.modes.mode == modes.BOLUS:
                pump.set_mode(modes.BOLUS_END)

    def book(self, kind: int, delivered_nl: int, how: int) -> None:
        """Keep account of a bolus that has ended; an interrupted one restarts the lockout."""
        pump = self._pump
        strength = pump.ledger.concentration_ug_per_ml
        self.history.record(pump.now_us, dose_from_volume(delivered_nl, strength), kind)
        if how != COMPLETE:
            self._lock(kind)
        pump.log.add(pump.now_us, events.BOLUS_ENDED, how, delivered_nl)
        pump.save_soon()

    def _lock(self, kind: int) -> None:
        program = self._pump.memory.program
        if kind == PATIENT and program is not None:
            self.history.begin_lockout(self._pump.now_us, program.lockout_s)

    def refusal(self, kind: int, volume_nl: int) -> int:
        """Why a bolus of ``volume_nl`` must be refused now; GRANTED if it need not."""
        pump = self._pump
        now_us, mode, patient = pump.now_us, pump.modes.mode, kind == PATIENT
        program, limits, history = pump.memory.program, pump.memory.limits, self.history
        if mode == modes.BOLUS:
            return RUNNING
        if not pump.modes.allows(modes.BOLUS_START) or (patient and mode != modes.BASAL):
            return WRONG_MODE
        if program is None or volume_nl <= 0:
            return NONE_PROGRAMMED
        barred = faults.NO_PATIENT_BOLUS_MASK if patient else faults.NO_BOLUS_MASK
        if pump.alarms.present & barred:
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
        if changed and not pump.window.fits(now_us, program, limits, pump.calendar, volume_nl):
            return DAILY_DOSE
        basal = pump.schedule.rate_nl_per_day if mode == modes.BASAL else 0
        if basal >= limits.max_rate_nl_per_day:
            return RATE
        return GRANTED

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
