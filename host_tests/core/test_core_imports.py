"""The core stays portable: what it may import, compute with and touch, read from its sources."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "firmware" / "cisterna"
SOURCES = sorted(CORE.rglob("*.py"))
MAX_LINES = 450

RUN_TIME = {"micropython", "hashlib", "binascii", "struct", "json"}
TYPES_ONLY = {"typing", "collections.abc"}
# Floats differ between a board and a laptop; the rest is input, output or code from elsewhere.
NAMES = {"float", "complex", "open", "print", "input", "eval", "exec", "compile", "__import__"}


def _import_problems(node: ast.Import | ast.ImportFrom, types_only: bool) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom) and node.level:
        return  # test_floors.py says what may import what
    modules = (
        [node.module or ""]
        if isinstance(node, ast.ImportFrom)
        else [alias.name for alias in node.names]
    )
    allowed = RUN_TIME | TYPES_ONLY if types_only else RUN_TIME
    yield from (f"import of {module}" for module in modules if module not in allowed)


def _problems(node: ast.AST, types_only: bool = False) -> Iterator[str]:
    """What breaks the core's rules at or below a node; `types_only` inside `if TYPE_CHECKING`."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            for statement in node.body:
                yield from _problems(statement, types_only=True)
            for statement in node.orelse:
                yield from _problems(statement, types_only)
            return
        case ast.Import() | ast.ImportFrom():
            yield from (
                f"line {node.lineno}: {text}" for text in _import_problems(node, types_only)
            )
        case ast.Constant(value=float() | complex()):
            yield f"line {node.lineno}: float {node.value!r}"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            yield f"line {node.lineno}: true division"
        case ast.Name(id=name) if name in NAMES:
            yield f"line {node.lineno}: {name}"
        case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
            yield f"line {node.lineno}: asynchronous code"
    for child in ast.iter_child_nodes(node):
        yield from _problems(child, types_only)


def test_the_core_is_found() -> None:
    assert CORE / "__init__.py" in SOURCES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CORE)))
def test_core_file_is_portable_integer_code_without_clock_or_io(path: Path) -> None:
    assert list(_problems(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CORE)))
def test_core_file_is_short_enough_to_be_one_idea(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < MAX_LINES


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("import time", "import of time"),
        ("import json, os", "import of os"),
        ("from machine import Pin", "import of machine"),
        ("def f():\n    import rp2", "import of rp2"),
        ("from typing import Any", "import of typing"),
        ("if TYPE_CHECKING:\n    import time", "import of time"),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import typing", "import of typing"),
        ("if not TYPE_CHECKING:\n    import typing", "import of typing"),
        ("x = 0.5", "float 0.5"),
        ("x = 1e6", "float 1000000.0"),
        ("x = 2j", "float 2j"),
        ("x = a / b", "true division"),
        ("x /= 2", "true division"),
        ("x = float(3)", "float"),
        ("print(3)", "print"),
        ("async def f(): pass", "asynchronous code"),
    ],
)
def test_forbidden_code_is_found(source: str, problem: str) -> None:
    assert [text.split(": ", 1)[1] for text in _problems(ast.parse(source))] == [problem]


@pytest.mark.parametrize(
    "source",
    [
        "import struct, json\nfrom hashlib import sha256\nfrom micropython import const",
        "from .compat import const\nfrom . import units",
        "if TYPE_CHECKING:\n    from typing import Any\n    from collections.abc import Iterator",
        "x = a // b % c << 2",
    ],
)
def test_allowed_code_passes(source: str) -> None:
    assert list(_problems(ast.parse(source))) == []
