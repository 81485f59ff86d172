"""Boluses on the whole pump, whatever happens in between: against a model of a page.

The model keeps its own list of boluses on the pump's own time, which must never run ahead of true
time, and takes what was delivered from the pulses that the motor got.
"""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cisterna.base import faults
from cisterna.orders import Refused
from cisterna.parts.bolus import REFUSALS
from host_tests.kit.bench import ALL, Bench, simple

US_PER_S = 1_000_000
DAY_US = 86_400 * US_PER_S
STEP_NL = 89.819
BASAL_NL_PER_DAY = 150_000
BASAL_UG = 300
MAX_NL_PER_DAY = 24_000_000
BOLUS_NL, BOLUS_S = 15_000, 300
LOCKOUT_S, CAP, MAX_UG = 1_800, 3, 420
FLOWING = ("BASAL", "BOLUS")
# Codes of the faults of medium and high priority.
ABOVE_LOW = [code for code, row in enumerate(faults.FAULTS) if row[1] > faults.LOW]


class BolusMachine(RuleBasedStateMachine):
    """Orders, time, faults and power cuts in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(
            program=simple(
                BASAL_UG * 1000,
                bolus_dose_ng=BOLUS_NL * 2,
                bolus_s=BOLUS_S,
                lockout_s=LOCKOUT_S,
                daily_cap=CAP,
            ),
            limits={"max_daily_dose_ng": MAX_UG * 1000},
            posture=False,
        )
        self.resting = "BASAL"
        self.mode = "BASAL"
        self.suspended_us = 0
        # (kind, pump time granted, true time granted, volume, pump time it ends, pulses then)
        self.running: tuple[str, int, int, int, int, int] | None = None
        self.given: list[tuple[int, int, str]] = []  # end in pump time, nL, kind
        self.locked_until_us = 3_600 * US_PER_S  # from the first boot, which knows no past
        self.logged = 0
        self.lead_us = self.bench.pump.now_us - self.bench.rig.now_us
        self.patient_grants_us: list[int] = []
        self.settle_model()

    @property
    def now_us(self) -> int:
        """Pump time."""
        return int(self.bench.rig.pump_us)

    def record(self, kind: str, at_us: int, volume_nl: int) -> None:
        """A bolus has ended."""
        self.given.append((at_us, volume_nl, kind))

    def settle_model(self) -> None:
        """Bring the model to the present: what ends by itself has ended."""
        self.bench.order("acknowledge", 0)
        now_us = self.now_us
        if self.running is not None and now_us >= self.running[4]:
            kind, _, _, volume_nl, end_us, _ = self.running
            self.record(kind, end_us, volume_nl)
            self.running = None
            self.mode = self.resting
            assert self.ended() == ("complete", volume_nl)
        if self.mode == "SUSPENDED" and now_us >= self.suspended_us + 120 * US_PER_S:
            self.mode = self.resting
        assert self.bench.mode == self.mode

    def ended(self) -> tuple[str, int]:
        """How the one bolus that has ended since the last look ended, and what was booked."""
        entries = self.bench.names("BOLUS_ENDED")[self.logged :]
        assert len(entries) == 1
        self.logged += 1
        how, _, volume = entries[0].detail.removesuffix(" nL delivered").rpartition(" ")
        return how, int(volume)

    def interrupt(self, allowance_nl: float = 0.0, off_us: int = 0, lost: bool = False) -> None:
        """Whatever runs is interrupted now: the plant says what had been delivered of it."""
        if self.running is None:
            return
        kind, _, true_us, _, _, pulses = self.running
        self.running = None
        how, booked_nl = self.ended()
        ended_us = round(self.bench.names("BOLUS_ENDED")[-1].true_s * US_PER_S)
        ended_pump_us = self.now_us - (self.bench.rig.now_us - ended_us)
        assert how == ("power lost" if lost else "interrupted")
        basal = BASAL_NL_PER_DAY if self.resting == "BASAL" else 0
        flowing_us = ended_us - off_us - true_us
        moved_nl = (self.bench.plant.pulses - pulses) * STEP_NL
        delivered_nl = moved_nl - basal * flowing_us / DAY_US
        # An alarm is seen up to a look after it ended the bolus: basal may have stepped since.
        slack_nl = STEP_NL * (1 if ended_us == self.bench.rig.now_us else 2) + 1
        assert -slack_nl <= booked_nl - delivered_nl <= slack_nl + allowance_nl
        self.record(kind, ended_pump_us, booked_nl)
        if kind == "patient":
            lockout_ends_us = ended_pump_us + LOCKOUT_S * US_PER_S
            self.locked_until_us = max(self.locked_until_us, lockout_ends_us)

    def refusal(self, kind: str, volume_nl: int) -> str:
        """What the pump must answer."""
        now_us = self.now_us
        kept = [given for given in self.given if now_us < given[0] + DAY_US]
        patient = kind == "patient"
        day_ng = BASAL_UG * 1000 + 2 * volume_nl + sum(2 * given[1] for given in kept)
        answers = (
            (self.mode == "BOLUS", "running"),
            (self.mode not in (("BASAL",) if patient else ("BASAL", "STOPPED")), "mode"),
            (self.barred or (patient and self.barred_patient), "alarm"),
            (patient and now_us < self.locked_until_us, "lockout"),
            (patient and sum(given[2] == kind for given in kept) >= CAP, "daily cap"),
            (day_ng > MAX_UG * 1000, "daily dose"),
        )
        return next((text for holds, text in answers if holds), "granted")

    def granted(self, kind: str, volume_nl: int, duration_s: int) -> None:
        """A bolus begins."""
        now_us = self.now_us
        basal = BASAL_NL_PER_DAY if self.resting == "BASAL" else 0
        rate = min(-(-volume_nl * 86_400 // duration_s), MAX_NL_PER_DAY - basal)
        end_us = now_us - (-volume_nl * DAY_US // rate)
        bench = self.bench
        self.running = (kind, now_us, bench.rig.now_us, volume_nl, end_us, bench.plant.pulses)
        self.mode = "BOLUS"
        if kind == "patient":
            self.locked_until_us = max(self.locked_until_us, now_us + LOCKOUT_S * US_PER_S)
            self.patient_grants_us.append(bench.rig.now_us)

    @rule(
        seconds=st.one_of(
            st.sampled_from([0.001, 1.0, 119.999, 120.0, BOLUS_S, LOCKOUT_S, 86_400.0]),
            st.floats(0.0, 4_000.0),
        )
    )
    def time_passes(self, seconds: float) -> None:
        self.bench.run(seconds)
        self.settle_model()

    @rule(short_us=st.sampled_from([0, 1, 1_000]))
    def the_lockout_nearly_ends(self, short_us: int) -> None:
        left_us = self.locked_until_us - self.now_us - short_us
        if left_us > 0:
            self.bench.run(left_us / US_PER_S)
            self.settle_model()

    @rule()
    def the_patient_asks(self) -> None:
        self.settle_model()
        expected = self.refusal("patient", BOLUS_NL)
        bench = self.bench
        begun = bench.rig.now_us, bench.plant.pulses
        assert REFUSALS[bench.order("patient_bolus")] == expected
        assert (bench.rig.now_us, bench.plant.pulses) == begun
        if expected == "granted":
            self.granted("patient", BOLUS_NL, BOLUS_S)

    @rule(dose_ug=st.integers(1, 130), duration_s=st.sampled_from([60, 600, 7200]))
    def the_clinician_orders_one(self, dose_ug: int, duration_s: int) -> None:
        self.settle_model()
        volume_nl = dose_ug * 500
        expected = self.refusal("single", volume_nl)
        if expected == "granted":
            self.bench.order("single_bolus", dose_ug * 1000, duration_s)
            self.granted("single", volume_nl, duration_s)
        else:
            with pytest.raises(Refused, match=expected):
                self.bench.order("single_bolus", dose_ug * 1000, duration_s)

    def _order(self, name: str, possible: bool, mode: str) -> None:
        self.settle_model()
        if possible:
            self.bench.order(name)
            self.mode = mode
        else:
            with pytest.raises(Refused):
                self.bench.order(name)

    @rule()
    def stop(self) -> None:
        possible = self.mode in ("BASAL", "BOLUS", "SUSPENDED", "HALTED")
        self._order("stop", possible, "STOPPED")
        if possible:
            self.interrupt()
            self.resting = "STOPPED"

    @rule()
    def start(self) -> None:
        possible = self.mode == "STOPPED" and not self.stopped_by_fault
        self._order("start", possible, "BASAL")
        if possible:
            self.resting = "BASAL"

    @rule()
    def suspend(self) -> None:
        possible = self.mode in ("BASAL", "BOLUS", "SUSPENDED")
        self._order("suspend", possible, "SUSPENDED")
        if possible:
            self.interrupt()
            self.suspended_us = self.now_us

    @rule()
    def resume(self) -> None:
        possible = self.mode in ("SUSPENDED", "HALTED") and not self.stopped_by_fault
        self._order("resume", possible, self.resting)

    @property
    def barred(self) -> bool:
        """An alarm stands that allows no bolus at all."""
        return self.bench.present("PRESSURE_SENSOR") or self.stopped_by_fault

    @property
    def barred_patient(self) -> bool:
        """An alarm of medium priority or above stands."""
        return self.bench.pump.alarms.any_present(ABOVE_LOW)

    @property
    def halts(self) -> bool:
        """A delivering pump is held at zero."""
        return self.stopped_by_fault and self.resting == "BASAL"

    @property
    def stopped_by_fault(self) -> bool:
        """A fault that stops the pump stands."""
        return self.bench.pump.alarms.any_present(faults.STOP_CODES)

    @rule(dead=st.booleans())
    def the_pressure_sensor_fails_or_recovers(self, dead: bool) -> None:
        bench = self.bench
        bench.plant.instruments.set_state("pressure", "dead" if dead else "ok")
        bench.rig.attend(5)
        if not dead or self.barred:
            bench.run(5)
        else:
            bench.run_until(lambda: bench.present("PRESSURE_SENSOR"), 10, 0.25)
            if self.running is not None and bench.mode != "BOLUS":
                if self.now_us < self.running[4]:
                    self.mode = self.resting
                    self.interrupt()
                else:
                    self.settle_model()
        self.settle_model()

    @rule()
    def the_supply_sags(self) -> None:
        bench = self.bench
        bench.plant.brown_out(4_300, 2 * US_PER_S)
        bench.rig.attend(5)
        bench.run(3)
        assert bench.present("SUPPLY_LOW")
        self.settle_model()

    @rule()
    def acknowledge(self) -> None:
        self.bench.order("acknowledge", ALL)
        self.settle_model()

    @precondition(lambda self: self.mode in FLOWING)
    @rule()
    def pulses_come_from_nowhere(self) -> None:
        """The motor turns uncommanded: the pump stops for service."""
        bench = self.bench
        self.settle_model()
        if self.mode not in FLOWING:
            return
        for _ in range(4):
            bench.plant.step(1)
        if self.running is not None:  # they are no part of the bolus
            self.running = (*self.running[:5], self.running[5] + 4)
        bench.rig.attend()
        bench.run_until(lambda: bench.present("RUNAWAY"), 2, 0.25)
        if self.running is not None and self.now_us >= self.running[4]:
            kind, _, _, volume_nl, end_us, _ = self.running
            assert self.ended() == ("complete", volume_nl)
            self.record(kind, end_us, volume_nl)
            self.running = None
        # A bolus in a stopped pump leaves it stopped; there is nothing to halt.
        self.mode = "HALTED" if self.resting == "BASAL" else self.resting
        self.interrupt()
        pulses = bench.plant.pulses
        bench.run(600)
        assert bench.plant.pulses == pulses

    @rule()
    def the_runaway_is_serviced(self) -> None:
        self.bench.order("service", faults.RUNAWAY)
        self.acknowledge()

    @rule(short_us=st.sampled_from([0, 1]))
    def all_is_put_right_and_the_lockout_ends(self, short_us: int) -> None:
        """What a clinic does; without it a run would hold few boluses."""
        self.the_pressure_sensor_fails_or_recovers(False)
        self.the_runaway_is_serviced()
        if self.mode == "HALTED":
            self.resume()
        elif self.mode == "STOPPED":
            self.start()
        self.the_lockout_nearly_ends(short_us)
        self.acknowledge()
        self.the_patient_asks()

    @rule(off_s=st.sampled_from([0.0, 1.0, 5_000.0]))
    def the_power_fails(self, off_s: float) -> None:
        bench = self.bench
        self.settle_model()
        before_us, true_us = self.now_us, bench.rig.now_us
        bench.rig.power_down()
        bench.run(off_s)
        bench.rig.power_up(1)
        # Pump time goes on from the last save: never ahead, and by an allowance behind at most.
        saved_us = bench.rig.pump_us
        assert saved_us <= before_us
        if self.running is not None:
            self.mode = self.resting
            # The allowance that is open may be one that a faster bolus before it was given.
            self.interrupt(512 * STEP_NL, bench.rig.now_us - true_us, lost=True)
        else:
            # Halted without a standing fault means that nobody has resumed yet; power does.
            self.mode = "HALTED" if self.halts else self.resting
        pulses = bench.plant.pulses
        bench.run(1.9)
        assert (bench.mode, bench.plant.pulses) == ("SELFTEST", pulses)
        bench.run(1.1)
        self.settle_model()

    @invariant()
    def pump_time_never_gains_on_true_time(self) -> None:
        lead_us = self.now_us - self.bench.rig.now_us
        assert lead_us <= self.lead_us
        self.lead_us = lead_us

    @invariant()
    def the_day_holds_no_more_than_was_allowed(self) -> None:
        history = self.bench.pump.history
        now_us = self.now_us
        kept = [given for given in self.given if now_us < given[0] + DAY_US]
        assert history.dose_ng(now_us) == sum(2 * given[1] for given in kept)
        assert history.patient_count(now_us) == sum(given[2] == "patient" for given in kept)

    @invariant()
    def grants_are_a_lockout_apart_and_within_the_cap_in_true_time(self) -> None:
        grants = self.patient_grants_us
        for place in range(1, len(grants)):
            assert grants[place] - grants[place - 1] >= LOCKOUT_S * US_PER_S
        for place in range(CAP, len(grants)):
            assert grants[place] - grants[place - CAP] >= DAY_US

    @invariant()
    def only_basal_and_bolus_flow(self) -> None:
        pump: Any = self.bench.pump
        basal = BASAL_NL_PER_DAY if self.resting == "BASAL" and self.mode in FLOWING else 0
        if self.running is None:
            assert pump.dosing.rate_nl_per_day == basal
        else:
            assert pump.dosing.rate_nl_per_day > basal

    @invariant()
    def a_bolus_is_there_in_its_mode_and_in_no_other(self) -> None:
        pump: Any = self.bench.pump
        assert (pump.bolus is not None) == (self.bench.mode == "BOLUS")


@pytest.mark.req("B01", "B02", "B03", "B04", "B08")
class TestBolusMachine(BolusMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(max_examples=60, stateful_step_count=40)
