"""pumpctl as a user types it, against a simulated pump that another process serves.

A verb that ends by itself runs in the tests' own process, on streams and an environment of its
own.
"""

import io
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from host_tests.kit.forked import Forked

ROOT = Path(__file__).parents[2]
ROOTS = ("firmware", "boards", "sim", "tools")
START_S = 30.0
END_S = 10.0


class Said(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The whole of standard output, which must be JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Standard output, a JSON value a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Home:
    """A user's folder: keys, what is served, and nothing of the real user's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = folder / "keys.toml"
        self.env = {
            **os.environ,
            "CISTERNA_KEYS": str(self.keys),
            "CISTERNA_SERVED": str(folder / "served"),
            "PYTHONPATH": ":".join(str(ROOT / root) for root in ROOTS),
        }

    def start(self, *args: str, terminal: int | None = None) -> Forked:
        """Start pumpctl in a process of its own."""
        return Forked(args, self.folder, self.env, terminal)

    def run(self, *args: str, input: str = "") -> Said:
        """Run pumpctl to its end, in this process."""
        from pumpctl.cli import app

        streams = [io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", write_through=True)
                   for data in (input.encode(), b"", b"")]  # fmt: skip
        former = sys.stdin, sys.stdout, sys.stderr
        folder, env = os.getcwd(), dict(os.environ)
        os.environ.clear()
        os.environ.update(self.env)
        os.chdir(self.folder)
        sys.stdin, sys.stdout, sys.stderr = streams
        try:
            app.main(args)
        except SystemExit as ended:
            code = ended.code
        finally:
            sys.stdin, sys.stdout, sys.stderr = former
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(env)
        assert isinstance(code, int)
        said = [stream.buffer.getvalue().decode() for stream in streams[1:]]
        return Said(code, *said)


class Served:
    """A simulated pump that is served; ``tcp``, ``pty`` and ``link`` are its ports."""

    def __init__(self, home: Home, *args: str) -> None:
        self.home = home
        self.args = args
        self.link = str(home.folder / "pump")
        self._tcp_port = 0
        self.up()

    def up(self) -> None:
        """Start it, at the same TCP port and link as before."""
        self.process = self.home.start(
            "--json", "sim", "--serve", "--tcp", str(self._tcp_port), "--link", self.link,
            *self.args,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = _within(self.process.stdout.readline, START_S)
        if not line:
            _, err = self.process.communicate(timeout=END_S)
            raise RuntimeError(f"the pump is not served: {err}")
        self.tcp, self.pty, self.link = json.loads(line)["ports"]
        self._tcp_port = int(self.tcp.rpartition(":")[2])

    def down(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit code."""
        self.process.send_signal(number)
        self.process.communicate(timeout=END_S)
        return self.process.wait()

    def press(self) -> None:
        """Press its button as a script does."""
        self.process.send_signal(signal.SIGUSR1)

    def __call__(self, *args: str, input: str = "") -> Said:
        """Run a verb on it over TCP."""
        return self.home.run("--port", self.tcp, *args, input=input)

    def do(self, *args: str) -> Said:
        """Make a change without a question; it must be made."""
        said = self(*args, "--yes", "--press", "--json")
        assert said.code == 0, said.err
        return said

    def status(self) -> Any:
        """Its status."""
        return self("status", "--json").json


def _within(read: Any, seconds: float) -> str:
    """What a blocking read gives, or nothing if it takes longer."""
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(read()), daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else ""


def wait_until(done: Any, at_most_s: float = 20.0, every_s: float = 0.05) -> None:
    """Wait until ``done()`` is true; AssertionError if it does not come."""
    end_s = time.monotonic() + at_most_s
    while not done():
        assert time.monotonic() < end_s, f"not within {at_most_s} s"
        time.sleep(every_s)
