"""Images: where a plain one is taken from, and that the one with the pump inside starts it."""

import asyncio
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from cisterna_tools.bench import gates
from cisterna_tools.image import (
    CannotBuild,
    ImageError,
    build,
    cache,
    plain,
    release,
    sources,
    toolchain,
    uf2,
)
from cisterna_tools.image import __main__ as command

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "firmware"
BINARY = bytes(range(256)) * 3 + b"end"


@pytest.fixture
def cache_home(tmp_path, monkeypatch):
    """An empty cache, and no image given by the environment."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MICROPYTHON_UF2", raising=False)
    return tmp_path / "cisterna"


def _on_emulator(image: Path, command: str) -> str:
    """What a board that runs ``image`` prints for ``command``."""
    from rp2040py.boards import resolve_board_spec
    from rp2040py.device import MicroPythonDevice
    from rp2040py.utils.firmware_retrieve import MICROPYTHON

    async def ask() -> str:
        board = resolve_board_spec("pico", MICROPYTHON, str(image))
        async with MicroPythonDevice(board=board) as device:
            said, wrong = await device.aexec(command)
            assert not wrong
            return bytes(said).decode()

    return asyncio.run(ask())


def test_a_uf2_file_holds_the_binary_from_the_start_of_flash_on():
    made = uf2.from_binary(BINARY)
    blocks = [made[start : start + uf2.BLOCK] for start in range(0, len(made), uf2.BLOCK)]
    assert b"".join(block[32 : 32 + uf2.PAYLOAD] for block in blocks).rstrip(b"\0") == BINARY
    starts = [int.from_bytes(block[12:16], "little") for block in blocks]
    assert starts == [0x10000000 + 256 * number for number in range(4)]
    uf2.check(made, "made")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: b"", "cut short"),
        (lambda data: data[:-1], "cut short"),
        (lambda data: data[: -uf2.BLOCK], "ends before block 4"),
        (lambda data: b"x" + data[1:], "block 0 has the wrong marks"),
        (lambda data: data[:28] + b"\0" * 4 + data[32:], "another chip"),
    ],
    ids=["empty", "odd length", "block missing", "not UF2", "other family"],
)
def test_a_spoilt_uf2_file_is_refused(spoil, said):
    with pytest.raises(ImageError, match=said):
        uf2.check(spoil(uf2.from_binary(BINARY)), "it")


def test_an_image_given_by_the_environment_comes_first(cache_home, monkeypatch, tmp_path):
    mine = tmp_path / "mine.uf2"
    mine.write_bytes(uf2.from_binary(BINARY))
    monkeypatch.setenv("MICROPYTHON_UF2", str(mine))
    assert plain.find() == mine


@pytest.mark.parametrize("content", [None, b"no image"], ids=["missing", "not UF2"])
def test_a_wrong_image_in_the_environment_is_named(cache_home, monkeypatch, tmp_path, content):
    mine = tmp_path / "mine.uf2"
    if content is not None:
        mine.write_bytes(content)
    monkeypatch.setenv("MICROPYTHON_UF2", str(mine))
    with pytest.raises(ImageError, match=r"MICROPYTHON_UF2 = .*mine\.uf2"):
        plain.find()


def test_with_no_download_it_is_built_once_for_all_who_wait(cache_home, monkeypatch):
    built = []

    def slowly() -> bytes:
        built.append(1)
        threading.Event().wait(0.2)
        return uf2.from_binary(BINARY)

    monkeypatch.setattr(plain, "_download", lambda: None)
    monkeypatch.setattr(build, "plain", slowly)
    found: list[Path] = []
    askers = [threading.Thread(target=lambda: found.append(plain.find())) for _ in range(3)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert (len(built), len(found), len(set(found))) == (1, 3, 1)
    assert found[0].read_bytes() == uf2.from_binary(BINARY)
    assert found[0].parent == cache_home


def test_a_download_cut_off_half_way_is_dropped(cache_home, monkeypatch, tmp_path):
    from rp2040py.utils import firmware_retrieve

    half = tmp_path / "half.uf2"
    half.write_bytes(uf2.from_binary(BINARY)[:-1])
    monkeypatch.setattr(firmware_retrieve, "retrieve", lambda *_: half)
    monkeypatch.setattr(build, "plain", lambda: uf2.from_binary(BINARY))
    assert plain.find().parent == cache_home
    assert not half.exists()


def test_a_failed_write_leaves_neither_file_nor_scrap(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        cache.put(tmp_path / "image", b"x")
    assert list(tmp_path.iterdir()) == []


def test_the_mirror_is_that_of_the_machine_without_updates_and_security(monkeypatch):
    said = "http://a/ stable\nhttp://a/ stable-updates\nhttp://b/ stable-security\nhttp://c/ old\n"
    monkeypatch.setattr(
        subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, said)
    )
    assert sources.mirrors() == ["http://a/", "http://c/"]


def test_missing_compilers_are_named_with_what_to_type(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ImageError, match=r"sudo apt-get install .* gcc-arm-none-eabi cmake"):
        toolchain.provide()


@pytest.mark.parametrize(
    ("board", "said"),
    [
        ("pcio", "no boards/cisterna_boards/pcio.py; there are"),
        ("esp32_devkit", "use make flash BOARD=esp32_devkit"),
    ],
)
def test_a_board_without_an_image_is_refused_in_one_line(board, said):
    done = CliRunner().invoke(command.main, ["--board", board])
    assert done.exit_code == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_an_image_holds_the_firmware_of_its_chip_and_nothing_of_another(tmp_path):
    folder = tmp_path / "frozen"
    folder.mkdir()
    (folder / "left_behind.py").touch()
    source = ROOT / "boards/cisterna_boards/pico.py"
    release.stage(source, "0.1.0", folder)
    staged = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    modules = {path.relative_to(FIRMWARE).as_posix() for path in FIRMWARE.rglob("*.py")}
    others = {name for name in modules if name.startswith("hal/esp32/")}
    assert others
    assert staged == modules - others - {"manifest.py"} | {"board.py", "frozen_release.py"}
    assert (folder / "board.py").read_bytes() == source.read_bytes()


@pytest.fixture(scope="session")
def plain_image():
    """The plain image; without one, why."""
    try:
        return plain.find()
    except CannotBuild as error:
        pytest.skip(f"no MicroPython image: {error}")


@pytest.mark.slow
def test_the_plain_image_is_the_oldest_micropython_a_board_may_run(plain_image):
    command = "import sys, asyncio, rp2, hashlib; print(sys.platform, sys.implementation[1][:3])"
    assert _on_emulator(plain_image, command).split("\r\n")[0] == "rp2 (1, 25, 0)"


@pytest.mark.slow
def test_the_image_with_the_pump_inside_is_whole_until_a_file_hides_a_part_of_it(record_property):
    try:
        image, size = release.make("pico")
    except CannotBuild as error:
        pytest.skip(f"no image can be built here: {error}")
    gate = gates.Gate("image of pico", size, gates.IMAGE_AT_MOST)
    record_property("figure", str(gate))
    gates.hold([gate])
    said = _on_emulator(
        image,
        "import os, board; from hal import release; print(board.NAME, release.check()[0])\n"
        "os.mkdir('/cisterna'); open('/cisterna/units.py', 'w').close(); print(release.check())\n",
    ).splitlines()
    assert said[0] == "pico True"
    assert said[1].startswith("(False, '/cisterna/units.py hides a part of the image")
