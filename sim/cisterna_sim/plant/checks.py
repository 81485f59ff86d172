"""Refusing a fault or a refill that means nothing: the value, its limits, and no change made."""

import math


def in_range(name: str, value: float, low: float, high: float = math.inf) -> float:
    """Return ``value`` if it is finite and in ``low..high``, else raise ValueError."""
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} = {value} is not a number in {low}..{high}")
    return value
