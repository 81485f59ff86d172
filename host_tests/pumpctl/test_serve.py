"""The simulated pump that is served: its ports, its button, its end; and what is shared by all."""

import json
import os
import signal
import socket
import time
import tty
from pathlib import Path

import pytest
import serial

from cisterna_sim import served
from cisterna_sim.terminals import Terminals
from host_tests.kit.served import Home, Served, wait_until


def ask(port: str, line: str) -> str:
    """What a program that knows nothing of ours gets in reply."""
    with serial.serial_for_url(port, timeout=5) as line_port:
        line_port.write(line.encode() + b"\n")
        return line_port.readline().decode().strip()


def test_pty_link_and_tcp_are_the_same_pump(bench: Served) -> None:
    for port in (bench.tcp, bench.pty, bench.link):
        assert ask(port, "*IDN?") == "Cisterna,sim,SIM0001,0.1.0"
    assert os.path.realpath(bench.link) == bench.pty


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_well_and_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    pump = Served(Home(tmp_path))
    assert list((tmp_path / "served").glob("*.json"))
    assert pump.down(number) == 0
    assert not list((tmp_path / "served").iterdir())
    assert not os.path.lexists(pump.link)


def test_in_the_background_of_a_script_ctrl_c_is_for_the_foreground(tmp_path: Path) -> None:
    """Such a job starts with the signal ignored, and a termination ends it all the same."""
    home = Home(tmp_path)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pump = Served(home)
        recording = home.start("--port", pump.tcp, "record", "--json")
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert recording.stderr is not None
    assert recording.stderr.readline().startswith("Recording")
    for process in (recording, pump.process):
        process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert (recording.poll(), pump.process.poll()) == (None, None)
    recording.send_signal(signal.SIGTERM)
    out, _ = recording.communicate()
    assert (recording.returncode, json.loads(out)["events"] > 10) == (0, True)
    assert pump.down() == 0


def test_enter_in_its_terminal_presses_the_button(pump: Served) -> None:
    before = ask(pump.tcp, "LOG:COUN?")
    assert pump.process.stdin is not None
    pump.process.stdin.write("\n")
    pump.process.stdin.flush()
    # The lockout of a pump just set up refuses the bolus, and logs that.
    wait_until(lambda: ask(pump.tcp, "LOG:COUN?") != before)
    assert "BOLUS_REFUSED" in pump("log", "show", "--last", "2").out


def test_its_signal_presses_the_button_every_time(pump: Served) -> None:
    for count in (1, 2):
        pump.press()
        wait_until(lambda count=count: pump("log", "show").out.count("BOLUS_REFUSED") == count)


def test_speed_is_kept(tmp_path: Path) -> None:
    pump = Served(Home(tmp_path), "--speed", "50")
    try:
        began_s, began_pump_s = time.monotonic(), pump.status()["pump_s"]
        time.sleep(2)
        passed_s = time.monotonic() - began_s
        passed_pump_s = pump.status()["pump_s"] - began_pump_s
        # A slow machine falls behind and a status takes time; neither runs ahead.
        assert 20 * passed_s < passed_pump_s < 50 * (passed_s + 2)
    finally:
        pump.down()


FAULTY = """
title = "Wires come off"
days = 1
seed = 1
drug.concentration_ug_per_ml = 2000
program = { kind = "continuous", dose_ug_per_day = 300 }
reservoir.fill_ml = 18
[[event]]
at = "00:01"
do = "pressure_dead"
[[event]]
when = { remaining_below_ml = 17.9999 }
do = "encoder_dead"
"""


def test_a_scenario_happens_and_doctor_knows_which_wires_it_may_be(tmp_path: Path) -> None:
    plan = tmp_path / "faulty.toml"
    plan.write_text(FAULTY, encoding="utf-8")
    pump = Served(Home(tmp_path), "--scenario", str(plan), "--speed", "60")
    try:
        for alarm in ("PRESSURE_SENSOR", "MOTION_SENSOR"):
            wait_until(lambda alarm=alarm: alarm in ask(pump.tcp, "STAT?"))
        said = pump("doctor", "--json")
        assert said.code == 1
        found = {row["check"]: (row["state"], row["text"]) for row in said.json}
        assert found["pressure sensor"][0] == "fault"
        assert "its ADC pin" in found["pressure sensor"][1]
        assert "SDA, SCL" in found["MOTION_SENSOR"][1]
    finally:
        pump.down()


def test_each_call_of_port_sim_has_a_new_pump_if_none_is_served(tmp_path: Path) -> None:
    home = Home(tmp_path)
    said = home.run("--port", "sim", "stop", "--yes", "--json")
    assert said.json["mode"] == "STOPPED"
    assert "a new sim pump was started for this call alone" in said.err
    assert home.run("--port", "sim", "status", "--json").json["mode"] == "BASAL"
    assert not list((tmp_path / "served").iterdir())


def test_a_served_pump_that_was_killed_is_not_listed(tmp_path: Path) -> None:
    pump = Served(Home(tmp_path))
    pump.down(signal.SIGKILL)
    assert pump.home.run("list", "--json").json == []
    os.unlink(pump.link)


def test_a_folder_that_anybody_may_have_made_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(served.VARIABLE, str(tmp_path / "link"))
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(PermissionError, match="is not yours"):
        served.folder()


@pytest.fixture
def terminals() -> Terminals:
    return Terminals(0)


def test_an_end_that_does_not_read_loses_what_is_too_much_and_holds_nobody_up(
    terminals: Terminals,
) -> None:
    deaf = socket.create_connection(("127.0.0.1", terminals.tcp))
    keen = socket.create_connection(("127.0.0.1", terminals.tcp))
    keen.settimeout(5)
    try:
        for _ in range(5):
            terminals.typed(0.01)
        line, heard = b"x" * 1_000, 0
        for _ in range(20_000):
            terminals.say(line)
            heard += len(keen.recv(65_536))
        while heard < 20_000_000:
            terminals.typed(0)
            heard += len(keen.recv(65_536))
        assert heard == 20_000_000
    finally:
        deaf.close()
        keen.close()
        terminals.close()


def test_bytes_are_passed_on_as_they_are_both_ways(terminals: Terminals) -> None:
    every = bytes(range(256)) * 4
    fd = os.open(terminals.pty, os.O_RDWR | os.O_NOCTTY)
    peer = socket.create_connection(("127.0.0.1", terminals.tcp))
    try:
        tty.setraw(fd)
        terminals.typed(0.05)
        terminals.say(every)
        assert os.read(fd, 4_096) == every
        assert peer.recv(4_096) == every
        os.write(fd, every)
        assert terminals.typed(1) == every
        peer.sendall(every)
        assert terminals.typed(1) == every
    finally:
        os.close(fd)
        peer.close()
        terminals.close()
