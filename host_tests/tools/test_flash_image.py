"""make flash IMAGE=1: by the boot loader's drive, and nothing is left that hides the image."""

import types
from pathlib import Path

import pytest
from click.testing import CliRunner
from serial.tools import list_ports

from cisterna.base.version import VERSION
from cisterna_tools.flash import FlashError, drives, ports, remote, whole
from cisterna_tools.flash import __main__ as command
from cisterna_tools.image import release
from host_tests.kit.fake_board import FakeBoard

INFO = "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n"
IMAGE = b"UF2\n" * 1000
RUNS = f"cisterna {VERSION} on pico running"
HIDDEN = "cisterna: not dosing: /hal/loop.mpy hides a part of the image; run make flash IMAGE=1"
# What a board flashed as files by 0.1.0 and by this version may hold, and what is a person's own.
FILES = (
    "main.py", "board.mpy", "release.json", "package.json", "hal/rp2.mpy", "hal/rp2/ports.mpy",
    "pump/units.mpy", "cisterna/base/units.mpy",
)  # fmt: skip
KEPT = ("boot.py", "state/slot0", "notes.txt", "lib/mine.py")


def _drive(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "INFO_UF2.TXT").write_text(INFO)
    return folder


@pytest.fixture
def board(tmp_path, monkeypatch):
    """A board with files of old and new versions; its drive comes up once it is asked for."""
    fake = FakeBoard(tmp_path / "flash")
    fake.as_drive = lambda: _drive(tmp_path / "drive")
    for name in (*FILES, *KEPT):
        file = fake.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    image = tmp_path / "cisterna.uf2"
    image.write_bytes(IMAGE)

    def says(device, patience_s):
        hidden = [name for name in ("hal", "cisterna", "pump") if (fake.root / name).exists()]
        return HIDDEN if hidden else fake.says

    monkeypatch.setattr(remote.Remote, "_enter", lambda self: fake)
    monkeypatch.setattr(remote, "_RESET_S", 0)
    monkeypatch.setattr(remote, "said", says)
    monkeypatch.setattr(whole, "said", says)
    monkeypatch.setattr(whole, "DRIVE_S", 0.3)
    monkeypatch.setattr(ports, "check", lambda device: None)
    monkeypatch.setattr(release, "make", lambda board: (image, 434_432))
    return fake


def _flash(drive: Path, *args: str):
    done = CliRunner().invoke(command.main, ["--image", "--drive", str(drive), *args])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


def test_the_image_is_copied_and_what_hides_it_removed(board, tmp_path):
    done = _flash(tmp_path / "drive", "--port", "tty")
    assert (done.exit_code, done.stderr) == (0, "")
    assert (tmp_path / "drive/cisterna.uf2").read_bytes() == IMAGE
    assert done.stdout.splitlines() == [
        "pico: cisterna.uf2, 434,432 bytes of flash",
        f"copied to {tmp_path / 'drive'}",
        "removed, since they would hide parts of the image: "
        "/board.mpy, /cisterna, /hal, /main.py, /package.json, /pump, /release.json",
        f"tty: {RUNS}",
    ]
    left = {str(path.relative_to(board.root)) for path in board.root.rglob("*") if path.is_file()}
    assert left == set(KEPT)
    # An empty folder would still be imported in place of a frozen package.
    assert {path.name for path in board.root.iterdir() if path.is_dir()} == {"state", "lib"}


def test_a_board_that_older_files_keep_silent_is_cleared_too(board, tmp_path, monkeypatch):
    def silent(device, patience_s):
        raise FlashError("has not said what it runs")

    monkeypatch.setattr(whole, "said", silent)
    done = _flash(tmp_path / "drive", "--port", "tty")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, f"tty: {RUNS}")
    done = _flash(tmp_path / "drive", "--port", "tty")
    assert (done.exit_code, done.stderr) == (1, "make flash: has not said what it runs\n")


def test_without_a_drive_the_board_keeps_its_files(board, tmp_path):
    done = _flash(tmp_path / "elsewhere", "--port", "tty")
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert "no drive RPI-RP2 came up at DRIVE = " in done.stderr
    assert "plug the board in anew to go on with the firmware it has" in done.stderr
    assert not [line for line in board.log if line.startswith("remove")]


def test_a_board_in_its_boot_loader_needs_no_port(board, tmp_path, monkeypatch):
    pico = types.SimpleNamespace(device="/dev/ttyACM0", description="Board", vid=0x2E8A, pid=5)
    monkeypatch.setattr(list_ports, "comports", lambda: [pico])
    done = _flash(_drive(tmp_path / "there"))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"/dev/ttyACM0: {RUNS}"
    assert "boot loader" not in board.log


def test_a_board_of_another_chip_is_not_restarted(board, tmp_path):
    board.platform = "esp32"
    board.boot()
    done = _flash(tmp_path / "drive", "--port", "tty")
    assert "tty is a board of port esp32; images are for rp2" in done.stderr
    assert "boot loader" not in board.log


def test_a_board_that_still_refuses_fails_the_command(board, tmp_path):
    board.says = "cisterna: not dosing: /mine.py hides a part of the image"
    done = _flash(tmp_path / "drive", "--port", "tty")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1] == f"tty: {board.says}"


def test_a_pump_that_does_not_answer_to_ctrl_c_is_left_alone(tmp_path, monkeypatch):
    """A pump with keys delivers on: no prompt, no boot loader, but by the service strap."""
    from mpremote import transport_serial

    class Deaf:
        def __init__(self, device, timeout):
            raise OSError

    monkeypatch.setattr(transport_serial, "SerialTransport", Deaf)
    monkeypatch.setattr(ports, "check", lambda device: None)
    monkeypatch.setattr(release, "make", lambda board: (tmp_path / "x.uf2", 1))
    done = _flash(tmp_path / "drive", "--port", "tty", "--patience", "1")
    assert done.exit_code == 1
    assert "set the service strap" in done.stderr


def test_the_drive_is_found_where_desktops_mount_it(tmp_path):
    assert drives.find(root=tmp_path) is None
    (tmp_path / "media/me/STICK").mkdir(parents=True)
    there = _drive(tmp_path / "media/me/RPI-RP2")
    assert drives.find(root=tmp_path) == there
    other = _drive(tmp_path / "Volumes/RP2350")
    (other / "INFO_UF2.TXT").write_text(INFO.replace("RPI-RP2", "RP2350"))
    assert drives.find(root=tmp_path) == there
    _drive(tmp_path / "run/media/me/RPI-RP2")
    with pytest.raises(FlashError, match=r"several boards .* give one as DRIVE=: .*, "):
        drives.find(root=tmp_path)


def test_a_drive_that_takes_nothing_is_named(tmp_path):
    image = tmp_path / "x.uf2"
    image.write_bytes(IMAGE)
    with pytest.raises(FlashError, match=r"gone: the image was not copied, No such file"):
        drives.copy(image, tmp_path / "gone")
