"""Opens the pump for a verb, and tells what became of changes whose replies were lost."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from pumpctl.cli import target
from pumpctl.cli.settings import Settings
from pumpctl.client import Pump


@contextmanager
def pump_for(settings: Settings, role: str = "") -> Iterator[Pump]:
    """The pump of --port, in a session of --role, else of ``role``; none if both are empty."""
    with target.opened(settings, settings.role or role) as pump:
        pump.link.waiting = _wait
        try:
            yield pump
        finally:
            for reconciled in pump.reconciled:
                click.echo(f"pumpctl: {reconciled}", err=True)


def _wait(seconds: float) -> None:
    click.echo(f"The link was cut; waiting at most {seconds:.0f} s for it ...", err=True)
