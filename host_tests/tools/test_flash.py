"""make flash: what it copies, in which order, what it verifies, and what it says if it cannot."""

import json
import types
from pathlib import Path

import pytest
import serial
from click.testing import CliRunner
from serial.tools import list_ports

from cisterna.base.version import VERSION
from cisterna_tools import boards
from cisterna_tools.flash import FlashError, package, payload, ports, remote, said
from cisterna_tools.flash import __main__ as command
from host_tests.kit.fake_board import FakeBoard

ROOT = Path(__file__).parents[2]
# The least that behaves like the firmware at start-up.
TREE = {
    "boards/cisterna_boards/pico.py": 'NAME = "pico"\nPORT = "rp2"\n',
    "firmware/main.py": "import board\nfrom hal import loop\nloop.main(board)\n",
    "firmware/manifest.py": "freeze('.')\n",
    "firmware/cisterna/__init__.py": "",
    "firmware/cisterna/base/compat.py": "from micropython import const\n",
    "firmware/hal/__init__.py": "",
    "firmware/hal/rp2/ports.py": "def give_reason(reason): pass\ndef take_reason(): pass\n",
    "firmware/hal/esp32/ports.py": "import esp32\n",
    "firmware/hal/fast.py": "@micropython.native\ndef f():\n    pass\n",
    "firmware/hal/loop.py": (
        "from . import release\n"
        "def main(board):\n"
        "    whole, text = release.check()\n"
        "    print('cisterna', text, 'on', board.NAME, 'running' if whole else 'not dosing:')\n"
    ),
}
ON_BOARD = {
    "/main.py", "/board.mpy", "/cisterna/__init__.mpy", "/cisterna/base/compat.mpy",
    "/cisterna/base/version.mpy",
    "/hal/__init__.mpy", "/hal/rp2/ports.mpy", "/hal/fast.mpy", "/hal/loop.mpy",
    "/hal/release.mpy",
}  # fmt: skip


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small project of its own, which make flash takes for this one."""
    root = tmp_path / "project"
    for name, text in TREE.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for name in ("hal/release.py", "cisterna/base/version.py"):
        (root / "firmware" / name).write_text((ROOT / "firmware" / name).read_text())
    monkeypatch.setattr(command, "Payload", lambda board: payload.Payload(board, root))
    return root


@pytest.fixture
def board(tmp_path, monkeypatch, tree):
    """A board that has MicroPython and nothing else."""
    fake = FakeBoard(tmp_path / "flash")
    monkeypatch.setattr(remote.Remote, "_enter", lambda self: fake)
    monkeypatch.setattr(remote, "said", lambda device, patience_s: fake.says)
    monkeypatch.setattr(remote, "_RESET_S", 0)
    monkeypatch.setattr(ports, "check", lambda device: None)
    return fake


def _flash(*args: str):
    done = CliRunner().invoke(command.main, ["--port", "tty", *args])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


def _refused(said: str, *args: str) -> None:
    done = _flash(*args)
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def _writes(board: FakeBoard) -> list[str]:
    return [line.split()[1] for line in board.log if line.startswith("write")]


def _release(board: FakeBoard):
    return json.loads((board.root / "release.json").read_text())


def test_an_empty_board_gets_everything_and_says_what_it_runs(board):
    done = _flash()
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"copied {len(ON_BOARD)}, removed 0, verified {len(ON_BOARD)} files" in done.stdout
    assert done.stdout.splitlines()[-1] == f"tty: cisterna {VERSION} on pico running"
    assert _writes(board)[-1] == "/release.json"
    assert set(_writes(board)) == ON_BOARD | {"/release.json"}
    content = _release(board)
    assert (content["version"], content["board"]) == (VERSION, "pico")
    assert set(content["files"]) == ON_BOARD


def test_only_what_changed_is_copied(board, tree):
    _flash()
    board.log.clear()
    (tree / "firmware/hal/rp2/ports.py").write_text("PINS = 30\n")
    done = _flash()
    assert "copied 1, removed 0" in done.stdout
    assert board.log[:3] == [
        "remove /release.json",
        "write /hal/rp2/ports.mpy",
        "write /release.json",
    ]


def test_what_left_the_firmware_leaves_the_board(board, tree):
    _flash()
    (board.root / "cisterna/old").mkdir()
    (board.root / "cisterna/old/x.mpy").touch()
    (board.root / "board.py").touch()
    (board.root / "boot.py").touch()
    (board.root / "state").mkdir()
    (board.root / "state/slot0").touch()
    assert "copied 0, removed 2" in _flash().stdout
    left = {str(file.relative_to(board.root)) for file in board.root.rglob("*") if file.is_file()}
    assert left - {path[1:] for path in ON_BOARD} == {"release.json", "boot.py", "state/slot0"}


def test_a_line_that_breaks_half_way_leaves_a_firmware_that_is_not_whole(board):
    _flash()
    (board.root / "hal/loop.mpy").unlink()
    board.fails_at = "/hal/loop.mpy"
    _refused("the line broke")
    assert not (board.root / "release.json").exists()
    board.fails_at = ""
    assert _flash().exit_code == 0
    assert (board.root / "release.json").exists()


def test_a_file_that_arrives_wrong_is_noticed(board):
    board.garbles = "/hal/loop.mpy"
    _refused("1 files differ on the board after copying, the first /hal/loop.mpy")
    assert not (board.root / "release.json").exists()


def test_a_board_that_refuses_its_firmware_fails_the_command(board):
    board.says = "cisterna: not dosing: board file refused: pin 3 is used twice"
    done = _flash()
    assert done.exit_code == 1
    assert "pin 3 is used twice" in done.stdout


def _platform(board):
    board.platform = "esp32"
    board.boot()


def _package(board):
    (board.root / "asyncio").mkdir()
    (board.root / "asyncio/core.py").touch()


def _old(board):
    board.version = (1, 24, 1, "")
    board.boot()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_platform, "is a board of port esp32, pico one of rp2"),
        (_old, "runs MicroPython 1.24.1; at least 1.25.0 is needed"),
        (lambda board: (board.root / "asyncio.py").touch(), "holds /asyncio.py, which the pump"),
        (_package, "holds /asyncio/core.py, which the pump"),
    ],
    ids=["other chip", "old MicroPython", "strange module", "strange package"],
)
def test_a_board_that_cannot_take_it_is_left_as_it_was(board, change, said):
    change(board)
    _refused(said)
    assert _writes(board) == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied"), "usermod -aG dialout"),
        (OSError(16, "Device or resource busy"), "in use by another program"),
        (serial.SerialException("Could not exclusively lock port"), "in use by another program"),
        (FileNotFoundError(2, "No such file or directory"), "there is no such port"),
    ],
)
def test_a_port_that_cannot_be_opened_is_explained(tree, monkeypatch, error, said):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(serial, "serial_for_url", fail)
    _refused(said)


def test_a_silent_board_points_to_the_service_strap(tree, monkeypatch):
    class Silent:
        def __init__(self, device, timeout):
            raise OSError

    from mpremote import transport_serial

    monkeypatch.setattr(transport_serial, "SerialTransport", Silent)
    monkeypatch.setattr(ports, "check", lambda device: None)
    _refused("set the service strap", "--patience", "1")


PICO = types.SimpleNamespace(device="/dev/ttyACM0", description="Board", vid=0x2E8A, pid=5)
PICO_2 = types.SimpleNamespace(device="/dev/ttyACM1", description="Board", vid=0x2E8A, pid=5)
BRIDGE = types.SimpleNamespace(device="/dev/ttyUSB0", description="CP2102", vid=0x10C4, pid=0xEA60)
MODEM = types.SimpleNamespace(device="/dev/ttyS0", description="n/a", vid=None, pid=None)


@pytest.mark.parametrize(("port", "device"), [("rp2", "/dev/ttyACM0"), ("esp32", "/dev/ttyUSB0")])
def test_the_only_board_of_its_kind_is_found(monkeypatch, port, device):
    monkeypatch.setattr(list_ports, "comports", lambda: [MODEM, BRIDGE, PICO])
    assert ports.find(port) == device


@pytest.mark.parametrize(
    ("there", "port", "said"),
    [
        ([MODEM], "rp2", "no rp2 board found: .*RPI-RP2"),
        ([PICO], "esp32", "no esp32 board found"),
        ([PICO, PICO_2], "rp2", "give one as PORT=: /dev/ttyACM0 .*, /dev/ttyACM1"),
    ],
)
def test_no_board_or_several_are_explained(monkeypatch, there, port, said):
    monkeypatch.setattr(list_ports, "comports", lambda: there)
    with pytest.raises(FlashError, match=said):
        ports.find(port)


def test_a_file_with_native_code_is_compiled_for_its_chip(tree):
    files = payload.Payload("pico", tree).files
    # Byte 2 of an .mpy: sub-version and, from bit 2 on, the architecture; 4 is armv6m.
    assert files["/hal/fast.mpy"][2] >> 2 == 4
    assert files["/hal/loop.mpy"][2] >> 2 == 0


def test_compiled_files_do_not_depend_on_where_the_project_lies(tree, tmp_path):
    before = payload.Payload("pico", tree).files
    tree.rename(tmp_path / "elsewhere")
    assert payload.Payload("pico", tmp_path / "elsewhere").files == before


def test_a_file_that_does_not_compile_is_named(tree):
    (tree / "firmware/hal/loop.py").write_text("def main(:\n")
    _refused("loop.py does not compile: SyntaxError")


def test_an_unknown_board_is_named_with_those_there_are():
    _refused(
        "BOARD = pcio: no boards/cisterna_boards/pcio.py; there are esp32_devkit, pico",
        "--board",
        "pcio",
    )


@pytest.mark.parametrize(("board", "other"), [("pico", "esp32"), ("esp32_devkit", "rp2")])
def test_every_board_gets_all_modules_but_those_of_other_chips(board, other):
    made = payload.Payload(board)
    assert f"/hal/{made.port}/ports.mpy" in made.files
    assert f"/hal/{other}/ports.mpy" not in made.files
    firmware = ROOT / "firmware"
    wanted = {"/" + str(path.relative_to(firmware)) for path in firmware.glob("cisterna/**/*.py")}
    assert {path.replace(".py", ".mpy") for path in wanted} <= set(made.files)


def test_the_mip_package_lists_the_firmware_as_it_is():
    text = (ROOT / "firmware/package.json").read_text()
    assert text == package.package(), "run python -m cisterna_tools.flash.package"
    listed = json.loads(text)
    assert listed["version"] == boards.version() == VERSION
    assert all((ROOT / "firmware" / source).is_file() for _, source in listed["urls"])


class Port:
    """A serial port at which a board answers: ``answers`` maps what is written to what it says."""

    def __init__(self, first: bytes, answers: dict[bytes, bytes]) -> None:
        self.waiting = first
        self.answers = answers
        self.written: list[bytes] = []
        self.in_waiting = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read(self, size: int) -> bytes:
        new, self.waiting = self.waiting[:size], self.waiting[size:]
        return new

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.waiting += self.answers.get(data, b"")


ASKED, ANEW = b"*IDN?\n", b"\x03\x04"
STARTS = b"cisterna 0.1.0 on pico running\r\n"


@pytest.mark.parametrize(
    ("first", "answers", "heard", "written"),
    [
        (b"\x04>R\x01\x80\x00" + STARTS, {}, "cisterna 0.1.0 on pico running", []),
        (b"", {ASKED: b"Cisterna,pico,E66,0.2.0\n"}, "cisterna 0.2.0 on pico running", [ASKED]),
        (
            b"",
            {
                ASKED: b"*IDN?",
                ANEW: b"\r\n>>> \r\nMPY: soft reboot\r\ncisterna: not dosing: x\r\n",
            },
            "cisterna: not dosing: x",
            [ASKED, ANEW],
        ),
        (b"cister", {ASKED: STARTS[6:]}, "cisterna 0.1.0 on pico running", [ASKED]),
    ],
    ids=["starts", "runs already", "at its prompt", "in two pieces"],
)
def test_a_board_says_what_it_runs_even_if_its_first_line_was_missed(
    monkeypatch, first, answers, heard, written
):
    port = Port(first, answers)
    monkeypatch.setattr(serial, "serial_for_url", lambda *_, **__: port)
    assert said.said("tty", 5) == heard
    assert port.written == written


def test_a_board_that_says_nothing_fails_the_command(monkeypatch):
    monkeypatch.setattr(serial, "serial_for_url", lambda *_, **__: Port(b"", {}))
    with pytest.raises(FlashError, match="has not said what it runs within 0 s"):
        said.said("tty", 0)


def test_a_board_that_is_as_it_should_be_is_not_written_to(board):
    _flash()
    board.log.clear()
    assert "copied 0, removed 0" in _flash().stdout
    assert not [line for line in board.log if line != "close"]
