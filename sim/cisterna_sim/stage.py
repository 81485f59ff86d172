"""Puts a scenario on the rig: sets the pump up as a clinic would, and lets its events happen."""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from cisterna import events
from cisterna.base import faults, modes
from cisterna.base.units import US_PER_DAY, US_PER_S, LimitError, dose_from_volume
from cisterna.events import describe
from cisterna.orders import Refused
from cisterna.parts.calendar import MINUTES_PER_DAY
from cisterna_sim.plant import Patient, PlantConfig
from cisterna_sim.record import Recorder
from cisterna_sim.rig import ALL_ALARMS, RESET_MV, SELFTEST_S, Rig
from cisterna_sim.rig_board import default_calibration
from cisterna_sim.scenario import Scenario
from cisterna_sim.scenario.events import Event, When

# The clinic sets the pump up in the ten seconds before true time 0.
_SETUP_US = -10 * US_PER_S
_CAUSE_POWER_ON, _CAUSE_POWER_LOST = 0, 1
_EPOCH = datetime(2000, 1, 1)
_PLANT_KEYS = (
    "compliance_ul_per_kpa",
    "bore_error_ppm",
    "oscillator_ppm",
    "backlash_steps",
    "stiction_nl",
    "pitch_error_um",
    "pressure_sigma_pa",
)


class Stage:
    """A scenario on its rig. ``rig`` is set up and delivering, at true time 0."""

    def __init__(
        self,
        scenario: Scenario,
        recorder: Recorder | None = None,
        full_rate: bool = False,
        rig_type: Callable[..., Rig] = Rig,
    ) -> None:
        self.scenario = scenario
        self._recorder = recorder
        self._waiting = [e for e in scenario.events if e.when is not None]
        self._counted_before_nl = 0
        self._drawn_before_nl = 0
        seconds = (scenario.start - _EPOCH).total_seconds()
        self._wall_start_us = round(seconds * US_PER_S)
        compliance = scenario.rig.calibrated_compliance_ul_per_kpa
        config = plant_config(scenario)
        self.rig = rig_type(
            config,
            default_calibration(
                compliance_nl_per_kpa=round((compliance or config.compliance_ul_per_kpa) * 1e3)
            ),
            t0_us=_SETUP_US,
            encoder=scenario.rig.encoder,
            level=scenario.rig.level,
            full_rate=full_rate,
            on_event=self._hear,
        )
        self._set_up()
        self._patient = Patient(max(1.0, self._mean_ng_per_day()), self.rig.now_us)
        for event in scenario.events:
            if event.at_s is not None:
                self._cue(event, event.at_s * US_PER_S)

    def _set_up(self) -> None:
        rig, scenario = self.rig, self.scenario
        rig.run_for(SELFTEST_S)
        rig.set_up(
            scenario.core_program(),
            limits=scenario.core_limits(),
            wall_us=self._wall_start_us + rig.now_us,
            start=False,
        )
        rig.run_until(0)
        rig.order(rig.orders.start)

    def _mean_ng_per_day(self) -> float:
        program = self.scenario.core_program()
        limits = self.scenario.core_limits()
        return dose_from_volume(program.mean_rate(limits), program.concentration_ug_per_ml)

    def _cue(self, event: Event, at_us: int) -> None:
        self.rig.cue(max(at_us, self.rig.now_us), lambda: self._perform(event))

    def _perform(self, event: Event) -> None:
        """Let an event happen; an order that the pump refuses is noted, and changes nothing."""
        try:
            ACTIONS[event.do](self, event)
        except (LimitError, Refused, modes.ModeError) as refusal:
            self.note("ORDER_REFUSED", f"{event.do}: {refusal}")

    def note(self, name: str, detail: str = "") -> None:
        """Record something that is not of the pump's own log."""
        if self._recorder is not None:
            self._recorder.event(self.rig.now_us / 1e6, None, name, detail)

    def _hear(self, stamp_cs: int, event: int, subject: int, value: int) -> None:
        name, detail = describe(event, subject, value)
        if self._recorder is not None:
            now_us = self.rig.now_us if hasattr(self, "rig") else _SETUP_US
            self._recorder.event(now_us / 1e6, stamp_cs, name, detail)
        for waiting in list(self._waiting):
            assert waiting.when is not None
            if _answers(waiting.when, event, subject):
                self._waiting.remove(waiting)
                self._cue(waiting, self.rig.now_us + round(waiting.after_s * US_PER_S))

    def look_at_content(self) -> None:
        """Let what waits for the account's content happen; call it now and then."""
        for waiting in list(self._waiting):
            below_nl = waiting.when.remaining_below_nl if waiting.when is not None else None
            if below_nl is not None and self.rig.pump.ledger.remaining_nl < below_nl:
                self._waiting.remove(waiting)
                self._cue(waiting, self.rig.now_us + round(waiting.after_s * US_PER_S))

    def power_loss(self, seconds: float) -> None:
        """Cut the supply, and boot again after ``seconds``."""
        rig = self.rig
        if rig.powered:
            self.note("POWER_CUT", f"{seconds:g} s")
            rig.power_down()
            rig.cue(rig.now_us + round(seconds * US_PER_S), self._power_back)

    def _power_back(self) -> None:
        self.rig.power_up(_CAUSE_POWER_LOST)
        self.note("POWER_BACK")

    def brown_out(self, mv: int, seconds: float) -> None:
        """Let the supply sag; the board resets if it sags too far."""
        self.rig.plant.brown_out(mv, round(seconds * US_PER_S))
        self.rig.attend(seconds)
        if mv < RESET_MV:
            self.power_loss(seconds)

    def refill(self, fill_nl: int, residual_nl: int | None) -> None:
        """Draw off what is left, fill, and tell the pump."""
        rig = self.rig
        if rig.powered:
            rig.order(rig.controller.tick)  # the account to be closed holds every step
        drawn_nl = max(0, round(rig.plant.withdraw()))
        concentration = self.scenario.drug.concentration_ug_per_ml
        rig.plant.refill(fill_nl / 1e6, concentration)
        counted_nl = rig.pump.ledger.settled_nl
        drawn_back_nl = self._volume_nl(rig.pump.ledger.reversed)
        residual_nl = min(drawn_nl if residual_nl is None else residual_nl, 20_000_000)
        rig.order(rig.orders.refill, fill_nl, concentration, residual_nl)
        self._counted_before_nl += counted_nl
        self._drawn_before_nl += drawn_back_nl

    def set_clock(self, shift_s: int) -> None:
        """Set the pump's clock to local time plus ``shift_s``."""
        rig = self.rig
        wall_us = self._wall_start_us + rig.now_us + shift_s * US_PER_S
        rig.order(rig.orders.set_clock, wall_us)

    def single_bolus(self, dose_ng: int, duration_s: int) -> None:
        """Order one bolus."""
        self.rig.order(self.rig.orders.single_bolus, dose_ng, duration_s)

    @property
    def counted_nl(self) -> int:
        """Volume that the pump's account has counted so far, net, over all refills."""
        return self._counted_before_nl + self.rig.pump.ledger.settled_nl

    def _volume_nl(self, steps: int) -> int:
        return self.rig.pump.memory.calibration.volume_nl(steps)

    def row(self) -> tuple[Any, ...]:
        """A row of record.COLUMNS at the present."""
        rig, plant, pump = self.rig, self.rig.plant, self.rig.pump
        self._patient.advance(plant.now_us, plant.tip_ng)
        channel = pump.sampler.pressure
        raw = rig.hal.pressure.read()
        valid = rig.powered and channel.valid_low <= raw <= channel.valid_high
        return (
            plant.now_us / 1e6,
            (rig.pump_us if rig.powered else pump.now_us) / 1e6,
            modes.MODE_NAMES[pump.modes.mode if rig.powered else modes.OFF],
            round(rig.programmed_nl),
            self.counted_nl,
            plant.tip_nl,
            plant.leaked_nl,
            pump.dosing.rate_nl_per_day if rig.powered else 0,
            pump.ledger.remaining_nl,
            plant.syringe_nl,
            pump.memory.calibration.pressure_pa(raw) if valid else None,
            plant.pressure_pa,
            plant.csf_pa,
            round(plant.supply_mv(plant.now_us)),
            pump.alarms.present,
            pump.alarms.signal(pump.now_us)[0],
            self._patient.effect_percent,
            plant.tip_ng,
            self._drawn_before_nl + self._volume_nl(pump.ledger.reversed),
            self._volume_nl(pump.ledger.unconfirmed_steps),
        )

    def facts(self) -> dict[str, Any]:
        """What the summary needs to know of the pump."""
        pump, scenario = self.rig.pump, self.scenario
        calibration, limits = pump.memory.calibration, pump.memory.limits
        low_s, refill_s = pump.refill.seconds_to_refill()
        wall_us = pump.calendar.wall_us(pump.now_us) if pump.calendar.known else None
        return {
            "quantum_pl": calibration.step_pl,
            "capacity_nl": calibration.capacity_nl,
            "concentration_ug_per_ml": scenario.drug.concentration_ug_per_ml,
            "low_nl": pump.refill.low_nl,
            "empty_nl": limits.empty_nl,
            "occlusion_pa": limits.occlusion_pa,
            "low_date": _date(wall_us, low_s) if low_s else None,
            "refill_date": _date(wall_us, refill_s),
        }

    def run(self, progress: Callable[[float], None]) -> None:
        """Run the scenario to its end, recording samples."""
        recorder, scenario = self._recorder, self.scenario
        end_us = round(scenario.duration_s * US_PER_S)
        sample_us = round(scenario.sample_s * US_PER_S)
        if recorder is not None:
            recorder.meta(**self.facts())
            recorder.sample(self.row())
        try:
            self._run_to(end_us, sample_us, progress)
        finally:
            if recorder is not None:
                recorder.meta(**self.facts())

    def _run_to(self, end_us: int, sample_us: int, progress: Callable[[float], None]) -> None:
        rig, recorder = self.rig, self._recorder
        told_us = 0
        while rig.now_us < end_us:
            next_us = min(end_us, (rig.now_us // sample_us + 1) * sample_us)
            rig.run_until(next_us)
            if recorder is not None:
                recorder.sample(self.row())
            if self._waiting:
                self.look_at_content()
            if next_us - told_us >= end_us // 400 or next_us == end_us:
                told_us = next_us
                progress(next_us / end_us)


def plant_config(scenario: Scenario) -> PlantConfig:
    """The plant's true properties in a scenario."""
    rig = scenario.rig
    given = {key: getattr(rig, key) for key in _PLANT_KEYS if getattr(rig, key) is not None}
    start = scenario.start
    since_midnight_us = (
        (start.hour * 60 + start.minute) * 60 + start.second
    ) * US_PER_S + start.microsecond
    return PlantConfig(
        fill_ml=scenario.reservoir.fill_nl / 1e6,
        concentration_ug_per_ml=scenario.drug.concentration_ug_per_ml,
        posture=rig.posture,
        midnight_us=-since_midnight_us,
        seed=scenario.seed,
        **given,
    )


def run_scenario(
    scenario: Scenario,
    recorder: Recorder,
    progress: Callable[[float], None],
    full_rate: bool = False,
) -> Stage:
    """Run a scenario, recording it; ``progress`` gets the fraction done. Returns the end."""
    stage = Stage(scenario, recorder, full_rate)
    stage.run(progress)
    return stage


def _answers(when: When, event: int, subject: int) -> bool:
    if when.bolus:
        return event == events.BOLUS_GRANTED
    if when.alarm is not None:
        return event == events.ALARM_RAISED and faults.name(subject) == when.alarm
    if when.alarm_gone is not None:
        return event == events.ALARM_GONE and faults.name(subject) == when.alarm_gone
    return False


def _date(wall_us: int | None, seconds: int) -> str | None:
    if wall_us is None:
        return None
    days, rest_us = divmod(wall_us + seconds * US_PER_S, US_PER_DAY)
    moment = datetime.fromordinal(_EPOCH.toordinal() + min(days, 2_000_000))
    minutes = rest_us // (US_PER_DAY // MINUTES_PER_DAY)
    return f"{moment:%Y-%m-%d} {minutes // 60:02}:{minutes % 60:02}"


def _sensor(name: str, state: str) -> Callable[[Stage, Any], None]:
    def act(stage: Stage, event: Any) -> None:
        stage.rig.plant.instruments.set_state(name, state)

    return act


def _plant(name: str, *arguments: Any) -> Callable[[Stage, Any], None]:
    return lambda stage, event: getattr(stage.rig.plant, name)(*arguments)


def _order(name: str, *arguments: Any) -> Callable[[Stage, Any], None]:
    def act(stage: Stage, event: Any) -> None:
        stage.rig.order(getattr(stage.rig.orders, name), *arguments)

    return act


def _mask(name: str) -> int:
    return ALL_ALARMS if name == "ALL" else 1 << faults.code_of(name)


def _extra_pulses(stage: Stage, event: Any) -> None:
    for _ in range(event.count):
        stage.rig.plant.step(1)


# What each action of a scenario does.
ACTIONS: dict[str, Callable[[Stage, Any], object]] = {
    "occlude": lambda stage, event: stage.rig.plant.occlude(event.fraction),
    "release": _plant("release"),
    "leak": lambda stage, event: stage.rig.plant.leak(event.fraction),
    "disconnect": _plant("disconnect"),
    "reconnect": _plant("reconnect"),
    "stall": _plant("stall", True),
    "stall_end": _plant("stall", False),
    "lose_steps": lambda stage, event: stage.rig.plant.lose_steps(event.probability),
    "free_flow": lambda stage, event: stage.rig.free_flow(event.ml_per_h),
    "free_flow_end": lambda stage, event: stage.rig.free_flow(0.0),
    "power_loss": lambda stage, event: stage.power_loss(event.seconds),
    "brown_out": lambda stage, event: stage.brown_out(event.mv, event.seconds),
    "pressure_dead": _sensor("pressure", "dead"),
    "pressure_stuck": _sensor("pressure", "stuck"),
    "pressure_ok": _sensor("pressure", "ok"),
    "level_dead": _sensor("level", "dead"),
    "level_stuck": _sensor("level", "stuck"),
    "level_ok": _sensor("level", "ok"),
    "encoder_dead": _sensor("encoder", "dead"),
    "encoder_stuck": _sensor("encoder", "stuck"),
    "encoder_ok": _sensor("encoder", "ok"),
    "extra_pulses": _extra_pulses,
    "press": lambda stage, event: stage.rig.press(event.seconds),
    "button_stuck": lambda stage, event: stage.rig.press(math.inf),
    "button_ok": lambda stage, event: stage.rig.press(0.0),
    "single_bolus": lambda stage, event: stage.single_bolus(
        event.dose_ng, event.duration_min * 60
    ),
    "start": _order("start"),
    "stop": _order("stop"),
    "suspend": _order("suspend"),
    "resume": _order("resume"),
    "acknowledge": lambda stage, event: stage.rig.order(
        stage.rig.orders.acknowledge, _mask(event.alarm)
    ),
    "pause_audio": _order("pause_audio", 120),
    "refill": lambda stage, event: stage.refill(event.fill_nl, event.residual_nl),
    "set_clock": lambda stage, event: stage.set_clock(event.shift_s),
    "set_program": lambda stage, event: stage.rig.order(
        stage.rig.orders.set_program, stage.scenario.core_program(event.program)
    ),
}
