"""The run directory: whole after any end, quick to write, and enough for summary and picture."""

import csv
import json
import os
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cisterna_sim import record, scenario, summary
from cisterna_sim.picture import picture
from host_tests.kit.samples import FACTS, row

ROOT = Path(__file__).parents[2]


@pytest.fixture
def recorder(tmp_path):
    made = record.Recorder(record.new_run_dir(tmp_path, "day"), scenario.load())
    yield made
    made.finish("failed")


def png_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def test_what_is_recorded_is_read_back(recorder):
    recorder.meta(**FACTS)
    rows = [row(60.0 * n, pressure_pa=None if n == 3 else n) for n in range(10)]
    for each in rows:
        recorder.sample(each)
    recorder.event(12.345, 1234, "BOOT", "power on")
    recorder.finish("complete")
    run = record.read(recorder.run_dir)
    assert list(zip(*run.samples.values(), strict=True)) == rows
    assert run.events == [(12.345, 1234, "BOOT", "power on")]
    assert run.meta["quantum_pl"] == 89_820
    assert run.meta["status"] == "complete"
    assert {p.name for p in recorder.run_dir.iterdir()} == {
        "samples.sqlite", "events.log", "scenario.toml"
    }  # fmt: skip
    assert (recorder.run_dir / "scenario.toml").read_text(encoding="utf-8") == scenario.load().text


def test_an_event_is_one_line_of_the_log_at_once(recorder):
    recorder.event(239_415.25, 23_941_000, "ALARM_RAISED", "OCCLUSION HIGH\nBOOT \x1b[2J")
    (line,) = (recorder.run_dir / "events.log").read_text(encoding="utf-8").splitlines()
    assert line.split() == [
        "2d", "18:30:15.25", "239410.00", "ALARM_RAISED", "OCCLUSION", "HIGH", "BOOT", "[2J"
    ]  # fmt: skip


def test_300_000_rows_are_quick(recorder, record_property):
    rows = [row(float(n)) for n in range(300_000)]
    start = time.perf_counter()
    for each in rows:
        recorder.sample(each)
    recorder.finish("complete")
    spent_s = time.perf_counter() - start
    record_property("recording_300000_rows_s", round(spent_s, 2))
    print(f"300,000 rows: {spent_s:.2f} s")
    with sqlite3.connect(recorder.run_dir / "samples.sqlite") as db:
        assert db.execute("SELECT count(*) FROM samples").fetchone() == (300_000,)
    db.close()


def test_finish_says_how_the_run_ended_and_only_once(recorder):
    recorder.finish("interrupted")
    recorder.finish("complete")
    assert record.read(recorder.run_dir).meta["status"] == "interrupted"


def test_an_exception_ends_the_recording_as_failed(tmp_path):
    run_dir = record.new_run_dir(tmp_path, "day")

    def fail():
        with record.Recorder(run_dir, scenario.load()) as made:
            made.sample(row(0.0))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    run = record.read(run_dir)
    assert run.meta["status"] == "failed"
    assert len(run.samples["true_s"]) == 1


def test_run_directories_are_numbered_and_latest_points_to_the_last(tmp_path):
    (tmp_path / "day-7").mkdir()
    (tmp_path / "day-x").mkdir()
    names = [record.new_run_dir(tmp_path, name).name for name in ("day", "day", "free-flow")]
    assert names == ["day-8", "day-9", "free-flow-1"]
    assert os.readlink(tmp_path / "latest") == "free-flow-1"


def test_csv_has_every_row_and_column(recorder):
    for n in range(5):
        recorder.sample(row(60.0 * n))
    recorder.event(1.0, 100, "MODE", 'a "quoted", detail')
    recorder.finish("complete")
    samples, events = (
        list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        for path in record.export_csv(recorder.run_dir)
    )
    assert samples[0] == [name for name, _ in record.COLUMNS]
    assert len(samples) == 6
    assert events[1] == ["1.0", "100", "MODE", 'a "quoted", detail']


def test_a_killed_run_can_be_read_up_to_its_last_two_seconds(tmp_path):
    # A process of its own, because only that can be killed.
    child = (
        "import sys, time; from pathlib import Path\n"
        "sys.path[:0] = [sys.argv[1]] + [sys.argv[1] + root for root in ('/firmware', '/sim')]\n"
        "from cisterna_sim import record, scenario; from host_tests.kit.samples import row\n"
        "made = record.Recorder(Path(sys.argv[2]), scenario.load())\n"
        "start = time.monotonic()\n"
        "while True:\n"
        "    made.sample(row(time.monotonic() - start))\n"
        "    time.sleep(0.01)\n"
        "    made.event(time.monotonic() - start, 0, 'MODE', 'BASAL')\n"
    )
    run_dir = record.new_run_dir(tmp_path, "killed")
    process = subprocess.Popen([sys.executable, "-c", child, str(ROOT), str(run_dir)])
    try:
        log = run_dir / "events.log"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
            if len(lines) > 1 and float(lines[-1].split()[1].split(":")[2]) > 3:
                break
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    run = record.read(run_dir)
    last_line = log.read_text(encoding="utf-8").splitlines()[-1]
    logged_s = float(last_line.split()[1].split(":")[2])
    assert run.meta["status"] == "running"
    assert logged_s - run.samples["true_s"][-1] < 2.5
    assert "running after" in summary.write(run_dir)
    assert picture(run_dir).is_file()


@pytest.mark.parametrize("samples", [0, 1, 2])
@pytest.mark.parametrize("events", [False, True])
def test_the_shortest_runs_have_a_summary_and_a_picture(recorder, samples, events):
    for n in range(samples):
        recorder.sample(row(60.0 * n))
    if events:
        recorder.event(0.0, 0, "ALARM_RAISED", "OCCLUSION HIGH")
        recorder.event(0.0, 0, "BOLUS_REFUSED", "patient lockout")
    recorder.finish("interrupted")
    assert "interrupted" in summary.write(recorder.run_dir)
    assert min(png_size(picture(recorder.run_dir))) > 500


def test_180_days_have_a_picture_in_days(recorder):
    recorder.meta(**FACTS)
    for n in range(20_000):
        recorder.sample(row(777.6 * n, pressure_pa=None if n % 7 else 2000))
    recorder.finish("complete")
    assert min(png_size(picture(recorder.run_dir))) > 500


def test_the_summary_holds_belief_and_truth_side_by_side(recorder):
    recorder.meta(**FACTS)
    recorder.event(0.0, 0, "BOOT", "power on")
    recorder.event(500.0, 50_000, "BOOT", "watchdog")
    recorder.event(600.0, 60_000, "BOLUS_GRANTED", "patient")
    recorder.event(700.0, 70_000, "BOLUS_ENDED", "5000")
    recorder.sample(
        row(1000.0, programmed_nl=1_000_000, counted_nl=1_000_180, true_tip_nl=900_000.0,
            true_tip_ng=1_790_000.0, leaked_nl=50_000.0, remaining_nl=3_000_000,
            true_remaining_nl=3_100_000.0)
    )  # fmt: skip
    recorder.finish("complete")
    text = summary.write(recorder.run_dir)
    facts = json.loads((recorder.run_dir / "summary.json").read_text(encoding="utf-8"))
    assert facts["programmed"] == {"nl": 1_000_000, "ug": 2000.0}
    assert facts["counted"] == {"nl": 1_000_180, "ug": 2000.36}
    assert facts["delivered"] == {"nl": 900_000.0, "ug": 1790.0}
    assert facts["error_quanta"] == 2.0
    assert facts["resets"] == [{"true_s": 500.0, "cause": "watchdog"}]
    assert [b["what"] for b in facts["boluses"]] == ["granted", "ended"]
    for words in ("1,000,180 nL = 2,000.36 ug", "900,000 nL = 1,790.00 ug", "3.1000 mL",
                  "+2.00 quanta", "2026-06-23", "leaked", "watchdog"):  # fmt: skip
        assert words in text
    assert text == (recorder.run_dir / "summary.txt").read_text(encoding="utf-8")


def test_an_alarm_is_over_when_gone_and_acknowledged_in_either_order(recorder):
    for true_s, name, detail in (
        (10.0, "ALARM_RAISED", "OCCLUSION HIGH"),
        (20.0, "ALARM_ACKED", "OCCLUSION HIGH"),
        (25.0, "ALARM_RAISED", "RESERVOIR_LOW LOW"),
        (30.0, "ALARM_GONE", "OCCLUSION HIGH"),
        (50.0, "ALARM_RAISED", "OCCLUSION HIGH"),
        (60.0, "ALARM_GONE", "OCCLUSION HIGH"),
        (70.0, "ALARM_ACKED", "OCCLUSION HIGH"),
    ):
        recorder.event(true_s, int(true_s * 100), name, detail)
    recorder.finish("complete")
    occlusion, low = summary.alarm_spans(record.read(recorder.run_dir))
    assert [span["over_s"] for span in occlusion["spans"]] == [30.0, 70.0]
    assert (occlusion["first_s"], occlusion["end_s"], occlusion["count"]) == (10.0, 70.0, 2)
    assert (low["priority"], low["end_s"]) == ("LOW", None)
