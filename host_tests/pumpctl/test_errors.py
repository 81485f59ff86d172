"""What goes wrong: one line on standard error that says what to do, and an exit code."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from host_tests.kit.peer import TcpPeer
from host_tests.kit.peer import pump as an_older_pump
from host_tests.kit.served import Home, Said, Served
from pumpctl.cli import app
from pumpctl.cli.app import cli
from pumpctl.exit_codes import EXIT_CODES


@pytest.fixture
def alone(tmp_path: Path) -> Home:
    """A user's folder where no pump is served."""
    return Home(tmp_path)


def one_line(said: Said) -> str:
    """The only line on standard error; nothing may stand on standard output."""
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 1, said.err
    return lines[0]


WRONG_USAGE = {
    "no verb of that name": ["fly"],
    "a dose that is no number": ["bolus", "--dose", "much", "--minutes", "5"],
    "a dose finer than a ng": ["bolus", "--dose", "0.0001", "--minutes", "5"],
    "a bolus of neither kind": ["bolus"],
    "a bolus of both kinds": ["bolus", "--patient", "--dose", "1", "--minutes", "5"],
    "an unknown limit": ["limits", "set", "speed_nl=1"],
    "a limit that is no number": ["limits", "set", "low_nl=1.5"],
    "a file that is not there": ["program", "set", "no-such.toml"],
    "a recording that is not there": ["record", "--into", "no-such"],
    "an export of nothing": ["export", "no-such"],
    "a URL that pyserial does not know": ["--port", "nonsense://x", "status"],
    "a blank scenario": ["sim", "--serve", "--blank", "--scenario", "day"],
    "an unknown scenario": ["sim", "--serve", "--scenario", "dya"],
    "a TCP port beyond the last": ["sim", "--serve", "--tcp", "65536"],
    "a URL without a port": ["--port", "socket://127.0.0.1", "status"],
    "a URL with a port beyond the last": ["--port", "socket://127.0.0.1:65536", "status"],
}


@pytest.mark.parametrize("words", WRONG_USAGE.values(), ids=WRONG_USAGE)
def test_wrong_usage_is_2_and_sends_nothing(alone: Home, words: list[str]) -> None:
    said = alone.run(*words)
    assert (said.code, said.out) == (2, "")
    assert "Traceback" not in said.err
    assert said.err.splitlines()[-1].startswith(("Error: ", "pumpctl: "))


def test_no_pump_is_3(alone: Home) -> None:
    said = alone.run("status")
    # A machine with a board plugged in has another answer.
    if said.code == 3:
        assert "no pump found on USB" in one_line(said)


def test_nobody_at_the_port_is_4(alone: Home) -> None:
    for port in ("socket://127.0.0.1:1", "/dev/no-such-port"):
        said = alone.run("--port", port, "status")
        assert said.code == 4
        assert port in one_line(said)


def test_a_port_that_another_program_holds_is_4_and_doctor_names_it(bench: Served) -> None:
    fd = os.open(bench.pty, os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        said = bench.home.run("--port", bench.pty, "status")
        assert said.code == 4
        assert "in use by another program" in one_line(said)
        doctor = bench.home.start("--port", bench.pty, "doctor", "--json")
        out, _ = doctor.communicate()
        assert doctor.returncode == 1
        assert f"(process {os.getpid()})" in json.loads(out)[-1]["text"]
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("says", "hint"),
    [
        (b"\x80\x00\xfe\x1c\n", "wrong baud rate"),
        (b">>> \n", "make flash"),
        (None, "no answer"),
    ],
    ids=["garbage", "MicroPython without a pump", "silence"],
)
def test_what_is_no_pump_is_4(alone: Home, says: bytes | None, hint: str) -> None:
    with TcpPeer(lambda line: says) as peer:
        said = alone.run("--port", peer.port, "--timeout", "0.2", "status")
    assert said.code == 4
    assert hint in one_line(said)


def test_a_pump_of_other_firmware_is_told_apart_and_what_to_do(alone: Home) -> None:
    """Same protocol, but it lacks a command of today's."""
    with TcpPeer(an_older_pump()) as peer:
        said = alone.run("--port", peer.port, "status")
        assert said.code == 5
        assert "Undefined header (-113); its firmware is of another version" in one_line(said)
        found = alone.run("--port", peer.port, "doctor", "--json")
    assert found.code == 1
    states = {row["check"]: row["state"] for row in found.json}
    assert (states["port"], states["pump"]) == ("ok", "fault")


def test_doctor_says_whether_others_may_be_at_the_port(bench: Served) -> None:
    said = {port: bench.home.run("--port", port, "doctor", "--json").json[0]["text"]
            for port in (bench.tcp, bench.pty)}  # fmt: skip
    assert said == {bench.tcp: f"{bench.tcp} opens", bench.pty: f"{bench.pty} opens, locked"}


def test_a_file_that_cannot_be_written_is_2(bench: Served) -> None:
    said = bench("log", "export", str(bench.home.folder / "no" / "log.csv"))
    assert said.code == 2
    assert "log.csv: No such file" in one_line(said)


def test_a_cable_that_stays_out_during_a_change_is_waited_for_aloud_and_is_8(
    pump: Served,
) -> None:
    stop = pump.home.start("--port", pump.tcp, "stop")
    assert stop.stdin is not None
    assert stop.stderr is not None
    stop.stderr.readline()
    pump.down()
    began_s = time.monotonic()
    _, err = stop.communicate("y\n", timeout=30)
    assert stop.returncode == 8
    first, last = err.splitlines()[-2:]
    assert "waiting at most 10 s for it" in first
    assert "before anything else it will be asked what became of DEL:STOP" in last
    assert time.monotonic() - began_s < 15
    pump.up()
    assert "DEL:STOP, whose reply was lost: not accepted" in pump("suspend", "--yes").err


def test_no_key_is_6(bench: Served, tmp_path: Path) -> None:
    said = bench("--keys", str(tmp_path / "none.toml"), "stop", "--yes")
    assert said.code == 6
    assert "no clinician key of pump SIM0001" in one_line(said)


def test_a_role_that_may_not_is_6(bench: Served) -> None:
    said = bench("--role", "patient", "stop", "--yes")
    assert said.code == 6
    assert "may not DEL:STOP" in said.err
    assert bench.status()["mode"] == "BASAL"


def test_a_cable_pulled_while_watching_is_4(pump: Served) -> None:
    watch = pump.home.start("--port", pump.tcp, "watch", "--json")
    assert watch.stdout is not None
    assert "mode" in watch.stdout.readline()
    pump.down()
    _, err = watch.communicate(timeout=20)
    assert watch.returncode == 4
    assert "the link was cut" in err
    pump.up()


def test_ctrl_c_is_130(bench: Served) -> None:
    watch = bench.home.start("--port", bench.tcp, "watch", "--json")
    assert watch.stdout is not None
    watch.stdout.readline()
    watch.send_signal(signal.SIGINT)
    _, err = watch.communicate(timeout=20)
    assert watch.returncode == 130
    assert "Traceback" not in err


INTERRUPTED = """
import sys

class Slow:
    def find_spec(self, name, *rest):
        if name == "pydantic":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Slow())
from pumpctl.console import pumpctl
pumpctl()
"""


def test_ctrl_c_while_it_still_loads_is_130_without_a_word(alone: Home) -> None:
    said = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], env=alone.env, capture_output=True, text=True
    )
    assert (said.returncode, said.stdout, said.stderr) == (130, "", "")


def test_a_reader_that_has_had_enough_ends_it_without_a_word(bench: Served) -> None:
    with bench.home.start("--port", bench.tcp, "watch", "--json", "--period", "0.1") as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        watch.stdout.readline()
        watch.stdout.close()
        assert watch.stderr.read() == ""
        assert watch.wait(20) == 1


def test_a_mistake_of_ours_is_one_line_and_a_traceback_only_if_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(app.cli, "main", broken)
    for words, lines in ((["status"], 1), (["status", "--debug"], 5)):
        with pytest.raises(SystemExit) as ended:
            app.main(words)
        err = capsys.readouterr().err
        assert ended.value.code == 1
        assert "out of order; this is a mistake in pumpctl" in err
        assert len(err.splitlines()) >= lines
        assert ("Traceback" in err) == ("--debug" in words)


def test_help_lists_every_exit_code(alone: Home) -> None:
    said = alone.run("--help")
    assert said.code == 0
    for code, text in EXIT_CODES:
        assert f"{code:>3}  {text}" in said.out
    assert "not a medical device" in said.out


def test_every_verb_has_help_that_tells_of_the_options_of_all() -> None:
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        said = CliRunner().invoke(cli, [name, "--help"])
        assert said.exit_code == 0
        assert command.help
        shown = " ".join(said.output.split())
        assert command.help.splitlines()[0] in shown
        assert "options that pumpctl --help lists" in shown


def test_the_port_of_a_program_that_is_not_ours_is_not_pressed(alone: Home) -> None:
    """A stale file of one that was served must not send its signal to a stranger."""
    folder = alone.folder / "served"
    folder.mkdir()
    stale = folder / f"{os.getpid()}.json"
    stale.write_text(
        f'{{"pid": {os.getpid()}, "what": "sim", "ports": ["socket://127.0.0.1:1", "x"]}}',
        encoding="utf-8",
    )
    assert alone.run("list", "--json").json == []
    assert not stale.exists()


def test_a_tcp_port_in_use_is_said(alone: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = alone.run("sim", "--serve", "--tcp", str(port))
    assert said.code == 4
    assert str(port) in one_line(said)
