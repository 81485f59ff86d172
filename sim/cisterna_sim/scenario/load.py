"""From a TOML file to a checked Scenario, or to a list of everything that is wrong with it."""

import tomllib
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cisterna.base.units import LimitError
from cisterna_sim.scenario.errors import ScenarioError, line
from cisterna_sim.scenario.events import SetProgram
from cisterna_sim.scenario.model import Scenario
from cisterna_sim.scenario.values import did_you_mean

FOLDER = Path(__file__).parent.parent / "scenarios"
DEFAULT = "day"


def load(
    path_or_name: str | Path = DEFAULT, days: float | None = None, seed: int | None = None
) -> Scenario:
    """Read and check a scenario: a path, or the name of one in ``sim/scenarios``.

    ``days`` and ``seed`` take the place of the file's. Events must lie inside the file's own days;
    those beyond shorter ``days`` stay in the scenario and are not reached.
    ScenarioError names everything that is wrong.
    """
    path = _path(path_or_name)
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text, parse_float=_decimal)
    except OSError as error:
        raise ScenarioError([f"{path}: cannot be read: {error.strerror}"]) from None
    # TOMLDecodeError and UnicodeDecodeError are ValueErrors, as are digits without end.
    except (ValueError, RecursionError) as error:
        raise ScenarioError([f"{path}: not valid TOML: {error}"]) from None
    scenario = _validated(str(path), table)
    _cross_check(str(path), scenario)
    given = {key: value for key, value in (("days", days), ("seed", seed)) if value is not None}
    if given:
        scenario = _validated("command line", {**table, **given})
    scenario._name = path.stem
    scenario._text = text
    return scenario


def available() -> list[tuple[str, str]]:
    """Name and title of every scenario in ``sim/scenarios``, by name."""
    names = sorted(path.stem for path in FOLDER.glob("*.toml"))
    return [(name, load(name).title) for name in names]


def unreached(scenario: Scenario) -> int:
    """How many timed events lie beyond the end of the run."""
    return sum(1 for e in scenario.events if e.at_s is not None and e.at_s >= scenario.duration_s)


def _path(path_or_name: str | Path) -> Path:
    path = Path(path_or_name)
    if path.suffix == ".toml" or len(path.parts) > 1:
        return path
    named = FOLDER / f"{path}.toml"
    if not named.is_file():
        known = sorted(p.stem for p in FOLDER.glob("*.toml"))
        raise ScenarioError([f"no scenario is called {str(path)!r}: "
                             f"{did_you_mean(str(path), known)}"])  # fmt: skip
    return named


def _span(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours // 24}d {hours % 24:02}:{minute:02}:{second:02}"


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        # An exponent beyond Decimal's: no range holds it, so it may as well be no number.
        return Decimal("NaN")


def _validated(file: str, table: dict[str, Any]) -> Scenario:
    try:
        return Scenario.model_validate(table)
    except ValidationError as errors:
        raise ScenarioError(
            [line(file, Scenario, error) for error in errors.errors(include_url=False)]
        ) from None


def _cross_check(file: str, scenario: Scenario) -> None:
    """What no key alone can tell; the pump itself is asked about limits and programs."""
    lines = []
    for number, event in enumerate(scenario.events, 1):
        if event.at_s is not None and event.at_s >= scenario.duration_s:
            lines.append(
                f"{file}: event#{number}.at = {_span(event.at_s)}: allowed: before the "
                f"end of the run, {_span(scenario.duration_s)}"
            )
    try:
        limits = scenario.core_limits()
    except LimitError as error:
        raise ScenarioError([*lines, f"{file}: limits: {error}"]) from None
    programs = [("program", scenario.program)]
    programs += [
        (f"event#{number}.program", event.program)
        for number, event in enumerate(scenario.events, 1)
        if isinstance(event, SetProgram)
    ]
    for path, program in programs:
        try:
            scenario.core_program(program).check_against(limits)
        except LimitError as error:
            lines.append(f"{file}: {path}: {error}")
    if lines:
        raise ScenarioError(lines)
