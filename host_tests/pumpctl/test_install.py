"""pumpctl as it is installed: the command, what a wheel has, and which extras it asks for."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from host_tests.kit.served import ROOT, Home, Said
from pumpctl.cli import target
from pumpctl.errors import NoPump

COMMAND = str(Path(sys.executable).with_name("pumpctl"))


def run(home: Home, *words: str, **variables: str) -> Said:
    """The command as it is installed, with no help from the tests' own paths."""
    env = {key: value for key, value in home.env.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        words, cwd=home.folder, env={**env, **variables}, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def users(tmp_path: Path) -> Home:
    """A user's folder whose files have the names that ours once had."""
    for name in ("pump.py", "sim.py", "tools/__init__.py", "boards/__init__.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise RuntimeError", encoding="utf-8")
    return Home(tmp_path)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where a wheel of this checkout is unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    source, wheels, site = folder / "source", folder / "wheels", folder / "site"
    source.mkdir()
    for name in ("boards", "firmware", "sim", "tools"):
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", wheels, source],
        check=True, timeout=300,
    )  # fmt: skip
    (made,) = wheels.iterdir()
    with zipfile.ZipFile(made) as archive:
        archive.extractall(site)
    return site


PROOF = """
import sys
if {site!r}:
    sys.meta_path = [f for f in sys.meta_path if "editable" not in repr(f)]
import cisterna, cisterna_boards.pico, cisterna_sim, pumpctl
from cisterna_sim import scenario
for module in (cisterna, cisterna_boards, cisterna_sim, pumpctl):
    assert module.__file__.startswith({home!r}), module.__file__
scenario.load("day")
with pumpctl.Pump.open("sim") as pump:
    print(pump.status().mode)
sys.argv[1:] = ["--port", "sim", "status", "--json"]
from pumpctl.console import pumpctl as run
run()
"""


def prove(users: Home, site: str, home: str) -> None:
    """Client, simulator, command and their files, run in the user's folder."""
    script = PROOF.format(site=site, home=home)
    said = run(users, sys.executable, "-c", script, **({"PYTHONPATH": site} if site else {}))
    assert said.code == 0, said.err
    mode, status = said.out.splitlines()
    assert mode == json.loads(status)["mode"] == "BASAL"


def test_an_editable_install_minds_no_file_of_the_users(users: Home) -> None:
    prove(users, "", os.fspath(ROOT))
    said = run(users, COMMAND, "--version")
    assert (said.code, said.err) == (0, "")


@pytest.mark.slow
def test_a_wheel_minds_no_file_of_the_users_and_has_all_that_is_needed(
    users: Home, wheel: Path
) -> None:
    prove(users, os.fspath(wheel), os.fspath(wheel))


@pytest.mark.slow
def test_a_wheel_and_an_editable_install_have_the_same_names(wheel: Path) -> None:
    names = {path.name for path in wheel.iterdir() if path.suffix != ".dist-info"}
    assert names == {"cisterna", "cisterna_boards", "cisterna_sim", "pumpctl"}
    (finder,) = Path(sysconfig.get_path("purelib")).glob("__editable___cisterna_*_finder.py")
    mapping = re.search(r"^MAPPING[^=]*= (\{.*\})$", finder.read_text(encoding="utf-8"), re.M)
    assert mapping is not None
    assert set(ast.literal_eval(mapping[1])) == names
    assert all((wheel / name / "py.typed").is_file() for name in names)
    (points,) = wheel.glob("*.dist-info/entry_points.txt")
    assert "pumpctl = pumpctl.console:pumpctl" in points.read_text(encoding="utf-8")


def test_an_emulated_board_says_which_extra_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    util = SimpleNamespace(find_spec=lambda name: None if name == "littlefs" else name)
    monkeypatch.setattr(target, "importlib", SimpleNamespace(util=util))
    with pytest.raises(NoPump, match=r"needs littlefs, an extra: pip install -e '.\[rig\]'"):
        target._rig()


def test_an_emulated_board_says_that_it_needs_a_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(target, "_CHECKOUT", tmp_path)
    with pytest.raises(NoPump, match="works in a checkout of Cisterna only"):
        target._rig()


@pytest.mark.long
@pytest.mark.slow
def test_the_emulated_board_answers_the_command(tmp_path: Path) -> None:
    said = run(Home(tmp_path), COMMAND, "--port", "rig", "info", "--json")
    assert said.code == 0, said.err
    assert (said.json["board"], said.json["protocol"]) == ("pico", 1)
