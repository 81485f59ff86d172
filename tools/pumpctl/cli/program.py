"""program: what shall be delivered; shown, staged, committed, taken back."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from cisterna.parts.program import Program
from pumpctl import NotConfirmed, Pump, StagedChange, former, program_file
from pumpctl.cli.ask import carry_out, details, show, what_is_staged
from pumpctl.cli.connect import pump_for
from pumpctl.cli.out import talk_console, tell
from pumpctl.cli.settings import Settings, Verbs, pass_settings
from pumpctl.cli.units import amount
from pumpctl.difference import compare
from pumpctl.errors import BadValue
from pumpctl.models import Therapy

_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)


@click.group(cls=Verbs)
def program() -> None:
    """What the pump shall deliver, from a TOML file."""


@program.command("show")
@click.option("--toml", is_flag=True, help="As a file that program set takes.")
@pass_settings
def show_(settings: Settings, toml: bool) -> None:
    """Show the program in use."""
    with pump_for(settings) as pump:
        therapy = pump.program()
    if toml:
        if therapy is None:
            raise BadValue("the pump has no program; write a file and give it to program set")
        tell(settings, therapy, program_file.dump(therapy.program()).rstrip())
    else:
        tell(settings, therapy, lambda out: _table(out, therapy))


def _table(out: Console, therapy: Therapy | None) -> None:
    if therapy is None:
        out.print("The pump has no program.")
        return
    table = Table(show_header=False)
    for line in compare(None, therapy.program()):
        table.add_row(line.name, line.new)
    table.add_row("mean of a day", _mean(therapy), style="bold")
    out.print(table)


def _mean(therapy: Therapy) -> str:
    dose = amount("mean_ng_per_day", therapy.mean_ng_per_day)
    return f"{dose}, {amount('mean_nl_per_day', therapy.mean_nl_per_day)}"


def _differences(old: Program | None, new: Program) -> None:
    """Show both programs, what goes in red and what comes in green."""
    table = Table("program", "now", "then")
    for line in compare(old, new):
        if line.changed:
            table.add_row(line.name, f"[red]{line.old or '-'}[/]", f"[green]{line.new or '-'}[/]")
        else:
            table.add_row(line.name, line.old, line.new)
    talk_console().print(table)


def _stage(pump: Pump, new: Program) -> tuple[Therapy | None, StagedChange]:
    """The program in use, and the staged change to another."""
    before = pump.program()
    _differences(before.program() if before else None, new)
    return before, pump.stage_program(new)


def _make(settings: Settings, pump: Pump, new: Program) -> None:
    """Stage and commit a program, and keep the one that it replaces."""
    before, change = _stage(pump, new)
    carry_out(settings, pump, change)
    _keep(pump, before)


def _keep(pump: Pump, before: Therapy | None) -> None:
    if before is not None:
        former.put(pump.keys.path, pump.identity.serial, before.program())


@program.command("set")
@click.argument("file", type=_FILE)
@pass_settings
def set_(settings: Settings, file: Path) -> None:
    """Stage the program in FILE, have it confirmed, and commit it."""
    new = program_file.load(file)
    with pump_for(settings, "clinician") as pump:
        _make(settings, pump, new)


@program.command()
@click.argument("file", type=_FILE)
@pass_settings
def stage(settings: Settings, file: Path) -> None:
    """Stage the program in FILE and leave it for a commit within a minute."""
    new = program_file.load(file)
    with pump_for(settings, "clinician") as pump:
        _, change = _stage(pump, new)
        show(change)
        tell(
            settings,
            {"staged": change.details.what, **details(change)},
            "Staged, nothing has changed yet. Press the pump's button, then: "
            "pumpctl program commit",
        )


@program.command()
@pass_settings
def commit(settings: Settings) -> None:
    """Commit the program that was staged."""
    with pump_for(settings, "clinician") as pump:
        change = what_is_staged(pump)
        if change.details.what != "PROG":
            raise NotConfirmed(f"{change.details.what} is staged, no program; nothing was changed")
        before = pump.program()
        carry_out(settings, pump, change)
        _keep(pump, before)


@program.command()
@pass_settings
def revert(settings: Settings) -> None:
    """Go back to the program that was in use before the last one from this host."""
    with pump_for(settings, "clinician") as pump:
        before = former.get(pump.keys.path, pump.identity.serial)
        _make(settings, pump, before)


VERBS = (program,)
