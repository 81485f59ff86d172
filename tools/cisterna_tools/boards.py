"""Looks up what tools need of board files and firmware, without running either."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = "boards/cisterna_boards"


class BoardError(Exception):
    """There is no such board, or a file does not say what it must, in one line."""


def source(board: str, root: Path = ROOT) -> Path:
    """The board file of that name."""
    folder = root / FOLDER
    names = sorted(path.stem for path in folder.glob("[!_]*.py"))
    if board not in names:
        raise BoardError(f"BOARD = {board}: no {FOLDER}/{board}.py; there are {', '.join(names)}")
    return folder / f"{board}.py"


def version(root: Path = ROOT) -> str:
    """The firmware's version."""
    return constant(root / "firmware/cisterna/base/version.py", "VERSION")


def constant(path: Path, name: str) -> str:
    """The string that a Python file gives ``name``."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if name in targets and isinstance(node.value.value, str):
                return node.value.value
    raise BoardError(f"{path.name} has no line {name} = '...'")
