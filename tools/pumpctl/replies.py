"""Reads the payload of a reply as a model or a number."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from pumpctl.errors import PumpError

_Answer = TypeVar("_Answer", bound=BaseModel)


def parse(kind: type[_Answer], text: str) -> _Answer:
    """A JSON reply; PumpError if it is not of that kind."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "reply"
        raise PumpError(
            f"the pump's answer is not a {kind.__name__}: {place}: {first['msg']}; host tools "
            "and firmware must be of the same version"
        ) from None


def integer(header: str, text: str) -> int:
    """A number; PumpError if the reply to ``header`` is none."""
    try:
        return int(text)
    except ValueError:
        raise PumpError(f"the pump answers {header} with {text[:60]!r}, no number") from None
