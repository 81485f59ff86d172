"""Recordings: what is kept, how a pulled cable is survived, and what other tools make of it."""

import csv
import signal
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from cisterna_sim import record
from cisterna_sim.__main__ import main as simulator
from host_tests.kit.forked import Forked
from host_tests.kit.served import Served, wait_until
from pumpctl.recording import COLUMNS


def recorder(pump: Served, port: str, *args: str) -> Forked:
    """Start a recording; returns once it has its folder."""
    process = pump.home.start(
        "--port", port, "record", "--out", "runs", "--period", "0.2", "--json", *args
    )
    assert process.stderr is not None
    said = process.stderr.readline()
    assert said.startswith("Recording pump SIM0001"), said
    return process


def ended(process: Forked, number: int = signal.SIGINT) -> str:
    """End a recording with a signal; what it said on standard error."""
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    return err


def run_dir(pump: Served) -> Path:
    return pump.home.folder / "runs" / "latest"


def samples(pump: Served) -> int:
    """Committed samples, read while the recorder writes."""
    db = sqlite3.connect(run_dir(pump) / record.DATABASE)
    try:
        return int(db.execute("SELECT COUNT(*) FROM samples").fetchone()[0])
    finally:
        db.close()


def sequences(pump: Served) -> list[int]:
    db = sqlite3.connect(run_dir(pump) / record.DATABASE)
    try:
        rows = db.execute("SELECT sequence FROM events WHERE sequence NOT NULL ORDER BY rowid")
        return [row[0] for row in rows]
    finally:
        db.close()


def names(pump: Served) -> list[str]:
    return [event.name for event in record.read(run_dir(pump)).events]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_samples_events_and_the_raw_line_are_kept(pump: Served, number: int) -> None:
    process = recorder(pump, pump.tcp)
    pump.do("suspend")
    wait_until(lambda: samples(pump) >= 4)
    ended(process, number)
    run = record.read(run_dir(pump))
    assert list(run.samples) == [name for name, _ in COLUMNS]
    assert run.meta["status"] == "complete"
    assert run.meta["serial"] == "SIM0001"
    assert run.last is not None
    assert (run.last["mode"], run.last["rate_nl_per_day"]) == ("SUSPENDED", 0)
    steps_s = [
        b - a for a, b in zip(run.samples["pump_s"], run.samples["pump_s"][1:], strict=False)
    ]
    assert all(abs(step - 0.2) < 0.01 for step in steps_s)
    assert names(pump)[0] == "BOOT"
    assert "SUSPENDED" in [event.detail for event in run.events]
    log = (run_dir(pump) / record.LOG).read_text(encoding="utf-8")
    assert len(log.splitlines()) == len(run.events)
    wire = (run_dir(pump) / "serial.log").read_text(encoding="ascii").splitlines()
    assert any(" < ~{" in line for line in wire)
    assert any(" > #" in line and "TEL:PER 200" in line for line in wire)


@pytest.mark.parametrize("kind", ["tcp", "pty"])
def test_a_pulled_cable_is_waited_for(pump: Served, kind: str) -> None:
    port = pump.tcp if kind == "tcp" else pump.link
    process = recorder(pump, port)
    wait_until(lambda: samples(pump) >= 3)
    pump.down(signal.SIGKILL)
    pump.process.wait()
    time.sleep(1.0)
    before = samples(pump)
    pump.up()
    wait_until(lambda: samples(pump) >= before + 3)
    err = ended(process)
    assert "the link was cut" in err
    assert "The pump is back." in err
    found = names(pump)
    assert found.index("LINK_LOST") < found.index("LINK_BACK")


def test_a_pump_whose_log_began_anew_is_recorded_from_its_start(pump: Served) -> None:
    pump.do("suspend")
    pump.do("resume")
    recorder(pump, pump.tcp, "--seconds", "1").communicate(timeout=20)
    last = sequences(pump)[-1]
    pump.down()
    pump.up()
    said = pump("record", "--into", "runs/latest", "--seconds", "1")
    assert said.code == 0, said.err
    assert names(pump).count("LOG_RESTARTED") == 1
    found = sequences(pump)
    assert found[: last + 1] == list(range(last + 1))
    assert found[last + 1 :] == list(range(len(found) - last - 1))
    assert len(found) > last + 10


def test_what_the_pump_logged_meanwhile_is_fetched_and_nothing_twice(pump: Served) -> None:
    ended_early = recorder(pump, pump.tcp, "--seconds", "1")
    ended_early.communicate(timeout=20)
    pump.do("suspend")
    pump.do("resume")
    folder = str(run_dir(pump).resolve())
    said = pump("record", "--into", folder, "--seconds", "1", "--json")
    assert said.code == 0, said.err
    found = sequences(pump)
    assert found == list(range(len(found)))
    details = [event.detail for event in record.read(run_dir(pump)).events]
    assert details.index("SUSPENDED") > 0


def test_a_recording_is_not_gone_on_with_by_another_pump_or_into_a_simulated_run(
    pump: Served, tmp_path: Path
) -> None:
    assert pump("record", "--seconds", "0.5").code == 0
    pump.args = ("--serial", "SIM0002")
    pump.down()
    pump.up()
    said = pump("record", "--into", str(run_dir(pump)), "--seconds", "1")
    assert said.code == 2
    assert "is the recording of pump SIM0001" in said.err
    other = tmp_path / "other"
    other.mkdir()
    with sqlite3.connect(other / record.DATABASE) as db:
        db.execute("CREATE TABLE meta (key TEXT, value TEXT)")
    db.close()
    said = pump("record", "--into", str(other), "--seconds", "1")
    assert said.code == 2
    assert "is not the recording of a pump" in said.err


def test_a_port_that_does_not_open_leaves_no_folder(pump: Served) -> None:
    assert pump.home.run("--port", "socket://127.0.0.1:1", "record").code == 4
    assert not (pump.home.folder / "runs").exists()


def test_a_recording_is_exported_as_csv_and_parquet(pump: Served) -> None:
    import pyarrow.parquet

    assert pump("record", "--seconds", "1.5", "--period", "0.2").code == 0
    folder = run_dir(pump)
    assert len(pump.home.run("export", str(folder), "--json").json["files"]) == 2
    with (folder / "samples.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == samples(pump) > 3
    assert {row["mode"] for row in rows} == {"BASAL"}
    assert pump.home.run("export", str(folder), "--format", "parquet").code == 0
    table = pyarrow.parquet.read_table(folder / "samples.parquet")
    assert table.column_names == [name for name, _ in COLUMNS]
    assert table.num_rows == len(rows)
    assert table.column("remaining_nl").to_pylist()[0] == int(rows[0]["remaining_nl"])
    assert pyarrow.parquet.read_table(folder / "events.parquet").num_rows > 10


def test_the_simulators_summary_is_not_for_a_pumps_recording(
    pump: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pump("record", "--seconds", "0.5").code == 0
    with pytest.raises(SystemExit) as ended:
        simulator(["show", str(run_dir(pump))])
    assert ended.value.code == 2
    assert "was recorded from a pump; use pumpctl export" in capsys.readouterr().err


def test_without_pyarrow_parquet_is_refused_with_what_to_do(
    pump: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pump("record", "--seconds", "0.5").code == 0
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = pump.home.run("export", str(run_dir(pump)), "--format", "parquet")
    assert said.code == 2
    assert "cisterna[parquet]" in said.err
