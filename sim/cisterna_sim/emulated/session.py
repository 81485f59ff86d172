"""An emulated pump that has its keys and delivers, and the client at its USB console."""

from pathlib import Path
from typing import Any, NamedTuple

from cisterna.parts.program import Program
from cisterna.telemetry.keys import Keys
from cisterna_sim.emulated import board_rig
from cisterna_sim.emulated.board_rig import BoardRig
from cisterna_sim.emulated.cable import Cable
from cisterna_sim.emulated.prepare import FOLDER
from hal.files import FilesStore
from pumpctl import KeyRing, Pump
from pumpctl.keys import generate

_BOOT_S = 10
# By the host's clock, of an emulator that is some ten times slower than a board.
REPLY_S = 120.0


class Session(NamedTuple):
    """``pump`` has no session, ``clinician`` has one; both talk through ``cable`` to ``rig``."""

    rig: BoardRig
    cable: Cable
    pump: Pump
    clinician: Pump


def begin(folder: Path, program: Program, **given: Any) -> Session:
    """Switch such a pump on and wait until it delivers; the host's keys are kept in ``folder``.

    What else is ``given`` goes to `board_rig.deliver`.
    """
    keys = generate()
    store = folder / "store"
    Keys(FilesStore(str(store))).provision(list(keys.values()))
    files = {f"{FOLDER}/{path.name}": path.read_bytes() for path in store.iterdir()}
    rig = board_rig.deliver(program, files={**files, **given.pop("files", {})}, **given)
    rig.run_until(lambda: rig.wiring.enabled_us is not None, _BOOT_S)
    rig.run(1)
    cable = Cable(rig)
    ring = KeyRing(folder / "keys.toml")
    pump = Pump.over(cable, keys=ring, timeout_s=REPLY_S)
    ring.put(pump.identity.serial, keys)
    clinician = pump.as_role("clinician")
    clinician.status()
    return Session(rig, cable, pump, clinician)
