"""What the packages promise their importers: names, and imports that run one way."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"cisterna": "firmware", "cisterna_sim": "sim", "pumpctl": "tools"}
INITS = [
    path
    for name, root in PACKAGES.items()
    for path in sorted((ROOT / root / name).rglob("__init__.py"))
]
SOURCE_ROOTS = {"boards", "firmware", "sim", "tools"}
SOURCES = [
    path
    for folder in sorted({*SOURCE_ROOTS, "host_tests"})
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def module_of(path: Path) -> str:
    """The import name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", INITS, ids=module_of)
def test_what_all_says_is_what_is_exported(path: Path) -> None:
    module = importlib.import_module(module_of(path))
    promised = list(getattr(module, "__all__", []))
    assert len(set(promised)) == len(promised)
    for name in promised:
        assert getattr(module, name) is not None
    assert set(promised) <= set(dir(module))
    with pytest.raises(AttributeError):
        _ = module.no_such_name


@pytest.mark.parametrize("name", PACKAGES)
def test_each_package_has_types(name: str) -> None:
    assert (ROOT / PACKAGES[name] / name / "py.typed").is_file()


def imports(path: Path, known: set[str]) -> set[str]:
    """The modules among those known that a file imports, for types alone or in a function, too."""
    here = module_of(path)
    package = here if path.name == "__init__.py" else here.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")
            base = ".".join(up[: len(up) - node.level + 1]) if node.level else ""
            origin = ".".join(filter(None, (base, node.module or "")))
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                found.add(inner if inner in known else origin)
    return (found & known) - {here}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import one another in a circle; empty if there is none."""
    left = {name: set(needs) for name, needs in graph.items()}
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


@pytest.mark.parametrize("name", ["cisterna_sim", "pumpctl"])
def test_no_module_imports_itself_by_way_of_others(name: str) -> None:
    paths = {module_of(path): path for path in (ROOT / PACKAGES[name] / name).rglob("*.py")}
    # A package's own __init__ is loaded before what is in it, but it may be left out of the way.
    graph = {module: imports(path, set(paths)) for module, path in paths.items()}
    if name == "pumpctl":
        graph["pumpctl"] = set()  # loads what it exports when it is asked for
    assert circle(graph) == []


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}
    assert circle(graph) == ["a", "b", "c"]


def names_imported(source: str) -> set[str]:
    """Every dotted name that a file's absolute imports may stand for."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            found |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
    return found


def wrong_names(source: str) -> list[str]:
    """What a file takes from a test module, or through the folder that is a source root.

    ``tools.pumpctl`` would be a second copy of ``pumpctl``, whose errors no ``except`` catches.
    """
    return sorted(
        name
        for name in names_imported(source)
        if (
            name.split(".")[0] in {"host_tests", ""}
            and any(part.startswith("test_") for part in name.split("."))
        )
        or name.split(".")[0] in SOURCE_ROOTS
    )


def test_no_file_imports_a_test_or_goes_through_a_source_root() -> None:
    wrong = {
        str(path.relative_to(ROOT)): names
        for path in SOURCES
        if (names := wrong_names(path.read_text(encoding="utf-8")))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "source",
    [
        "from host_tests.core.test_bolus import bench",
        "from host_tests.core import test_bolus",
        "import host_tests.core.test_bolus",
        "from .test_bolus import bench",
        "from . import test_bolus",
        "import tools.pumpctl",
        "from tools import pumpctl",
        "from tools.pumpctl.client import Pump",
    ],
)
def test_such_an_import_is_found(source: str) -> None:
    assert wrong_names(source)
