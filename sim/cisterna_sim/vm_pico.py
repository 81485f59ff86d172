"""The pump on the 32-bit VM as it is on a Pico: all of it, in a heap of the Pico's size.

The firmware, its LittleFS, asyncio and the port's PIO assembler are the board's; under them
``machine`` and the RP2040's state machines are fakes, frozen in, of a rig on which nothing goes
wrong. Time is this machine's.

The fakes lie on the heap with more than a board's ports do: what is free here was up to 7 kB less
than on the emulated Pico, never more.
"""

import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from cisterna.base.modes import BOLUS
from cisterna.base.settings import Limits
from cisterna.parts.calendar import ALL_DAYS
from cisterna.parts.program import KIND_CONTINUOUS, Program
from cisterna.telemetry.keys import Keys
from cisterna_sim.emulated import flash
from cisterna_sim.emulated.board_rig import board_data
from cisterna_sim.emulated.prepare import FOLDER, delivering
from cisterna_sim.plant import PlantConfig
from cisterna_sim.vm import ROOT, VmError
from cisterna_tools import boards
from cisterna_tools.image import ImageError, release, vm32
from hal.files import FilesStore
from pumpctl import KeyRing, Pump
from pumpctl.errors import LinkLost
from pumpctl.keys import generate

FAKES = ROOT / "host_tests" / "kit" / "fakes" / "pico"
BOARD = "pico"
# With its tables of blocks; gc.mem_free() + gc.mem_alloc() are 246,144, as on an emulated Pico.
HEAP_BYTES = 251_932
# 150 uL/day; a patient bolus of 10 uL over a minute, so that steps come often.
PROGRAM = Program(KIND_CONTINUOUS, 2_000, ((ALL_DAYS, 0, 300_000),), 20_000, 60, 3_600, 6)
TELEMETRY_MS = 100
# How long the bolus is watched, and by when it must have begun.
DOSING_S, BEGUN_S = 5, 15
_REPLY_S = 10.0
_CHUNK_BYTES = 4_096


class Heap(NamedTuple):
    """Bytes while dosing with a session open and telemetry at 10 Hz: the least of each second.

    ``before`` were in use before the pump: the VM's own, and what the fakes take.
    """

    free: int
    largest: int
    before: int


def heap(folder: Path, frozen: bool) -> Heap:
    """Run the pump, frozen as in the image or from its files; VmError says why it did not."""
    staged = folder / "frozen"
    if frozen:
        release.stage(boards.source(BOARD), boards.version(), staged)
    shutil.copytree(FAKES, staged, dirs_exist_ok=True)
    try:
        machine = vm32.with_frozen(staged)
    except ImageError as error:
        raise VmError(f"no 32-bit VM: {error}") from None
    keys = generate()
    given = _prepare(folder, {} if frozen else flash.firmware(BOARD), keys)
    command = [str(machine), "-X", f"heapsize={HEAP_BYTES}", "-m", "start"]
    with (folder / "reports").open("w+") as reports:
        process = subprocess.Popen(
            command,
            env={**os.environ, **given},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=reports,
            bufsize=0,
        )
        with process:
            try:
                _talk(process, folder, keys)
            finally:
                process.kill()
        reports.seek(0)
        return _least(reports.read())


def _prepare(folder: Path, files: dict[str, bytes], keys: dict[str, bytes]) -> dict[str, str]:
    """Leave what its flash holds, with a pump that was delivering; the VM's environment."""
    data = board_data(BOARD)
    config = PlantConfig(concentration_ug_per_ml=PROGRAM.concentration_ug_per_ml)
    _, memory = delivering(config, data.calibration, PROGRAM, Limits({}))
    store = folder / "store"
    Keys(FilesStore(str(store))).provision(list(keys.values()))
    secret = {f"{FOLDER}/{path.name}": path.read_bytes() for path in store.iterdir()}
    image = folder / "flash"
    image.write_bytes(flash.file_system({**files, **memory, **secret}))
    calibration, pins = data.calibration, data.pins
    raw = {
        pins["pressure"]: calibration.pressure_raw(2_000),
        pins["level"]: calibration.level_raw(round(config.fill_ml * 1e6)),
        pins["supply"]: 5_000 * calibration.supply_raw_per_mv,
    }
    return {"FLASH": str(image), "ADC": " ".join(f"{pin}:{value}" for pin, value in raw.items())}


def _talk(process: "subprocess.Popen[bytes]", folder: Path, keys: dict[str, bytes]) -> None:
    """Open a session, ask for telemetry, and look at the pump ten times a second in its bolus."""
    ring = KeyRing(folder / "keys.toml")
    pump = Pump.over(_Pipes(process), keys=ring, timeout_s=_REPLY_S)
    ring.put(pump.identity.serial, keys)
    clinician = pump.as_role("clinician")
    clinician.query("TEL:PER", TELEMETRY_MS)
    end_s = time.monotonic() + BEGUN_S
    while clinician.status().mode != "BOLUS":
        if time.monotonic() > end_s:
            raise VmError(f"no bolus within {BEGUN_S} s: {clinician.status()}")
        time.sleep(TELEMETRY_MS / 1e3)
    end_s = time.monotonic() + DOSING_S
    while time.monotonic() < end_s:
        clinician.status()
        time.sleep(TELEMETRY_MS / 1e3)


def _least(reports: str) -> Heap:
    """The least of the reports while the bolus ran."""
    first, *lines = reports.splitlines()
    rows = [tuple(map(int, line.split())) for line in lines]
    dosing = [row for row in rows if row[0] == BOLUS]
    if len(dosing) < DOSING_S // 2:
        raise VmError(f"too few reports of a bolus: {reports}")
    return Heap(min(row[1] for row in dosing), min(row[2] for row in dosing), int(first))


class _Pipes:
    """A transport for pumpctl to a process's standard streams."""

    port = "VM"

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._into, self._out = process.stdin, process.stdout

    def reopen(self) -> None:
        """A process that has ended does not come back."""
        raise LinkLost("the VM has ended")

    def close(self) -> None:
        """The process's end closes them."""

    def write(self, data: bytes) -> None:
        """Type it."""
        self._into.write(data)

    def read(self, timeout_s: float) -> bytes:
        """What has come within that time."""
        ready, _, _ = select.select([self._out], [], [], timeout_s)
        return os.read(self._out.fileno(), _CHUNK_BYTES) if ready else b""

    def now_s(self) -> float:
        """This machine's clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        time.sleep(seconds)
