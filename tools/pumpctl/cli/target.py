"""Opens the pump that --port names: a real one, one that is served, or one of this call."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from sim import served
from tools.pumpctl.cli.settings import Settings
from tools.pumpctl.errors import LinkError, NoPump

SIM, RIG = "sim", "rig"
_END_S = 5.0


@contextmanager
def port(settings: Settings) -> Iterator[str | None]:
    """The port to open, with the pump behind it running; None to have one looked for."""
    if settings.port not in (SIM, RIG):
        yield settings.port
        return
    running = [pump for pump in served.running() if pump.what == settings.port]
    if running:
        yield running[-1].ports[0]
        return
    with _started(settings) as address:
        yield address


@contextmanager
def _started(settings: Settings) -> Iterator[str]:
    """A pump that lives as long as this call."""
    assert settings.port is not None
    if settings.port == RIG:
        if importlib.util.find_spec("tools.image") is None:
            raise NoPump("--port rig works in a checkout of Cisterna only; take --port sim")
        command = [sys.executable, "-m", "sim.board", "--json", "--until-eof"]
    else:
        command = [sys.executable, "-m", "tools.pumpctl", "--json", "sim", "--serve"]
        command += ["--until-eof", "--speed", str(settings.speed)]
        if settings.keys is not None:
            command += ["--keys", str(settings.keys)]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
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


def press(address: str) -> bool:
    """Press the button of a simulated pump; False if there is none at that port."""
    pump = served.at(address)
    if pump is None:
        return False
    try:
        pump.press()
    except OSError as error:
        raise LinkError(f"{address}: its button cannot be pressed: {error}") from None
    return True
