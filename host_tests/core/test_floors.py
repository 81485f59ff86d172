"""Imports run down only: no file of the firmware takes anything from a floor above its own.

Imports for types alone count, too: what a reader must know is the same.
"""

import ast
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parents[2] / "firmware"
# From the top; a file may import from its own floor, if no circle follows, and from those below.
FLOORS = (
    ("hal.loop", "hal.health", "hal.conversation"),
    ("cisterna.telemetry",),
    ("cisterna.orders",),
    ("cisterna.controller",),
    (
        "cisterna.bolus_control",
        "cisterna.occlusion_response",
        "cisterna.fault_conditions",
        "cisterna.selftest",
        "cisterna.alarm_test",
    ),
    ("cisterna.pump",),
    ("cisterna.schedule", "cisterna.refill", "cisterna.memory", "cisterna.events"),
    ("cisterna.parts",),
    ("cisterna.base",),
)
# Beside the core: what a board's ports are made of. It may use parts and base of the core.
PORTS = "hal"


def module_of(path: Path) -> str:
    """The dotted name of a source file."""
    name = ".".join(path.relative_to(FIRMWARE).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {
    module_of(path): path
    for folder in ("cisterna", "hal")
    for path in sorted((FIRMWARE / folder).rglob("*.py"))
}


def imports_of(module: str) -> set[str]:
    """The modules of the firmware that it imports, at run time or for types."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            start = ".".join([*base, *filter(None, [node.module])]) if node.level else node.module
            for alias in node.names:
                named = f"{start}.{alias.name}"
                found.add(named if named in MODULES else str(start))
    return found & MODULES.keys() - {module}


def floor_of(module: str) -> int | None:
    """Number of its floor from the top; None for a board's ports and the packages themselves."""
    for number, names in enumerate(FLOORS):
        if any(module == name or module.startswith(name + ".") for name in names):
            return number
    return None


def problems(module: str, imported: set[str]) -> list[str]:
    """What it takes from above."""
    own = floor_of(module)
    found = []
    for other in sorted(imported):
        floor = floor_of(other)
        if own is None and module.startswith(PORTS):
            above = floor is not None and floor < len(FLOORS) - 2
        else:
            above = own is not None and floor is not None and floor < own
        if above or (own is not None and own > 0 and other.startswith(PORTS)):
            found.append(f"{module} imports {other}")
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one circle of imports, or none."""
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> list[str]:
        if module in way:
            return way[way.index(module) :]
        if module in done:
            return []
        for other in sorted(graph[module]):
            found = walk(other, [*way, module])
            if found:
                return found
        done.add(module)
        return []

    for module in sorted(graph):
        found = walk(module, [])
        if found:
            return found
    return []


def test_every_file_of_the_core_has_a_floor() -> None:
    packages = {"cisterna"}
    assert [name for name in MODULES if name[:8] == "cisterna" and floor_of(name) is None] == [
        name for name in packages if name in MODULES
    ]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_run_down_only(module: str) -> None:
    assert problems(module, imports_of(module)) == []


def test_there_is_no_circle() -> None:
    assert circle({module: imports_of(module) for module in MODULES}) == []


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("cisterna.base.units", "cisterna.parts.ledger"),
        ("cisterna.pump", "cisterna.controller"),
        ("cisterna.bolus_control", "cisterna.controller"),
        ("cisterna.events", "cisterna.telemetry.keys"),
        ("cisterna.orders", "cisterna.telemetry.server"),
        ("cisterna.memory", "hal.files"),
        ("hal.common", "cisterna.pump"),
    ],
)
def test_an_import_from_above_is_found(module: str, other: str) -> None:
    assert problems(module, {other}) == [f"{module} imports {other}"]


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}
    assert circle(graph) == ["b", "c"]
