"""A simulated rig ready for a test: set up as a clinic would, with its event log at hand."""

from collections.abc import Callable
from typing import Any, NamedTuple

from cisterna.base import faults, modes
from cisterna.base.settings import Calibration, Limits
from cisterna.events import describe
from cisterna.parts.calendar import ALL_DAYS
from cisterna.parts.program import KIND_CONTINUOUS, Program
from cisterna_sim.plant import PlantConfig
from cisterna_sim.rig import ALL_ALARMS, SELFTEST_S, Rig
from cisterna_sim.rig_board import default_calibration
from cisterna_sim.store import DictStore

ALL = ALL_ALARMS
MIDNIGHT_US = 9_648 * 86_400_000_000  # 2026-06-01, a Monday, in us since 2000


class Entry(NamedTuple):
    """An event of the pump's log: true time in s, name and detail."""

    true_s: float
    name: str
    detail: str


class Bench:
    """A rig and what it logged. ``start=False`` leaves it booted and unconfigured.

    Without ``program`` it delivers ``dose_ug_per_day`` continuously, with a patient bolus of 10 ug
    over 10 min. Further keywords go to PlantConfig.
    """

    def __init__(
        self,
        *,
        dose_ug_per_day: int = 300,
        concentration_ug_per_ml: int = 2000,
        fill_ml: float = 18.0,
        program: Program | None = None,
        limits: dict[str, int] | None = None,
        start: bool = True,
        encoder: bool = True,
        level: bool = True,
        full_rate: bool = False,
        store: DictStore | None = None,
        calibration: Calibration | None = None,
        **plant: Any,
    ) -> None:
        self.log: list[Entry] = []
        config = PlantConfig(
            fill_ml=fill_ml, concentration_ug_per_ml=concentration_ug_per_ml, **plant
        )
        if calibration is None:
            compliance_nl = round(config.compliance_ul_per_kpa * 1000)
            calibration = default_calibration(compliance_nl_per_kpa=compliance_nl)
        self.rig = Rig(
            config,
            calibration,
            encoder=encoder,
            level=level,
            full_rate=full_rate,
            store=store,
            on_event=self._hear,
        )
        self.concentration_ug_per_ml = concentration_ug_per_ml
        self.rig.run_for(SELFTEST_S)
        if start:
            self.rig.set_up(
                program or simple(dose_ug_per_day * 1000, concentration_ug_per_ml),
                limits=Limits(limits) if limits else None,
                wall_us=MIDNIGHT_US,
            )

    def _hear(self, stamp_cs: int, event: int, subject: int, value: int) -> None:
        name, detail = describe(event, subject, value)
        true_us = self.rig.now_us if hasattr(self, "rig") else 0
        self.log.append(Entry(true_us / 1e6, name, detail))

    @property
    def pump(self) -> Any:
        """The controller of the present boot."""
        return self.rig.pump

    @property
    def plant(self) -> Any:
        """The ground truth."""
        return self.rig.plant

    def order(self, name: str, *arguments: Any) -> Any:
        """Give an order by its name; what it raises comes through."""
        return self.rig.order(getattr(self.rig.orders, name), *arguments)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.rig.run_for(seconds)

    def run_until(self, done: Callable[[], bool], at_most_s: float, every_s: float = 1.0) -> float:
        """Run until ``done()``; returns the seconds it took. Fails after ``at_most_s``."""
        begun_us = self.rig.now_us
        while not done():
            passed_s = (self.rig.now_us - begun_us) / 1e6
            assert passed_s < at_most_s, f"not within {at_most_s} s"
            self.rig.run_for(every_s)
        return (self.rig.now_us - begun_us) / 1e6

    def press(self, seconds: float = 0.5) -> None:
        """Press the button for so long, and let the pump see it."""
        self.rig.press(seconds)
        self.rig.run_for(max(1.0, seconds))

    @property
    def mode(self) -> str:
        """The mode's name."""
        return modes.MODE_NAMES[self.rig.pump.modes.mode]

    def probe(self, wanted: str, measure: Callable[[], Any]) -> list[Any]:
        """A list that gets ``measure()`` at every event whose name and detail hold ``wanted``."""
        found: list[Any] = []
        hear = self.rig.on_event

        def listen(stamp_cs: int, event: int, subject: int, value: int) -> None:
            if hear is not None:
                hear(stamp_cs, event, subject, value)
            if wanted in " ".join(describe(event, subject, value)):
                found.append(measure())

        self.rig.on_event = listen
        return found

    def present(self, fault: str) -> bool:
        """True while the alarm stands."""
        return bool(self.rig.pump.alarms.present >> faults.code_of(fault) & 1)

    def active(self, fault: str) -> bool:
        """True while the alarm's condition holds."""
        return bool(self.rig.pump.alarms.active >> faults.code_of(fault) & 1)

    def names(self, *wanted: str) -> list[Entry]:
        """The logged events of these names."""
        return [entry for entry in self.log if entry.name in wanted]

    def raised(self) -> list[str]:
        """The alarms raised since the set-up, in order."""
        return [
            entry.detail.split()[0]
            for entry in self.names("ALARM_RAISED")
            if "RESERVOIR_UNKNOWN" not in entry.detail
        ]


def simple(
    dose_ng_per_day: int,
    concentration_ug_per_ml: int = 2000,
    *,
    bolus_dose_ng: int = 10_000,
    bolus_s: int = 600,
    lockout_s: int = 3600,
    daily_cap: int = 6,
) -> Program:
    """A continuous program with a patient bolus."""
    return Program(
        KIND_CONTINUOUS,
        concentration_ug_per_ml,
        ((ALL_DAYS, 0, dose_ng_per_day),),
        bolus_dose_ng,
        bolus_s,
        lockout_s,
        daily_cap,
    )
