"""What is wrong with a scenario, a line each: file, key, value, what is allowed."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cisterna_sim.scenario.values import Kind, did_you_mean


class ScenarioError(Exception):
    """A scenario was refused. ``lines`` say why, one for each thing that is wrong."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def line(file: str, model: type[BaseModel], error: ErrorDetails) -> str:
    """One error of pydantic's in our words. Array members are counted from 1, with a #."""
    path, here, kinds = _walk(model, error["loc"])
    where, value = f"{file}: {path}", shown(error["input"])
    match error["type"]:
        case "missing":
            return f"{where} is missing: give {_wanted(here, kinds)}"
        case "extra_forbidden":
            known = [info.alias or name for m in here for name, info in m.model_fields.items()]
            hint = did_you_mean(str(error["loc"][-1]), known)
            return f"{where} = {value} is not a known key: {hint}"
        case "union_tag_not_found":
            return f"{where}.{_discriminator(error)} is missing: {_choice(here)}"
        case "union_tag_invalid":
            tag = str(error["ctx"]["tag"])
            tags = [tag for member in here for tag in _literals(member)]
            return f"{where}.{_discriminator(error)} = {shown(tag)}: {did_you_mean(tag, tags)}"
        case "refused":
            return f"{where} = {value}: {error['msg']}"
    return f"{where} = {value}: allowed: {_TYPES.get(error['type'], error['msg'])}"


_TYPES = {
    "bool_type": "true or false",
    "literal_error": "true",
    "datetime_type": "a local date and time, such as 2026-06-01T00:00:00",
    "list_type": "an array of tables",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


def _wanted(here: list[type[BaseModel]], kinds: list[Kind]) -> str:
    """What to give where a key is missing."""
    if kinds:
        return kinds[0].allowed
    if len(here) != 1:
        return f"a table; {_choice(here)}"
    needed = [f.alias or name for name, f in here[0].model_fields.items() if f.is_required()]
    return f"a table with {', '.join(needed)}"


def _choice(here: list[type[BaseModel]]) -> str:
    return f"known: {', '.join(tag for member in here for tag in _literals(member))}"


def shown(value: Any) -> str:
    """A value as the file would write it, cut short; a table by its kind."""
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "a table"
        case list():
            return "an array"
        case str():
            text = '"' + value.encode("unicode_escape").decode().replace('"', '\\"') + '"'
        case Decimal() | datetime() | date():
            text = str(value)
        case _:
            text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _walk(
    model: type[BaseModel], loc: tuple[int | str, ...]
) -> tuple[str, list[type[BaseModel]], list[Kind]]:
    """The key path in the file's own words, the models it ends at, and the kinds of value there.

    For an unknown key the models are those of its table.

    pydantic puts the tag of a union's member into the location; it is not a key of the file.
    """
    path = ""
    here: list[type[BaseModel]] = [model]
    kinds: list[Kind] = []
    for part in loc:
        if isinstance(part, int):
            path += f"#{part + 1}"
            continue
        if len(here) > 1:
            tagged = [m for m in here if part in _literals(m)]
            if tagged:
                here = tagged
                continue
        path += f".{part}" if path else part
        field = _field(here[0], part) if here else None
        if field is None:
            break
        here = _models(field.annotation) or _models(tuple(field.metadata))
        kinds = _kinds(field)
    return path, here, kinds


def _field(model: type[BaseModel], key: str) -> FieldInfo | None:
    for name, info in model.model_fields.items():
        if (info.alias or name) == key:
            return info
    return None


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in get_args(annotation) for m in _models(part)]


def _kinds(field: FieldInfo) -> list[Kind]:
    def inside(annotation: Any) -> list[Kind]:
        if isinstance(annotation, Kind):
            return [annotation]
        return [kind for part in get_args(annotation) for kind in inside(part)]

    return [k for k in field.metadata if isinstance(k, Kind)] + inside(field.annotation)


def _literals(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(
        value
        for key in ("do", "kind")
        if key in model.model_fields
        for value in get_args(model.model_fields[key].annotation)
    )


def _discriminator(error: ErrorDetails) -> str:
    return str(error["ctx"]["discriminator"]).strip("'")
