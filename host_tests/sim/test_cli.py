"""The command line, with a stand-in for the rig: what is printed, written and returned."""

import json
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

from cisterna_sim import scenario
from cisterna_sim.__main__ import main
from host_tests.kit.samples import FACTS, row

ROOT = Path(__file__).parents[2]
NOTICE = "Research and teaching rig: not a medical device, never for use on people or animals."


def fake_run(plan, recorder, progress, full_rate=False):
    """A day in a few rows; a seed of 13 fails half way, 130 is interrupted there."""
    recorder.meta(**FACTS, full_rate=full_rate)
    recorder.event(0.0, 0, "BOOT", "power on")
    for n in range(10):
        recorder.sample(row(n * plan.duration_s / 10))
        if n == 5 and plan.seed == 13:
            raise RuntimeError("broken rig")
        if n == 5 and plan.seed == 130:
            signal.raise_signal(signal.SIGINT)
        progress(n / 10)


@pytest.fixture
def sim(monkeypatch, tmp_path):
    """Call the command line in an empty folder."""
    module = types.ModuleType("cisterna_sim.stage")
    vars(module)["run_scenario"] = fake_run
    monkeypatch.setitem(sys.modules, "cisterna_sim.stage", module)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def files(run_dir: str) -> set[str]:
    return {path.name for path in Path(run_dir).iterdir()}


def facts(run_dir: str) -> dict:
    return json.loads(Path(run_dir, "summary.json").read_text(encoding="utf-8"))


def test_a_run_prints_the_notice_first_and_leaves_its_directory(sim):
    result = sim("run")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == NOTICE
    assert lines[-1] == "Run directory: runs/day-1"
    assert files("runs/day-1") == {
        "samples.sqlite", "events.log", "summary.txt", "summary.json", "picture.png",
        "scenario.toml",
    }  # fmt: skip
    assert facts("runs/latest")["status"] == "complete"


def test_options_take_the_place_of_the_files_values(sim):
    result = sim("run", "clean-180", "--days", "2", "--seed", "5", "--csv", "--no-picture",
                 "--out", "there", "--full-rate")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "1 of 1 events lie after day 2: not reached." in result.output
    assert (facts("there/clean-180-1")["days"], facts("there/clean-180-1")["seed"]) == (2, 5)
    assert {"samples.csv", "events.csv"} <= files("there/clean-180-1")
    assert "picture.png" not in files("there/clean-180-1")


def test_list_has_a_line_for_each_scenario(sim):
    lines = sim("list").output.splitlines()
    assert lines[0] == NOTICE
    assert [tuple(line.split(maxsplit=1)) for line in lines[1:]] == scenario.available()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "dya"], "did you mean day?"),
        (["run", "bad.toml"], "bad.toml: seed = -1: allowed: 0 to 2147483648, a whole number"),
        (["run", "--days", "nan"], "command line: days = nan: allowed: 0.01 to 3650 days"),
        (["run", "--out", "bad.toml/x"], "--out = bad.toml/x: no folder can be made there"),
        (["show", "nowhere"], "nowhere: no run directory"),
        (["export", "nowhere", "--csv"], "nowhere: no run directory"),
    ],
)
def test_bad_input_ends_with_2_and_a_line_and_runs_nothing(sim, arguments, says):
    Path("bad.toml").write_text(
        scenario.load().text.replace("seed = 1", "seed = -1"), encoding="utf-8"
    )
    result = sim(*arguments)
    assert result.exit_code == 2
    assert says in result.output
    assert len(result.output.splitlines()) == 2
    assert not Path("runs").exists()


def test_an_interrupted_run_ends_with_130_and_is_summarised(sim):
    before = signal.getsignal(signal.SIGINT)
    result = sim("run", "--seed", "130")
    assert result.exit_code == 130
    assert facts("runs/day-1")["status"] == "interrupted"
    assert facts("runs/day-1")["simulated_s"] == 43_200
    assert "picture.png" in files("runs/day-1")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_failing_rig_is_not_hidden_and_its_run_is_kept(sim):
    result = sim("run", "--seed", "13", "--no-picture")
    assert isinstance(result.exception, RuntimeError)
    assert facts("runs/day-1")["status"] == "failed"


def test_show_and_export_need_only_the_run_directory(sim):
    sim("run", "--no-picture")
    for name in ("summary.txt", "summary.json", "scenario.toml", "events.log"):
        Path("runs/day-1", name).unlink()
    assert "programmed" in sim("show", "runs/day-1").output
    assert {"summary.txt", "summary.json", "picture.png"} <= files("runs/day-1")
    assert sim("export", "runs/day-1", "--csv").exit_code == 0
    assert {"samples.csv", "events.csv"} <= files("runs/day-1")
    assert sim("export", "runs/day-1").exit_code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_real_process_in_order(tmp_path, number, code):
    child = (
        "import sys, time, types\n"
        "sys.path[:0] = [sys.argv[1]] + [sys.argv[1] + root for root in ('/firmware', '/sim')]\n"
        "from host_tests.kit.samples import row\n"
        "def run(plan, recorder, progress, full_rate=False):\n"
        "    recorder.event(0.0, 0, 'BOOT', 'power on')\n"
        "    for n in range(6000):\n"
        "        recorder.sample(row(float(n)))\n"
        "        progress(n / 6000)\n"
        "        time.sleep(0.01)\n"
        "sys.modules['cisterna_sim.stage'] = types.ModuleType('cisterna_sim.stage')\n"
        "sys.modules['cisterna_sim.stage'].run_scenario = run\n"
        "from cisterna_sim.__main__ import main\n"
        "main(['run', '--no-picture'])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", child, str(ROOT)], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    try:
        log = tmp_path / "runs" / "day-1" / "events.log"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (log.is_file() and log.stat().st_size):
            time.sleep(0.05)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    assert output.startswith(NOTICE)
    assert "interrupted after" in output


@pytest.mark.parametrize(
    "content", [b"", b"no database at all, but long enough to be read as one"]
)
@pytest.mark.parametrize("command", ["show", "export"])
def test_a_damaged_run_directory_is_refused_in_one_line(sim, tmp_path, command, content):
    (tmp_path / "samples.sqlite").write_bytes(content)
    result = sim(command, str(tmp_path))
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr
    assert result.stderr.count("\n") == 1
