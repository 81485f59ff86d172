"""How the pump's integers, whose names end in a unit, read for people."""

from pumpctl.cli.out import scaled, span

# 0 and 1 are the pump's truth values.
_FLAGS = ("discrepancy",)
# Ending of the name: (thousands to divide by, unit), the longer ones first.
_UNITS = (
    ("_nl_per_day", 2, "mL/day"),
    ("_ng_per_day", 1, "ug/day"),
    ("_ug_per_ml", 0, "ug/mL"),
    ("_nl", 2, "mL"),
    ("_ng", 1, "ug"),
    ("_pa", 1, "kPa"),
    ("_mv", 1, "V"),
)


def label(name: str) -> str:
    """The name without its unit, as words."""
    for ending, _, _ in _UNITS:
        if name.endswith(ending):
            return name.removesuffix(ending).replace("_", " ")
    return name.removesuffix("_s").replace("_", " ")


def amount(name: str, value: object) -> str:
    """The value with its unit, exact; 'unknown' for None."""
    if value is None:
        return "unknown"
    if name in _FLAGS:
        return "yes" if value else "no"
    if not isinstance(value, int):
        return str(value)
    for ending, thousands, unit in _UNITS:
        if name.endswith(ending):
            return scaled(value, thousands, unit)
    return span(value) if name.endswith("_s") else str(value)


def measured(name: str, value: int | None) -> str:
    """A reading with its unit; None is one that could not be taken."""
    return "not measured" if value is None else amount(name, value)
