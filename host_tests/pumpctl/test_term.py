"""The raw terminal, the shell's completion, and a client that is not ours."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from cisterna.telemetry.commands import all_rows
from host_tests.kit.served import Home, Served

ARROW_UP = b"\x1b[A"


class Screen:
    """pumpctl term on a terminal of its own."""

    def __init__(self, pump: Served) -> None:
        self._master, slave = pty.openpty()
        home = Home(pump.home.folder)
        home.env.update(TERM="xterm", PROMPT_TOOLKIT_NO_CPR="1")
        self.process = home.start("--timeout", "20", "--port", pump.tcp, "term", terminal=slave)
        os.close(slave)
        self._said = self._half = ""

    def type(self, keys: bytes) -> None:
        """Type keys."""
        os.write(self._master, keys)

    def expect(self, pattern: str, at_most_s: float = 20.0) -> str:
        """Wait for a pattern in what is shown, colours left out; what it matched."""
        end_s = time.monotonic() + at_most_s
        while not (found := re.search(pattern, self._said, re.DOTALL)):
            assert time.monotonic() < end_s, self._said
            if select.select([self._master], [], [], 0.1)[0]:
                shown = self._half + os.read(self._master, 4_096).decode(errors="replace")
                self._raw, *half = re.split(r"(\x1b\[?[0-9;?]*)\Z", shown)
                self._half = half[0] if half else ""
                # What is shown in a wiped prompt's place stands on a line of its own.
                lines = re.sub(r"\x1b\[0?J", "\n", self._raw)
                self._said += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", lines)
        self._said = self._said[found.end() :]
        return found[0]

    def close(self) -> None:
        """End it, however it is."""
        self.process.close()
        os.close(self._master)


@pytest.fixture
def screen(bench: Served) -> Iterator[Screen]:
    shown = Screen(bench)
    shown.expect("pump>")
    yield shown
    shown.close()


def test_lines_go_as_typed_and_replies_come_as_they_are(screen: Screen) -> None:
    screen.type(b"*IDN?\r")
    screen.expect("Cisterna,sim,SIM0001,0.1.0")
    screen.type(b"DEL:STOP\r")
    screen.expect("ERR -203.*pump>")
    screen.type(b"\x04")
    assert screen.process.wait(10) == 0


def test_tab_completes_from_the_pumps_own_table(screen: Screen) -> None:
    screen.type(b"cloc?\r")
    screen.expect(r"\{\"known\"")
    screen.type(b"SYST:PRO\t")
    screen.expect(r"SYST:PROT\?")
    screen.type(b"\r")
    screen.expect(r"\n1\r")
    screen.type(b"SYST:\t\t")
    screen.expect(r"SYST:VERS\?")
    assert "SYST:VERS?" in [row.header for row in all_rows()]


def test_the_arrows_go_through_the_history_of_former_times(bench: Served, screen: Screen) -> None:
    screen.type(b"MEAS:SUPP?\r")
    screen.expect(r"\n[45]\d{3}\r")
    screen.type(b"exit\r")
    assert screen.process.wait(10) == 0
    again = Screen(bench)
    try:
        again.expect("pump>")
        again.type(ARROW_UP + ARROW_UP)
        again.expect(r"MEAS:SUPP\?")
        again.type(b"\r")
        again.expect(r"\n[45]\d{3}\r")
    finally:
        again.close()


def test_telemetry_is_shown_apart_from_replies(screen: Screen) -> None:
    screen.type(b"TEL:PER 200\r")
    screen.expect("OK")
    screen.expect(r'~\{"seq":.*?~\{"seq":')
    assert "\x1b[2m" in screen._raw or "\x1b[0;2m" in screen._raw
    screen.type(b"*OPC?\r")
    screen.expect(r"\n1\r")
    screen.type(b"TEL:PER 0\r")
    screen.expect("OK")


def test_telemetry_is_shown_in_its_order(screen: Screen) -> None:
    screen.type(b"TEL:PER 100\r")
    screen.expect("OK")
    shown = screen.expect(r'(~\{"seq":.*?){20}')
    numbers = [int(number) for number in re.findall(r'"seq":(\d+)', shown)]
    assert len(numbers) >= 19
    assert numbers == sorted(numbers)
    screen.type(b"TEL:PER 0\r")
    screen.expect("OK")


def test_a_script_may_be_piped_in(bench: Served) -> None:
    said = bench("term", input="*IDN?\n\nRES:VOL?\nNO:SUCH?\n")
    first, second, third = said.out.splitlines()
    assert first == "Cisterna,sim,SIM0001,0.1.0"
    assert 17_000_000 < int(second) <= 18_000_000
    assert third.startswith("ERR -113")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(bench: Served, shell: str) -> None:
    said = bench.home.run("completion", shell)
    assert said.code == 0
    assert "_PUMPCTL_COMPLETE" in said.out
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=said.out, text=True, timeout=20).returncode == 0


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("pumpctl al", "alarms"),
        ("pumpctl alarms ac", "ack"),
        ("pumpctl alarms ack OCC", "OCCLUSION_REPEATED"),
        ("pumpctl limits set occ", "occlusion_pa="),
        ("pumpctl --role cl", "clinician"),
        ("pumpctl --port s", "sim"),
        ("pumpctl --port socket", "{tcp}"),
    ],
)
def test_verbs_ports_faults_and_limits_complete(bench: Served, words: str, wanted: str) -> None:
    home = Home(bench.home.folder)
    home.env.update(
        _PUMPCTL_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split()) - 1),
    )
    offered = [line.partition(",")[2] for line in home.run().out.splitlines()]
    assert wanted.format(tcp=bench.tcp) in offered


@pytest.mark.parametrize("kind", ["TCPIP", "ASRL"])
def test_pyvisa_queries_the_pump_with_no_code_of_ours(bench: Served, kind: str) -> None:
    port = bench.tcp.rpartition(":")[2]
    name = f"TCPIP::127.0.0.1::{port}::SOCKET" if kind == "TCPIP" else f"ASRL{bench.pty}::INSTR"
    script = f"""
import pyvisa
manager = pyvisa.ResourceManager("@py")
pump = manager.open_resource({name!r})
pump.read_termination = pump.write_termination = "\\n"
pump.timeout = 5000
print(pump.query("*IDN?"))
print(pump.query_ascii_values("RES:VOL?", converter="d")[0])
pump.write("*CLS")
print(pump.read())
print(pump.query("SYST:ERR?"))
print(pump.query("FLY?")[:8])
print(pump.query("SYST:ERR?")[:4])
pump.close()
manager.close()
"""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd="/", env=env, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    who, volume, cleared, error, refused, queued = done.stdout.splitlines()
    assert who == "Cisterna,sim,SIM0001,0.1.0"
    assert 17_000_000 < int(volume) <= 18_000_000
    assert (cleared, error) == ("OK", '0,"No error"')
    assert (refused, queued) == ("ERR -113", "-113")
