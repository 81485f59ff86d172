"""Rung 3: the whole command `make flash IMAGE=1` onto an emulated Pico with older files.

The emulator has no boot loader: a folder stands for its drive, which comes up as the board resets,
and whose image the test puts into the flash.
"""

import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from cisterna.base.version import VERSION
from cisterna_sim.emulated import flash
from cisterna_sim.emulated.board_rig import BoardRig, board_data
from cisterna_sim.emulated.serve import serve
from cisterna_sim.plant import Plant, PlantConfig
from cisterna_sim.terminals import Terminals
from cisterna_tools.image import CannotBuild, plain, release

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
# Each would be imported in place of a part of the image; what is kept is a person's own.
OLDER = {
    "/main.py": b"print('older')\n",
    "/board.py": b"PINS = {}\n",
    "/hal/rp2.py": b"",
    "/pump/units.py": b"",
    "/release.json": b"{}",
}
KEPT = {"/boot.py": b"", "/notes.txt": b"mine"}


@pytest.mark.slow
@pytest.mark.long
def test_an_older_board_ends_up_with_the_image_and_nothing_that_hides_it(tmp_path):
    try:
        image, size = release.make("pico")
        micropython = plain.find()
    except CannotBuild as error:
        pytest.skip(f"no image can be built here: {error}")
    config = PlantConfig()
    content = flash.make(files={**OLDER, **KEPT}, uf2=micropython)
    rig = BoardRig(Plant(config, 0), config, content, board_data("pico"))
    drive = tmp_path / "RPI-RP2"
    drive.mkdir()
    env = {k: v for k, v in os.environ.items() if "MAKE" not in k and k not in ("MFLAGS", "ARGS")}
    patience = f"ARGS=--patience {PATIENCE_S}"
    written: list[Path] = []

    def going() -> bool:
        if rig.chip.resets and not written:
            (drive / "INFO_UF2.TXT").write_text("Board-ID: RPI-RP2\n")
            copied = drive / image.name
            if copied.exists() and copied.stat().st_size == image.stat().st_size:
                written.append(copied)
                held = flash.make(files=flash.files(rig.chip.flash), uf2=copied)
                rig.chip.mcu.flash[: len(held)] = held
                rig.chip.mcu.watchdog.on_watchdog_trigger()
        return process.poll() is None

    with closing(Terminals(0)) as terminals:
        port = f"socket://127.0.0.1:{terminals.tcp}"
        with subprocess.Popen(
            ["make", "flash", "IMAGE=1", f"DRIVE={drive}", f"PORT={port}", patience],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            serve(rig, terminals, going)
            out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    # Before these, make may say that it installs something.
    assert out.splitlines()[-4:] == [
        f"pico: {image.name}, {size:,} bytes of flash",
        f"copied to {drive}",
        "removed, since they would hide parts of the image: "
        "/board.py, /hal, /main.py, /pump, /release.json",
        f"{port}: cisterna {VERSION} on pico running",
    ]
    files = flash.files(rig.chip.flash)
    assert {path for path in files if not path.startswith("/state/")} == set(KEPT)
