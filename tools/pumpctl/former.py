"""The program that a pump had before the last change from this host, for going back to it."""

from pathlib import Path

from cisterna.parts.program import Program
from pumpctl import program_file
from pumpctl.errors import BadValue
from pumpctl.keys import write_private

FOLDER = "programs"


def put(keys_path: Path, serial: str, program: Program) -> None:
    """Keep a program beside the keys file, in place of the one kept before."""
    write_private(_path(keys_path, serial), program_file.dump(program))


def get(keys_path: Path, serial: str) -> Program:
    """The program kept; BadValue if there is none."""
    path = _path(keys_path, serial)
    if not path.is_file():
        raise BadValue(
            f"this host knows no former program of pump {serial}; give one with program set FILE"
        )
    return program_file.load(path)


def _path(keys_path: Path, serial: str) -> Path:
    return keys_path.parent / FOLDER / f"{serial}.toml"
