"""Runs the programs that fetch and build, with all they print in one log."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cisterna_tools.image import ImageError, cache


def log() -> Path:
    """What the programs printed."""
    return cache.folder() / "build.log"


def run(command: Sequence[str], where: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run a program to its end; ImageError with its last words if it fails."""
    with log().open("ab") as file:
        file.write(f"\n$ {' '.join(command)}\n".encode())
        file.flush()
        try:
            done = subprocess.run(
                command,
                cwd=where,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise ImageError(f"{command[0]} does not run: {error.strerror}") from None
    if done.returncode:
        raise ImageError(f"{command[0]} failed: {_reason()} (all of it: {log()})")


def _reason() -> str:
    """The last line that names an error, since make's own last words do not; else the last."""
    lines = log().read_text(errors="replace").split("\n$ ")[-1].rstrip().splitlines()
    named = [line.strip() for line in lines if "rror: " in line or line.startswith("E: ")]
    return (named or lines)[-1]
