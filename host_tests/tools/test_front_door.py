"""The commands a newcomer types: what they run, and what they say when they cannot."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = ["help", "sim", "test", "lint", "bench", "fuzz", "rig", "flash", "image"]
TARGETS += ["wiring", "protocol", "clean"]
# `make test` hands these on, and they would steer the make under test.
INHERITED = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PYTHON", "ARGS"} | {
    "SCENARIO", "DAYS", "SEED", "CSV", "BOARD", "PORT", "TCP", "WHAT", "LINES",
}  # fmt: skip


def _make(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key not in INHERITED}
    return subprocess.run(
        ["make", *args], cwd=folder, env=env, capture_output=True, text=True, timeout=60
    )


def _script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A checkout where nothing was made yet."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def installed(fresh: Path) -> Path:
    """A checkout whose .venv is up to date and whose python prints its arguments, one a line."""
    _script(fresh / ".venv/bin/python", "printf '%s\\n' \"$@\"")
    os.utime(fresh / "pyproject.toml", (0, 0))
    for stamp in (".sim", ".dev"):
        (fresh / ".venv" / stamp).touch()
    return fresh


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_planned_in_a_fresh_checkout(fresh: Path, target: str) -> None:
    done = _make(fresh, "-n", target)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(fresh.iterdir()) == [fresh / "Makefile", fresh / "pyproject.toml"]


@pytest.mark.parametrize("args", [(), ("help",)], ids=["make", "make help"])
def test_help_lists_every_target_with_a_line_each(fresh: Path, args: tuple[str, ...]) -> None:
    lines = _make(fresh, *args).stdout.splitlines()
    assert [line.split()[1] for line in lines] == TARGETS
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        ([], ["run"]),
        (["SCENARIO=list"], ["list"]),
        (["SCENARIO=free-flow"], ["run", "--", "free-flow"]),
        (
            ["SCENARIO=day", "DAYS=0.5", "SEED=7", "CSV=1"],
            ["run", "--days", "0.5", "--seed", "7", "--csv", "--", "day"],
        ),
        (["CSV=0"], ["run"]),
        (["SCENARIO=--out", "DAYS=-1"], ["run", "--days", "-1", "--", "--out"]),
        (["SCENARIO=my own.toml"], ["run", "--", "my own.toml"]),
    ],
)
def test_sim_variables_become_arguments(
    installed: Path, variables: list[str], command: list[str]
) -> None:
    done = _make(installed, "sim", *variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["-m", "cisterna_sim", *command]


@pytest.mark.parametrize(
    "value", ["day; touch ran", "$(touch ran)", "`touch ran`", "$(shell touch ran)", "a'b\"c", "*"]
)
@pytest.mark.parametrize(
    ("variable", "place"), [("SCENARIO", ["--"]), ("DAYS", ["--days"]), ("SEED", ["--seed"])]
)
def test_a_variable_is_one_argument_and_never_runs(
    installed: Path, variable: str, place: list[str], value: str
) -> None:
    done = _make(installed, "sim", f"{variable}={value}")
    assert done.stdout.splitlines() == ["-m", "cisterna_sim", "run", *place, value]
    assert not (installed / "ran").exists()


@pytest.mark.parametrize(
    ("target", "variables", "command"),
    [
        ("bench", [], ["-m", "cisterna_tools.bench"]),
        ("bench", ["WHAT=sim vm"], ["-m", "cisterna_tools.bench", "sim", "vm"]),
        ("bench", ["WHAT=* $(touch ran)"], ["-m", "cisterna_tools.bench", "*", "$(touch", "ran)"]),
        ("fuzz", [], ["-m", "host_tests.kit.fuzz", "--lines=1000000", "--seed=1"]),
        (
            "fuzz",
            ["LINES=9 $(touch ran)", "SEED=x y"],
            ["-m", "host_tests.kit.fuzz", "--lines=9 $(touch ran)", "--seed=x y"],
        ),
        ("flash", [], ["-m", "cisterna_tools.flash", "--board=pico", "--port="]),
        (
            "flash",
            ["BOARD=x", "PORT=/dev/y z", "ARGS=--patience 9"],
            ["-m", "cisterna_tools.flash", "--board=x", "--port=/dev/y z", "--patience", "9"],
        ),
        (
            "flash",
            ["IMAGE=1", "DRIVE=/media/a b"],
            [
                *("-m", "cisterna_tools.flash", "--board=pico", "--port="),
                *("--image", "--drive=/media/a b"),
            ],
        ),
        ("image", ["BOARD=x"], ["-m", "cisterna_tools.image", "--board=x"]),
        ("rig", ["TCP=4000"], ["-m", "cisterna_sim.emulated", "--tcp=4000"]),
    ],
)
def test_what_is_for_developers_has_all_that_bench_flash_image_and_rig_need(
    installed: Path, target: str, variables: list[str], command: list[str]
) -> None:
    (installed / ".venv/.dev").unlink()
    assert "Installing .[dev]" in _make(installed, ".venv/.dev").stdout
    done = _make(installed, target, *variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == command


def test_test_runs_pytest_in_parallel_with_the_arguments_given(installed: Path) -> None:
    done = _make(installed, "test", "ARGS=-k 'one or two'")
    assert done.stdout.splitlines() == [
        "-m",
        "pytest",
        "-n",
        "2",
        "--dist",
        "loadfile",
        "--no-loadscope-reorder",
        "-ra",
        "-k",
        "one or two",
    ]


def test_an_up_to_date_venv_is_not_installed_again(installed: Path) -> None:
    assert "pip" not in _make(installed, "sim").stdout
    os.utime(installed / ".venv/.sim", (0, 0))
    (installed / "pyproject.toml").touch()
    assert "--editable" in _make(installed, "sim").stdout


# What a python prints or fails at, and the one line that make says about it.
BROKEN_PYTHONS = [
    pytest.param("exit 127", "does not run", id="not a python"),
    pytest.param(
        'case "$*" in *version_info*) exit 1 ;; --version) echo Python 3.9.2 ;; esac',
        "is Python 3.9.2; Cisterna needs 3.11",
        id="too old",
    ),
    pytest.param('case "$*" in *ensurepip*) exit 1 ;; esac', "python3-venv", id="without venv"),
]


@pytest.mark.parametrize(("body", "said"), BROKEN_PYTHONS)
@pytest.mark.parametrize("target", ["sim", "test"])
def test_an_unfit_python_is_refused_in_one_line(
    fresh: Path, target: str, body: str, said: str
) -> None:
    python = _script(fresh / "python", body)
    done = _make(fresh, target, f"PYTHON={python}")
    ours = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert done.returncode != 0
    assert len(ours) == 1
    assert said in ours[0]
    assert str(python) in ours[0]
    assert not (fresh / ".venv").exists()


def test_a_missing_python_is_refused_in_one_line(fresh: Path) -> None:
    done = _make(fresh, "sim", "PYTHON=no-such-python")
    ours = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert ours == [
        "PYTHON = no-such-python does not run; install Python 3.11 or give PYTHON=/path/to/it"
    ]


def test_a_csv_that_is_neither_yes_nor_no_is_refused(installed: Path) -> None:
    done = _make(installed, "sim", "CSV=maybe")
    assert done.returncode != 0
    assert done.stdout == ""
    assert "CSV = maybe is neither 1 nor 0" in done.stderr


def test_a_failing_lint_tool_fails_lint(installed: Path) -> None:
    _script(installed / ".venv/bin/python", 'case "$*" in *codespell*) exit 3 ;; esac')
    assert _make(installed, "lint").returncode != 0


def test_no_tests_is_a_failure(tmp_path: Path) -> None:
    """`make test` and `.ci/run` rest on it."""
    (tmp_path / "test_empty.py").touch()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "-c", os.devnull, str(tmp_path)],
        capture_output=True,
        timeout=60,
    )
    assert done.returncode != 0
