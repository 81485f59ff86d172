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
