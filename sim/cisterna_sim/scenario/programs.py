"""The therapy tables of a scenario: program and patient bolus, as the pump's own Program.

Doses become whole ng here, exactly. Which programs are sound (order of segments, rates within the
limits) is for the pump to say: ``core`` makes its Program and passes its LimitError on.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cisterna.parts.calendar import ALL_DAYS
from cisterna.parts.program import KINDS, Program
from cisterna_sim.scenario.values import CLOCK, DAYS, Exact, Number


class Table(BaseModel):
    """A table of the file: no unknown key, no conversion, sealed once made."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


# 100 mg/day is the core's own bound; the limits then refuse all but what the pump may give.
DoseRate = Annotated[int, Exact(0.001, 100_000, "ug/day")]


class Segment(Table):
    """A dose rate from a time of day on, on certain weekdays (a mask, bit 0 is Monday)."""

    start_min: Annotated[int, CLOCK] = Field(alias="start")
    dose_ng_per_day: DoseRate = Field(alias="dose_ug_per_day")
    days: Annotated[int, DAYS] = ALL_DAYS


class Resting(Table):
    """No dose is programmed: stopped, or the least rate of the limits."""

    kind: Literal["stopped", "minimum"]

    def segments_ng(self) -> tuple[tuple[int, int, int], ...]:
        """The core's segments: (weekday mask, start minute, ng/day)."""
        return ()


class Continuous(Table):
    """One dose rate."""

    kind: Literal["continuous"]
    dose_ng_per_day: DoseRate = Field(alias="dose_ug_per_day")

    def segments_ng(self) -> tuple[tuple[int, int, int], ...]:
        """The core's segments: (weekday mask, start minute, ng/day)."""
        return ((ALL_DAYS, 0, self.dose_ng_per_day),)


class Profile(Table):
    """A dose rate for each part of the day: up to 24 a weekday, sorted, the first at 00:00."""

    kind: Literal["profile"]
    segments: list[Segment]

    def segments_ng(self) -> tuple[tuple[int, int, int], ...]:
        """The core's segments: (weekday mask, start minute, ng/day)."""
        return tuple((s.days, s.start_min, s.dose_ng_per_day) for s in self.segments)


ProgramTable = Annotated[Resting | Continuous | Profile, Field(discriminator="kind")]


class PatientBolus(Table):
    """What one press may give. Lockout 60 min and cap 6 a day: the pump's defaults (choice)."""

    dose_ng: Annotated[int, Exact(0.001, 1000, "ug")] = Field(alias="dose_ug")
    duration_min: Annotated[int, Number(1, 240, "min", whole=True)]
    lockout_min: Annotated[int, Number(5, 1440, "min", whole=True)] = 60
    daily_cap: Annotated[int, Number(0, 24, "in 24 h", whole=True)] = 6


def core(
    program: Resting | Continuous | Profile,
    concentration_ug_per_ml: int,
    bolus: PatientBolus | None,
) -> Program:
    """The pump's Program of these tables; LimitError if the pump finds it unsound."""
    kind = KINDS.index(program.kind)
    if bolus is None:
        return Program(kind, concentration_ug_per_ml, program.segments_ng())
    return Program(
        kind,
        concentration_ug_per_ml,
        program.segments_ng(),
        bolus.dose_ng,
        bolus.duration_min * 60,
        bolus.lockout_min * 60,
        bolus.daily_cap,
    )
