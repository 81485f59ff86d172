"""What a pump answers, by name and unit. What a newer pump says besides is kept as it came."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel

from cisterna.parts.program import KINDS, Program

# The pump's wall clock counts from here, in local time.
EPOCH = datetime(2000, 1, 1)
# 0 and 1 are the pump's truth values.
Flag = Annotated[bool, BeforeValidator(lambda value: {0: False, 1: True}.get(value, value))]


def wall_time(wall_s: int | None) -> datetime | None:
    """The pump's wall time as local time, or None if its clock is not set."""
    return None if wall_s is None else EPOCH + timedelta(seconds=wall_s)


def wall_seconds(when: datetime) -> int:
    """A local time as the pump counts it; a time zone, if any, is taken off."""
    return int((when.replace(tzinfo=None) - EPOCH).total_seconds())


class Answer(BaseModel):
    """A JSON reply."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Settings(RootModel[dict[str, int]]):
    """LIM?, CAL? and SYST:LINK?: integers by name."""


class Delivery(Answer):
    """What telemetry and STAT? share. None: not known, or cannot be measured."""

    mode: str
    rate_nl_per_day: int
    bolus: str | None = None
    delivered_nl: int
    remaining_nl: int | None
    pressure_pa: int | None
    alarms: list[str]


class Status(Delivery):
    """STAT?: everything at a glance. Times ``*_in_s`` count from now."""

    resting: str
    basal_nl_per_day: int
    programmed: Flag
    signal: str
    audible: Flag
    low_in_s: int | None
    refill_in_s: int | None
    supply_mv: int | None
    level_nl: int | None
    clock_known: Flag
    wall_s: int | None
    pump_s: int
    stopped_s: int
    missed_nl: int


class Sample(Delivery):
    """A telemetry line: ``seq`` counts lines, ``dropped`` those the pump had no room to send."""

    seq: int
    dropped: int
    t_ms: int


class LogEvent(Answer):
    """An entry of the event log, sent as soon as it was made; ``log`` is its place there."""

    seq: int
    dropped: int
    t_ms: int
    event: str
    detail: str
    log: int


class Therapy(Answer):
    """PROG?: the program in use. ``segments`` are (days mask, start in min, dose in ng/day)."""

    kind: str
    concentration_ug_per_ml: int
    bolus_dose_ng: int
    bolus_s: int
    lockout_s: int
    daily_cap: int
    mean_nl_per_day: int
    mean_ng_per_day: int
    segments: list[tuple[int, int, int]]

    def program(self) -> Program:
        """The same as the pump's core knows it; LimitError if it is none."""
        return Program(
            KINDS.index(self.kind),
            self.concentration_ug_per_ml,
            tuple(self.segments),
            self.bolus_dose_ng,
            self.bolus_s,
            self.lockout_s,
            self.daily_cap,
        )


class Reservoir(Answer):
    """RES?: the account of the reservoir."""

    known: Flag
    fill_nl: int
    concentration_ug_per_ml: int
    remaining_nl: int | None
    most_remaining_nl: int | None
    delivered_nl: int
    primed_nl: int
    forward_steps: int
    reversed_steps: int
    unsure_steps: int
    low_nl: int
    empty_nl: int
    capacity_nl: int
    worst_day_nl: int
    low_in_s: int | None
    refill_in_s: int | None


class Bolus(Answer):
    """BOL?: what runs, what was given, what the patient may have."""

    running: str | None
    volume_nl: int
    delivered_nl: int
    patient_dose_ng: int
    patient_count_24h: int
    daily_cap: int
    dose_24h_ng: int
    lockout_s: int


class Alarm(Answer):
    """An alarm that stands: ``active``, its condition holds; ``acknowledged``, somebody saw it."""

    name: str
    priority: str
    active: bool
    acknowledged: bool


class Alarms(Answer):
    """ALAR?: the alarms that stand, highest first, and what stopped the pump first, if any."""

    first_stop: str | None
    alarms: Annotated[list[Alarm], BeforeValidator(lambda rows: [_alarm(row) for row in rows])]


def _alarm(row: Any) -> Any:
    name, priority, condition, seen = row
    return {
        "name": name,
        "priority": priority,
        "active": condition == "active",
        "acknowledged": seen == "acknowledged",
    }


class Clock(Answer):
    """CLOC?: ``mean``, the daily mean is delivered as the hour is not known."""

    known: Flag
    wall_s: int | None
    pump_s: int
    program_minute: int | None
    mean: Flag

    @property
    def wall(self) -> datetime | None:
        """The wall time, local; None if the clock is not set."""
        return wall_time(self.wall_s)


class Staged(Answer):
    """What a STAGE reply or STAG? says; the old_* and new_* members are in ``model_extra``."""

    id: int
    what: str
    role: str = ""
    expires_s: int = Field(gt=0)
    confirm: Flag
    change_permille: int | None = None
    echo: str
    pressed: Flag = False
    confirmed: Flag = False
    left_s: int | None = None
