"""pumpctl as it is installed: the command, what a wheel has, and which extras it asks for."""

import os
import shutil
import subprocess
import sys
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


def test_a_folder_of_the_users_called_tools_is_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").write_text("raise RuntimeError", encoding="utf-8")
    said = run(Home(tmp_path), COMMAND, "--port", "sim", "status", "--json")
    assert said.code == 0, said.err
    assert said.json["mode"] == "BASAL"


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


@pytest.mark.slow
def test_a_wheel_has_all_that_the_command_needs(tmp_path: Path) -> None:
    """Unpacked elsewhere, and run with no more than what it depends on."""
    source, wheels, site = tmp_path / "source", tmp_path / "wheels", tmp_path / "site"
    source.mkdir()
    for name in ("boards", "firmware", "sim", "tools"):
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", wheels, source],
        check=True, timeout=300,
    )  # fmt: skip
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (points,) = site.glob("*.dist-info/entry_points.txt")
    assert "pumpctl = pumpctl.console:pumpctl" in points.read_text(encoding="utf-8")
    assert not list(site.glob("host_tests")) + list(site.glob("*tools*"))
    script = (
        "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]; "
        "from pumpctl.console import pumpctl as run; import pumpctl; "
        f"assert pumpctl.__file__.startswith({os.fspath(site)!r}); run()"
    )
    words = ["-P", "-c", script, "--port", "sim", "status", "--json"]
    said = run(Home(tmp_path), sys.executable, *words, PYTHONPATH=os.fspath(site))
    assert said.code == 0, said.err
    assert said.json["mode"] == "BASAL"
