"""How fast the pump answers its client: on the simulator over TCP, and on the emulated Pico.

The simulator is another process and time is the wall clock's: the link, the client and the core in
CPython. The Pico's time is its own clock's, where the link and the client take none.
"""

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.table import Table

from cisterna.parts.calendar import ALL_DAYS
from cisterna.parts.program import KIND_CONTINUOUS, Program
from cisterna_sim.emulated import session
from cisterna_tools.bench import BenchError, table
from cisterna_tools.boards import ROOT
from cisterna_tools.image import ImageError
from pumpctl import Pump

# Every command with its number of times over TCP and on the board. No answer takes longer to make
# than a page of the log; the last is a change, whose counter is stored before it is made.
ROUNDS = {
    "RES:VOL?": (2_000, 20),
    "STAT?": (2_000, 10),
    "LOG? 0,16": (500, 3),
    "STAT? in a session": (1_000, 5),
    "ALAR:ACK ALL": (1_000, 5),
}
TELEMETRY_MS = 100
# A patient bolus of 10 uL over a minute, so that steps come often.
PROGRAM = Program(KIND_CONTINUOUS, 2_000, ((ALL_DAYS, 0, 300_000),), 20_000, 60, 3_600, 6)
_AT_MOST_S = 10
# Of fewer than a hundred times the slowest stands for p99.
_COLUMNS = ("command", "times", "commands per s", "p50 ms", "p99 ms")


def tables() -> Iterator[Table]:
    """One table for each target."""
    yield over_tcp()
    yield on_the_board()


def over_tcp() -> Table:
    """The simulator at the pace of real time, delivering basal."""
    made = table("The client over TCP to pumpctl sim --serve, wall clock", *_COLUMNS)
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder) / "keys.toml") as pump:
        for command, (times, _) in ROUNDS.items():
            made.add_row(command, *_timed(pump, command, times, time.perf_counter))
    return made


@contextmanager
def _served(keys: Path) -> Iterator[Pump]:
    """A simulated pump in a process of its own, and a clinician's session with it."""
    command = [sys.executable, "-m", "pumpctl", "--json", "--keys", str(keys)]
    with subprocess.Popen(
        [*command, "sim", "--serve", "--until-eof"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        said = server.stdout.readline()
        if not said:
            raise BenchError("pumpctl sim --serve did not start; run it to see why")
        with Pump.open(json.loads(said)["ports"][0], "clinician", keys) as pump:
            yield pump
        # It ends with its standard input, which leaving this closes.


def on_the_board() -> Table:
    """The emulated Pico, at rest between the steps of its basal rate and in a bolus."""
    made = table("The client on the emulated Pico's USB console, its own clock", *_COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        try:
            begun = session.begin(Path(folder), PROGRAM)
        except ImageError as error:
            raise BenchError(str(error)) from None
        rig, pump = begun.rig, begun.clinician

        def now_s() -> float:
            return rig.now_us / 1e6

        for command, (_, times) in ROUNDS.items():
            made.add_row(command, *_timed(pump, command, times, now_s))
        rig.press()
        rig.run_until(lambda: rig.pulses, _AT_MOST_S)
        pump.query("TEL:PER", TELEMETRY_MS)
        made.add_section()
        for command, (_, times) in ROUNDS.items():
            name = f"{command}, bolus, telemetry {1000 // TELEMETRY_MS} Hz"
            made.add_row(name, *_timed(pump, command, times, now_s))
    return made


def _timed(
    pump: Pump, command: str, times: int, now_s: Callable[[], float]
) -> tuple[str, str, str, str]:
    """Give a command so often, one after the other: the cells of its row."""
    act = _act(pump, command)
    act()
    took_ms = []
    for _ in range(times):
        begun_s = now_s()
        act()
        took_ms.append((now_s() - begun_s) * 1e3)
    took_ms.sort()
    return (
        f"{times:,}",
        f"{times * 1e3 / sum(took_ms):,.0f}",
        f"{_quantile(took_ms, 0.5):.2f}",
        f"{_quantile(took_ms, 0.99):.2f}",
    )


def _act(pump: Pump, command: str) -> Callable[[], str]:
    header, _, rest = command.partition(" ")
    if rest == "in a session":
        return lambda: pump.query(header)
    if header.endswith("?"):
        return lambda: pump.exchange.ask(header, *rest.split())
    return lambda: pump.change(header, rest)


def _quantile(ordered: list[float], part: float) -> float:
    """The least value that so large a part does not exceed."""
    return ordered[math.ceil(part * len(ordered)) - 1]
