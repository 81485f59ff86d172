"""Rung 3: the whole command `make flash` onto an emulated Pico, at its console.

The console is served at the pace of real time, as `make rig` does: an idle board would run ahead
of the host, and its watchdog with it.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from cisterna.base.version import VERSION
from cisterna_sim.emulated import board_rig, flash
from cisterna_sim.emulated.board_rig import BoardRig
from cisterna_sim.emulated.serve import serve
from cisterna_sim.terminals import Terminals
from cisterna_tools.flash import payload
from cisterna_tools.image import ImageError, plain
from host_tests.kit.boards import BOOT_S, NO_PLANT, PORT, PROGRAM, in_a_copy

pytestmark = [pytest.mark.slow, pytest.mark.long]

ROOT = Path(__file__).parents[2]
# A busy board is emulated some twenty times slower than it is.
PATIENCE_S = 120
# Of some 740 pages and erasures that a whole copy takes.
HALF_WRITES = 370
RUNNING = f"cisterna {VERSION} on pico running"
NOT_WHOLE = (
    f"cisterna: not dosing: {payload.RELEASE} is missing, the firmware was not copied whole; "
    "run make flash"
)
OLD = "/hal/rp2/ports"


def _at_console(
    rig: BoardRig, over: str, *command: str, watch: Callable[[], None] = lambda: None
) -> SimpleNamespace:
    """Run a command on the host while the board lives; a PORT in it becomes the console's."""
    # `make test` hands these on, and they would steer the make under test.
    env = {k: v for k, v in os.environ.items() if "MAKE" not in k and k not in ("MFLAGS", "ARGS")}
    env["PYTHONPATH"] = str(ROOT / "tools")
    with closing(Terminals(0)) as terminals:
        port = terminals.pty if over == "pty" else f"socket://127.0.0.1:{terminals.tcp}"
        with subprocess.Popen(
            [word.replace("<port>", port) for word in command],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:

            def going() -> bool:
                watch()
                return process.poll() is None

            serve(rig, terminals, going)
            out, err = process.communicate()
    return SimpleNamespace(code=process.returncode, said=out.splitlines(), err=err, port=port)


def _make_flash(rig: BoardRig, over: str, watch: Callable[[], None] = lambda: None) -> list[str]:
    """What `make flash` says; it must succeed, and end with what the board runs."""
    patience = f"ARGS=--patience {PATIENCE_S}"
    flash_it = ("make", "flash", "BOARD=pico", "PORT=<port>", patience)
    done = _at_console(rig, over, *flash_it, watch=watch)
    assert (done.code, done.err) == (0, "")
    assert done.said[-1] == f"{done.port}: {RUNNING}"
    return done.said


def _firmware(rig: BoardRig) -> dict[str, bytes]:
    """The files on the board, but for what the pump remembers."""
    files = flash.files(rig.chip.flash)
    return {path: data for path, data in files.items() if not path.startswith("/state/")}


@pytest.fixture(scope="module")
def micropython() -> Path:
    """Plain MicroPython, or a skip that says why there is none."""
    if PORT:
        pytest.skip(NO_PLANT)
    try:
        return plain.find()
    except ImageError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def flashed(micropython: Path) -> SimpleNamespace:
    """A board with plain MicroPython and an empty file system after `make flash`, over TCP.

    ``half`` is what its flash held half-way.
    """
    rig = board_rig.deliver(PROGRAM, pump=(micropython, {}), state=False)
    halves: list[bytes] = []

    def watch() -> None:
        if not halves and rig.chip.flash_writes > HALF_WRITES:
            halves.append(rig.chip.flash)

    said = _make_flash(rig, "tcp", watch)
    return SimpleNamespace(rig=rig, said=said, half=halves[0])


def test_an_empty_board_gets_everything_and_runs(flashed):
    files = flash.firmware("pico")
    count = len(files) - 1  # the release is not one of those that it names
    assert f"copied {count}, removed 0, verified {count} files" in flashed.said
    assert _firmware(flashed.rig) == files
    assert f"{RUNNING}\r\n" in flashed.rig.said


@in_a_copy
def test_a_second_time_copies_nothing(flashed):
    """Over a pty, onto the pump that runs, whose watchdog would restart it in five seconds."""
    rig = flashed.rig
    resets, erasures = len(rig.chip.resets), rig.chip.flash_erasures
    files = _firmware(rig)
    said = _make_flash(rig, "pty")
    assert f"copied 0, removed 0, verified {len(files) - 1} files" in said
    assert _firmware(rig) == files
    print(f"flashed anew: {rig.chip.flash_erasures - erasures} erasures")
    # Into service and out of it, none by the watchdog.
    assert len(rig.chip.resets) == resets + 2


@in_a_copy
def test_a_board_whose_power_failed_half_way_says_that_it_does_not_dose(flashed):
    rig = flashed.rig
    rig.power_down()
    rig.flash = flashed.half
    rig.power_up()
    rig.run_until(lambda: "Type" in rig.said, BOOT_S)
    print(rig.said.splitlines()[0])
    assert rig.said.startswith("cisterna: not dosing: the firmware is not whole, ")
    assert rig.wiring.enabled_us is None
    assert 0 < len(_firmware(rig)) < len(flash.firmware("pico"))


def test_an_update_cut_short_does_not_dose_until_it_is_flashed_again(micropython, tmp_path):
    """One file of the version before was still to be replaced; the pump's memory stays."""
    older = tmp_path / "older.py"
    older.write_text((ROOT / f"firmware{OLD}.py").read_text(encoding="utf-8") + "\nOLDER = 1\n")
    files = flash.firmware("pico")
    torn = {**files, f"{OLD}.mpy": payload.compiled(older, f"{OLD[1:]}.py", "rp2")}
    del torn[payload.RELEASE]
    rig = board_rig.deliver(PROGRAM, pump=(micropython, torn))
    rig.run_until(lambda: "Type" in rig.said, BOOT_S)
    assert rig.said.startswith(NOT_WHOLE)
    assert rig.wiring.enabled_us is None
    # The line has gone before anybody listens; `make flash` must still hear why.
    ask = f"from cisterna_tools.flash.said import said; print(said('<port>', {PATIENCE_S}))"
    late = _at_console(rig, "tcp", sys.executable, "-c", ask)
    assert late.said == [NOT_WHOLE], late.err
    said = _make_flash(rig, "tcp")
    assert f"copied 1, removed 0, verified {len(files) - 1} files" in said
    assert _firmware(rig) == files
    rig.run_until(lambda: rig.wiring.enabled_us is not None, BOOT_S)
    memory = rig.remembered().memory
    assert memory.program is not None
    assert memory.state.ledger.known
