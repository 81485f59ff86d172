"""start, stop, suspend, resume: whether the pump delivers."""

import click

from pumpctl import Pump
from pumpctl.cli.ask import agree, carry_out
from pumpctl.cli.connect import pump_for
from pumpctl.cli.out import tell
from pumpctl.cli.settings import Settings, Verb, pass_settings
from pumpctl.cli.units import amount


@click.command(cls=Verb)
@pass_settings
def start(settings: Settings) -> None:
    """Begin to deliver the program."""
    with pump_for(settings, "clinician") as pump:
        carry_out(settings, pump, pump.stage_start())


@click.command(cls=Verb)
@pass_settings
def stop(settings: Settings) -> None:
    """Stop all delivery: basal until it is started again, and a bolus that runs.

    Sudden withdrawal of baclofen is dangerous.
    """
    with pump_for(settings, "clinician") as pump:
        _now(settings, pump, "Stop a bolus that runs, and basal until it is started again?")
        pump.stop()
        _after(settings, pump)


@click.command(cls=Verb)
@pass_settings
def suspend(settings: Settings) -> None:
    """Hold delivery for two minutes; repeat it to hold it longer."""
    with pump_for(settings, "clinician") as pump:
        _now(settings, pump, "Hold delivery for two minutes? It then goes on by itself.")
        pump.suspend()
        _after(settings, pump)


@click.command(cls=Verb)
@pass_settings
def resume(settings: Settings) -> None:
    """Go on after a suspension, or after a fault that is gone and acknowledged."""
    with pump_for(settings, "clinician") as pump:
        _now(settings, pump, "Go on delivering?")
        pump.resume()
        _after(settings, pump)


def _now(settings: Settings, pump: Pump, question: str) -> None:
    status = pump.status()
    rate = amount("rate_nl_per_day", status.rate_nl_per_day)
    click.echo(f"The pump is in mode {status.mode} and delivers {rate}.", err=True)
    agree(settings, question)


def _after(settings: Settings, pump: Pump) -> None:
    status = pump.status()
    rate = amount("rate_nl_per_day", status.rate_nl_per_day)
    tell(settings, {"mode": status.mode, "rate_nl_per_day": status.rate_nl_per_day},
         f"Mode {status.mode}, {rate}.")  # fmt: skip


VERBS = (start, stop, suspend, resume)
