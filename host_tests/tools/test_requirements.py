"""Every requirement is proved by a test, or stands here as not yet proved.

Read from the sources, so that the answer is the same whichever tests are selected to run.
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1]
REQUIREMENTS = {
    requirement
    for group in tomllib.loads((FOLDER / "requirements.toml").read_text(encoding="utf-8")).values()
    for requirement in group
}

# Ids that no test names yet. An id leaves with its first test and never comes back.
NOT_YET = frozenset(("B06", "B07"))


def _is_req(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.req")


def _named_by(node: ast.AST) -> Iterator[str]:
    """The ids in the `req` markers below a node that reach a test."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        collected = node.name.startswith(("test", "Test"))
        skipped = () if collected else node.decorator_list
        children = [child for child in ast.iter_child_nodes(node) if child not in skipped]
    else:
        children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Call) and _is_req(node):
        yield from (ast.literal_eval(arg) for arg in node.args)
    for child in children:
        yield from _named_by(child)


def _all_named() -> set[str]:
    """The ids that the tests in this folder name."""
    return {
        requirement
        for path in FOLDER.rglob("test_*.py")
        for requirement in _named_by(ast.parse(path.read_text(encoding="utf-8")))
    }


def test_every_requirement_is_named_by_a_test_or_stands_as_not_yet_proved() -> None:
    assert REQUIREMENTS - _all_named() - NOT_YET == set()


def test_a_requirement_leaves_not_yet_with_its_first_test() -> None:
    assert _all_named() & NOT_YET == set()


def test_tests_name_requirements_that_exist() -> None:
    assert (_all_named() | NOT_YET) - REQUIREMENTS == set()


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("@pytest.mark.req('X1', 'X2')\ndef test_a(): ...", {"X1", "X2"}),
        ("@pytest.mark.req('X1')\nclass TestA: ...", {"X1"}),
        ("class TestA:\n    @mark.req('X1')\n    def test_a(self): ...", {"X1"}),
        ("TestA = Machine.TestCase\nTestA.pytestmark = [pytest.mark.req('X1')]", {"X1"}),
        ("CASES = [pytest.param(1, marks=pytest.mark.req('X1'))]", {"X1"}),
        ("@pytest.mark.req('X1')\ndef helper(): ...", set()),
        ("@pytest.mark.req('X1')\nclass Machine: ...", set()),
        ("@pytest.mark.slow\ndef test_a():\n    'X1'", set()),
    ],
)
def test_only_markers_that_reach_a_test_count(source: str, named: set[str]) -> None:
    assert set(_named_by(ast.parse(source))) == named
