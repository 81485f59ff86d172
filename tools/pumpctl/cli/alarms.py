"""alarms: see, acknowledge, silence, try and service them."""

import click
from rich.console import Console
from rich.table import Table

from cisterna.base import faults
from pumpctl.cli import complete
from pumpctl.cli.ask import agree, carry_out
from pumpctl.cli.connect import pump_for
from pumpctl.cli.out import tell
from pumpctl.cli.settings import Settings, Verbs, pass_settings
from pumpctl.models import Alarms

STYLES = {"high": "bold red", "medium": "yellow", "low": "cyan"}
_ROWS = {row[0]: row for row in faults.FAULTS}


@click.group(cls=Verbs)
def alarms() -> None:
    """See, acknowledge, silence and try alarms."""


@alarms.command("list")
@pass_settings
def list_(settings: Settings) -> None:
    """List the alarms that stand, with what ends each."""
    with pump_for(settings) as pump:
        standing = pump.alarms()
    tell(settings, standing, lambda out: table(out, standing))


def table(out: Console, standing: Alarms) -> None:
    """Print alarms that stand."""
    if not standing.alarms:
        out.print("No alarm.")
        return
    shown = Table("alarm", "priority", "state", "what is wrong", "what ends it")
    for alarm in standing.alarms:
        row = _ROWS.get(alarm.name)
        state = "active" if alarm.active else "gone"
        if not alarm.acknowledged:
            state += ", new"
        text, ends = (row[4], row[5]) if row else ("", "")
        style = STYLES.get(alarm.priority, "")
        shown.add_row(alarm.name, alarm.priority, state, text, ends, style=style)
    out.print(shown)
    if standing.first_stop:
        out.print(f"What stopped the pump first: {standing.first_stop}")


@alarms.command()
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=complete.alarm_names)
@pass_settings
def ack(settings: Settings, names: tuple[str, ...]) -> None:
    """Acknowledge alarms: all that stand, or those named."""
    with pump_for(settings, "clinician") as pump:
        standing = [alarm.name for alarm in pump.alarms().alarms]
        wanted = [name.upper() for name in names if name.upper() != "ALL"] or standing
        click.echo(f"Alarms that stand: {', '.join(standing) or 'none'}.", err=True)
        agree(settings, f"Acknowledge {', '.join(wanted) or 'what comes up meanwhile'}?")
        pump.acknowledge(*wanted)
        left = pump.alarms()
        tell(settings, left, lambda out: table(out, left))


@alarms.command()
@click.option("--seconds", type=click.IntRange(1, 120), default=120, show_default=True)
@pass_settings
def pause(settings: Settings, seconds: int) -> None:
    """Silence the alarms for at most two minutes."""
    with pump_for(settings, "clinician") as pump:
        agree(settings, f"Silence all alarms for {seconds} s?")
        pump.pause_audio(seconds)
        tell(settings, {"paused_s": seconds}, f"Silent for {seconds} s; lamps go on.")


@alarms.command()
@pass_settings
def test(settings: Settings) -> None:
    """Sound every priority, one after the other."""
    with pump_for(settings, "clinician") as pump:
        agree(settings, "Sound every priority now?")
        pump.test_alarms()
        tell(settings, {"testing": True}, "The pump sounds high, medium and low.")


@alarms.command()
@click.argument("fault", shell_complete=complete.fault_names)
@pass_settings
def service(settings: Settings, fault: str) -> None:
    """End a fault that is latched for service, its cause having been removed."""
    with pump_for(settings, "service") as pump:
        carry_out(settings, pump, pump.stage_service(fault.upper()))


VERBS = (alarms,)
