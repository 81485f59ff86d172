"""A program as a TOML file: the tables ``drug``, ``program`` and ``patient_bolus`` of a scenario.

[drug]
concentration_ug_per_ml = 2000

[program]
kind = "profile"
segments = [
    { start = "00:00", dose_ug_per_day = 240 },
    { start = "06:00", dose_ug_per_day = 330, days = "mon-fri" },
]

[patient_bolus]  # may be left out: none then
dose_ug = 10
duration_min = 20
"""

import tomllib
from decimal import Decimal
from pathlib import Path

from pydantic import ValidationError

from cisterna.base.units import LimitError
from cisterna.parts.calendar import ALL_DAYS
from cisterna.parts.program import KIND_CONTINUOUS, KIND_PROFILE, KINDS, Program
from cisterna_sim.scenario.errors import line
from cisterna_sim.scenario.model import Drug
from cisterna_sim.scenario.programs import PatientBolus, ProgramTable, Table, core
from cisterna_sim.scenario.values import WEEKDAYS
from pumpctl.errors import BadValue


class ProgramFile(Table):
    """What the file may say."""

    drug: Drug
    program: ProgramTable
    patient_bolus: PatientBolus | None = None


def load(path: Path) -> Program:
    """The program in a file; BadValue names file, key, value and what is allowed."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise BadValue(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise BadValue(f"{path}: not valid TOML: {error}") from None
    try:
        parsed = ProgramFile.model_validate(table)
        return core(parsed.program, parsed.drug.concentration_ug_per_ml, parsed.patient_bolus)
    except ValidationError as errors:
        lines = [line(str(path), ProgramFile, e) for e in errors.errors(include_url=False)]
        raise BadValue("\n".join(lines)) from None
    except LimitError as error:
        raise BadValue(f"{path}: program: {error}") from None


def dump(program: Program) -> str:
    """The file of a program: ``load`` makes the same one of it. BadValue: no file can say it."""
    if program.bolus_s % 60 or program.lockout_s % 60:
        raise BadValue(
            f"a bolus of {program.bolus_s} s with a lockout of {program.lockout_s} s is not whole "
            "minutes, as a file has them; look at it without --toml"
        )
    out = [
        "[drug]",
        f"concentration_ug_per_ml = {program.concentration_ug_per_ml}",
        "",
        "[program]",
        f'kind = "{KINDS[program.kind]}"',
    ]
    if program.kind == KIND_CONTINUOUS:
        out.append(f"dose_ug_per_day = {micrograms(program.segments[0][2])}")
    elif program.kind == KIND_PROFILE:
        out += ["segments = [", *(f"    {_segment(*row)}," for row in program.segments), "]"]
    if program.bolus_dose_ng:
        out += [
            "",
            "[patient_bolus]",
            f"dose_ug = {micrograms(program.bolus_dose_ng)}",
            f"duration_min = {program.bolus_s // 60}",
            f"lockout_min = {program.lockout_s // 60}",
            f"daily_cap = {program.daily_cap}",
        ]
    return "\n".join(out) + "\n"


def micrograms(nanograms: int) -> str:
    """ng as ug, exactly."""
    return f"{Decimal(nanograms).scaleb(-3):f}".rstrip("0").rstrip(".") if nanograms else "0"


def _segment(days: int, start_min: int, dose_ng_per_day: int) -> str:
    parts = [f'start = "{clock(start_min)}"', f"dose_ug_per_day = {micrograms(dose_ng_per_day)}"]
    if days != ALL_DAYS:
        parts.append(f'days = "{weekdays(days)}"')
    return "{ " + ", ".join(parts) + " }"


def clock(minutes: int) -> str:
    """Minutes after midnight as HH:MM."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def weekdays(mask: int) -> str:
    """A mask of weekdays, bit 0 being Monday, as their names."""
    return " ".join(WEEKDAYS[day] for day in range(7) if mask >> day & 1)
