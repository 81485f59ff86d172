"""Test the ESP32's files on the MicroPython VM, and on CPython, against recorded fakes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cisterna_sim import vm

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FAKES = HERE.parent / "kit" / "fakes"
PATHS = f"{FAKES}:{ROOT / 'firmware'}:{ROOT / 'boards' / 'cisterna_boards'}"

BOTH = pytest.mark.parametrize("interpreter", ["micropython", "cpython"])


def play(interpreter, script, check):
    command = vm.chosen().command if interpreter == "micropython" else (sys.executable,)
    done = subprocess.run(
        [*command, FAKES / script, PATHS, check],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    # The VM's wrapper drops the exit code.
    assert done.stdout == f"passed {check}\n", done.stdout + done.stderr
    assert not done.stderr


@BOTH
@pytest.mark.parametrize(
    "check",
    [
        "made_safe",
        "single_step",
        "burst",
        "long_interval",
        "parts",
        "parts_without_looks",
        "timer_between",
        "abort_calls",
        "abort_in_parts",
        "slow_call",
        "refused",
        "never_looked_at",
    ],
)
def test_the_rmt_plays_what_it_is_told_and_counts_it(interpreter, check):
    play(interpreter, "rmt_calls.py", check)


@BOTH
@pytest.mark.parametrize("check", ["hung_processor", "abort_anywhere"])
def test_an_rmt_burst_has_a_bound(interpreter, check):
    play(interpreter, "rmt_calls.py", check)


@BOTH
@pytest.mark.parametrize(
    "check", ["pcnt", "machine_counter", "no_counter", "analog", "reason", "whole"]
)
def test_the_other_ports_of_an_esp32(interpreter, check):
    play(interpreter, "board_calls.py", check)


@BOTH
@pytest.mark.parametrize("check", ["encoder_turns", "encoder_dead"])
def test_the_encoder_follows_the_screw_over_its_wrap(interpreter, check):
    play(interpreter, "shared_calls.py", check)


@pytest.mark.req("A05")
@BOTH
@pytest.mark.parametrize("check", ["high", "medium", "low", "changes"])
def test_tones_and_lamps_keep_the_times_of_the_standard(interpreter, check):
    play(interpreter, "shared_calls.py", check)


@BOTH
@pytest.mark.parametrize("check", ["never_reads", "ring_wraps", "reads"])
def test_the_console_never_blocks(interpreter, check):
    play(interpreter, "shared_calls.py", check)


def test_a_pipe_that_nobody_reads_does_not_hold_the_console_up():
    """A pipe takes 64 KiB; the rest is dropped line by line, and reading goes on."""
    size = 200_000
    command = [*vm.chosen().command, str(FAKES / "stdio_calls.py"), PATHS, str(size)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"*IDN?\n")
        process.stdin.close()
        told = process.stderr.read().decode().split()
        heard = process.stdout.read()
    dropped, held, slowest_ms = map(int, told[:3])
    assert told[3:] == ["*IDN?"]
    assert len(heard) == size // 64 * 64 - dropped * 64 - held
    assert dropped > 1_000
    assert held > 900
    assert slowest_ms < 250
    assert set(heard.split(b"\n")[:-1]) == {b"x" * 63}
