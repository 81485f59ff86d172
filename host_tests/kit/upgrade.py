"""The flash of a pump that 0.1.0 left delivering: what was on it, for firmware that comes after.

``flash-0.1.0.xz`` is the file system of an emulated Pico on which 0.1.0 ran, byte for byte: it
delivered 225 ug/day at 1500 ug/mL, a patient's bolus was under way, and the power was cut.
``flash-0.1.0.json`` is what 0.1.0 itself read from it.
"""

import json
import lzma
from pathlib import Path
from typing import Any

from littlefs import LittleFS, UserContext

from cisterna_sim.store import DictStore
from hal.files import FilesStore

DATA = Path(__file__).parent / "data"
FACTS: dict[str, Any] = json.loads((DATA / "flash-0.1.0.json").read_text(encoding="utf-8"))
_BLOCK_BYTES = 4096


def region() -> bytes:
    """The file system as 0.1.0 left it."""
    return lzma.decompress((DATA / "flash-0.1.0.xz").read_bytes())


def state_files() -> dict[str, bytes]:
    """The pump's memory on it: files of ``/state`` by name."""
    content = region()
    context = UserContext(buffsize=len(content))
    context.buffer[:] = content
    system = LittleFS(
        context=context,
        mount=False,
        block_size=_BLOCK_BYTES,
        block_count=len(content) // _BLOCK_BYTES,
        prog_size=256,
    )
    system.mount()
    found = {}
    for name in system.listdir("/state"):
        with system.open(f"/state/{name}", "rb") as file:
            found[name] = file.read()
    return found


def store(folder: Path) -> DictStore:
    """What the files of ``/state`` hold, read by the board's own store in ``folder``."""
    for name, data in state_files().items():
        (folder / name).write_bytes(data)
    files, made = FilesStore(str(folder)), DictStore()
    for name in state_files():
        record = files.read(name)
        if not name.startswith("events.") and record is not None:
            made.write(name, record)
    for entry in files.entries():
        made.append(entry)
    made.writes = 0
    return made
