"""What a pump remembers: its records made by the very core on the host, as files of a board."""

import tempfile
from pathlib import Path

from cisterna.base.settings import Calibration, Limits
from cisterna.memory import Memory
from cisterna.parts.program import Program
from cisterna_sim.plant import Plant, PlantConfig
from cisterna_sim.rig import SELFTEST_S, Rig
from hal.files import FilesStore

FOLDER = "/state"
# A pump that begins with no memory grants no bolus for an hour, and a pump that lost its power
# goes on from its last save.
_LOCKED_S = 7_200


def delivering(
    config: PlantConfig, calibration: Calibration, program: Program, limits: Limits
) -> tuple[Plant, dict[str, bytes]]:
    """A rig whose pump was set up, has delivered, and lost its power: plant and files."""
    rig = Rig(config, calibration)
    rig.run_for(SELFTEST_S)
    rig.set_up(program, limits=limits)
    rig.run_for(_LOCKED_S)
    rig.power_down()
    return rig.plant, as_files(rig.store.records, list(rig.store.entries()))


def as_files(records: dict[str, bytes], entries: list[bytes]) -> dict[str, bytes]:
    """A store's content as files of a board, by path."""
    with tempfile.TemporaryDirectory() as folder:
        store = FilesStore(folder)
        for name, data in records.items():
            store.write(name, data)
        for entry in entries:
            store.append(entry)
        return {f"{FOLDER}/{path.name}": path.read_bytes() for path in Path(folder).iterdir()}


class Remembered:
    """What the files of a board say: ``memory``, and ``entries`` of the event log."""

    def __init__(self, files: dict[str, bytes], calibration: Calibration) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for path, data in files.items():
                if path.startswith(FOLDER + "/"):
                    (Path(folder) / path.rpartition("/")[2]).write_bytes(data)
            store = FilesStore(folder)
            self.entries = list(store.entries())
            self.memory = Memory(store, calibration)
