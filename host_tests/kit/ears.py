"""A recorder that only hears."""

from typing import Any


class Ears:
    """A recorder that keeps the events and forgets the rest."""

    def __init__(self) -> None:
        self.events: list[tuple[float, int, str, str]] = []

    def event(self, true_s: float, pump_cs: int, name: str, detail: str = "") -> None:
        self.events.append((true_s, pump_cs, name, detail))

    def sample(self, row: tuple[Any, ...]) -> None:
        pass

    def meta(self, **facts: Any) -> None:
        pass
