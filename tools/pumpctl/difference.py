"""Two programs side by side, line by line, with what changes."""

from dataclasses import dataclass

from cisterna.parts.calendar import ALL_DAYS
from cisterna.parts.program import KIND_CONTINUOUS, KIND_PROFILE, KINDS, Program
from pumpctl.program_file import clock, micrograms, weekdays


@dataclass(frozen=True)
class Line:
    """One property, before and after; None where it is not there."""

    name: str
    old: str | None
    new: str | None

    @property
    def changed(self) -> bool:
        """True if both differ."""
        return self.old != self.new


def compare(old: Program | None, new: Program | None) -> list[Line]:
    """Every property of either program, in the order of a program file."""
    before, after = _properties(old), _properties(new)
    names = list(after) + [name for name in before if name not in after]
    return sorted(
        (Line(name, before.get(name), after.get(name)) for name in names),
        key=lambda line: _place(line.name),
    )


def _place(name: str) -> tuple[int, str]:
    """Segments by day and time, in the place that segments have."""
    for place, head in enumerate(_ORDER):
        if name.startswith(head):
            return place, name
    return _ORDER.index("from"), name


_ORDER = ("concentration", "kind", "dose", "from", "patient bolus", "lockout", "daily cap")


def _properties(program: Program | None) -> dict[str, str]:
    if program is None:
        return {}
    found = {
        "concentration": f"{program.concentration_ug_per_ml} ug/mL",
        "kind": KINDS[program.kind],
    }
    if program.kind == KIND_CONTINUOUS:
        found["dose"] = f"{micrograms(program.segments[0][2])} ug/day"
    elif program.kind == KIND_PROFILE:
        for days, start_min, dose_ng in program.segments:
            on = "" if days == ALL_DAYS else f" {weekdays(days)}"
            found[f"from {clock(start_min)}{on}"] = f"{micrograms(dose_ng)} ug/day"
    if program.bolus_dose_ng:
        found["patient bolus"] = (
            f"{micrograms(program.bolus_dose_ng)} ug in {_span(program.bolus_s)}"
        )
        found["lockout"] = _span(program.lockout_s)
        found["daily cap"] = f"{program.daily_cap} in 24 h"
    else:
        found["patient bolus"] = "none"
    return found


def _span(seconds: int) -> str:
    minutes, rest_s = divmod(seconds, 60)
    return f"{minutes} min" if not rest_s else f"{seconds} s"
