"""pumpctl in a process of its own that need not load it: a fork of the tests' process.

It has its own signals, streams and exit code as any process; test_install.py starts the
command as users do.
"""

import gc
import os
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired
from typing import IO, NoReturn

_POLL_S = 0.005
_FILES = 4_096


class Forked:
    """The process, with as much of subprocess.Popen as tests use.

    ``terminal`` is used for its standard streams, in a session of its own; else they are pipes.
    """

    def __init__(
        self, args: Sequence[str], folder: Path, env: dict[str, str], terminal: int | None = None
    ) -> None:
        self.args = args
        self.returncode: int | None = None
        self.stdin: IO[str] | None = None
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None
        if terminal is None:
            ours, theirs = self._pipes()
        else:
            ours, theirs = [], [terminal] * 3
        with warnings.catch_warnings():
            # Newer Pythons warn of threads, of which the child uses nothing.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if not self.pid:
            _become(args, folder, env, theirs, terminal is not None)
        if ours:
            for fd in theirs:
                os.close(fd)
            self.stdin = os.fdopen(ours[0], "w", encoding="utf-8")
            self.stdout = os.fdopen(ours[1], encoding="utf-8")
            self.stderr = os.fdopen(ours[2], encoding="utf-8")

    @staticmethod
    def _pipes() -> tuple[list[int], list[int]]:
        (in_r, in_w), (out_r, out_w), (err_r, err_w) = os.pipe(), os.pipe(), os.pipe()
        return [in_w, out_r, err_r], [in_r, out_w, err_w]

    def poll(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = 60.0) -> int:
        """The same once it has ended."""
        end_s = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end_s:
                raise TimeoutExpired(list(self.args), timeout)
            time.sleep(_POLL_S)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it without a word."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, input: str = "", timeout: float = 60.0) -> tuple[str, str]:
        """Type, end its input and its life, and return what it said; that must fit a pipe."""
        assert self.stdin is not None
        assert self.stdout is not None
        assert self.stderr is not None
        with suppress(BrokenPipeError):
            self.stdin.write(input)
            self.stdin.close()
        self.wait(timeout)
        with self.stdout, self.stderr:
            return self.stdout.read(), self.stderr.read()

    def __enter__(self) -> "Forked":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it if it runs, and let go of its streams."""
        self.kill()
        self.wait()
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def _become(
    args: Sequence[str], folder: Path, env: dict[str, str], streams: list[int], session: bool
) -> NoReturn:
    """Be pumpctl, in the child; nothing of the tests' may be closed or told again here."""
    code = 99
    try:
        gc.freeze()
        if session:
            os.setsid()
        for target, fd in enumerate([os.dup(fd) for fd in streams]):
            os.dup2(fd, target)
        os.closerange(3, _FILES)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = ["pumpctl", *args]
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", closefd=False)
        from pumpctl.console import pumpctl

        pumpctl()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
        sys.stdout.flush()
    finally:
        os._exit(code)
