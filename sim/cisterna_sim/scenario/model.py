"""A scenario: one therapy, one rig with its true properties, and what happens to them."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, PrivateAttr
from pydantic_core import PydanticCustomError

from cisterna.base import settings
from cisterna.parts.program import Program
from cisterna_sim.scenario.events import Event
from cisterna_sim.scenario.programs import (
    Continuous,
    PatientBolus,
    Profile,
    ProgramTable,
    Resting,
    Table,
    core,
)
from cisterna_sim.scenario.values import LINE, Exact, Number

S_PER_DAY = 86_400
_ROW_EVERY_S = 60
_MAX_ROWS = 20_000
_LIMITS = {name: (low, high, default) for name, low, high, default, _ in settings.LIMIT_FIELDS}


def _limit(name: str, unit: str, places: int) -> Exact:
    low, high, _ = _LIMITS[name]
    return Exact(low / 10**places, high / 10**places, unit, places=places)


def _local(value: datetime) -> datetime:
    # The pump's calendar counts from 2000 and knows no time zone.
    if value.tzinfo is not None or not 2000 <= value.year < 2100:
        raise PydanticCustomError(
            "refused", "allowed: a local time without offset, from 2000 to 2099"
        )
    return value


class Drug(Table):
    """Baclofen is sold at 500, 1000 and 2000 ug/mL, and at 50 for screening."""

    concentration_ug_per_ml: Annotated[int, Number(50, 2000, "ug/mL", whole=True)]


class Reservoir(Table):
    """What is in the syringe at the start; the default rig's holds 20 mL."""

    fill_nl: Annotated[int, Exact(0.1, 20, "mL", places=6)] = Field(alias="fill_ml")


class Limits(Table):
    """The pump's limits; ranges and defaults are those of the pump's own table."""

    low_nl: Annotated[int, _limit("low_nl", "mL", 6)] = Field(_LIMITS["low_nl"][2], alias="low_ml")
    empty_nl: Annotated[int, _limit("empty_nl", "mL", 6)] = Field(
        _LIMITS["empty_nl"][2], alias="empty_ml"
    )
    max_daily_dose_ng: Annotated[int, _limit("max_daily_dose_ng", "ug", 3)] = Field(
        _LIMITS["max_daily_dose_ng"][2], alias="max_daily_dose_ug"
    )
    occlusion_pa: Annotated[int, _limit("occlusion_pa", "kPa", 3)] = Field(
        _LIMITS["occlusion_pa"][2], alias="occlusion_kpa"
    )
    restarts: Annotated[int, Number(*_LIMITS["restarts"][:2], whole=True)] = _LIMITS["restarts"][2]

    def core(self) -> settings.Limits:
        """The pump's Limits; LimitError if it finds them unsound."""
        return settings.Limits(
            {
                "low_nl": self.low_nl,
                "empty_nl": self.empty_nl,
                "max_daily_dose_ng": self.max_daily_dose_ng,
                "occlusion_pa": self.occlusion_pa,
                "restarts": self.restarts,
            }
        )


class Rig(Table):
    """True properties of the rig; None leaves the plant's own default.

    ``calibrated_compliance_ul_per_kpa`` is what the pump believes; None means the truth. The spans
    are a choice: what a bench rig could be without being another rig.
    """

    compliance_ul_per_kpa: Annotated[float, Number(0.05, 20, "uL/kPa")] | None = None
    calibrated_compliance_ul_per_kpa: Annotated[float, Number(0.05, 20, "uL/kPa")] | None = None
    bore_error_ppm: Annotated[float, Number(-50_000, 50_000, "ppm")] | None = None
    oscillator_ppm: Annotated[float, Number(-500, 500, "ppm")] | None = None
    backlash_steps: Annotated[int, Number(0, 3200, "microsteps", whole=True)] | None = None
    stiction_nl: Annotated[float, Number(0, 5000, "nL")] | None = None
    pitch_error_um: Annotated[float, Number(0, 50, "um")] | None = None
    pressure_sigma_pa: Annotated[float, Number(0, 5000, "Pa")] | None = None
    posture: bool = True
    encoder: bool = True
    level: bool = True


class Scenario(Table):
    """A checked scenario; ``sim.scenario.load`` makes one from a file."""

    title: Annotated[str, LINE]
    days: Annotated[float, Number(0.01, 3650, "days")]
    seed: Annotated[int, Number(0, 2**31, whole=True)]
    start: Annotated[datetime, AfterValidator(_local)] = datetime(2026, 6, 1)
    given_sample_s: Annotated[float, Number(1, S_PER_DAY, "s")] | None = Field(
        None, alias="sample_s"
    )
    drug: Drug
    program: ProgramTable
    patient_bolus: PatientBolus | None = None
    reservoir: Reservoir
    limits: Limits = Limits()
    rig: Rig = Rig()
    events: list[Event] = Field(default=[], alias="event")
    _name: str = PrivateAttr(default="")
    _text: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self._name

    @property
    def text(self) -> str:
        """The file as it was read."""
        return self._text

    @property
    def duration_s(self) -> float:
        """Length of the run in seconds of true time."""
        return self.days * S_PER_DAY

    @property
    def sample_s(self) -> float:
        """Seconds between samples: a row a minute, and at most about 20,000 rows in all."""
        if self.given_sample_s is not None:
            return self.given_sample_s
        return max(_ROW_EVERY_S, -(-self.duration_s // _MAX_ROWS))

    def core_limits(self) -> settings.Limits:
        """The pump's Limits."""
        return self.limits.core()

    def core_program(self, program: Resting | Continuous | Profile | None = None) -> Program:
        """The pump's Program of ``program``, or of the scenario's own, with the patient bolus."""
        return core(program or self.program, self.drug.concentration_ug_per_ml, self.patient_bolus)
