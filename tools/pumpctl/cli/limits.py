"""limits: what no program, bolus or sensor may pass."""

import click
from rich.console import Console
from rich.table import Table

from cisterna.base.settings import LIMIT_FIELDS
from pumpctl.cli import complete
from pumpctl.cli.ask import carry_out
from pumpctl.cli.connect import pump_for
from pumpctl.cli.out import tell
from pumpctl.cli.settings import Settings, Verbs, pass_settings


@click.group(cls=Verbs)
def limits() -> None:
    """What no program, bolus or sensor may pass."""


@limits.command()
@pass_settings
def show(settings: Settings) -> None:
    """Show the limits in force, with what each may be."""
    with pump_for(settings) as pump:
        values = pump.limits()

    def text(out: Console) -> None:
        table = Table("limit", "value", "lowest", "highest", "default", "unit")
        for name, low, high, default, unit in LIMIT_FIELDS:
            value = str(values.get(name, ""))
            style = "bold" if value != str(default) else ""
            table.add_row(name, value, str(low), str(high), str(default), unit, style=style)
        out.print(table)

    tell(settings, values, text)


@limits.command("set")
@click.argument("pairs", metavar="NAME=VALUE...", nargs=-1, required=True,
                shell_complete=complete.limit_names)  # fmt: skip
@pass_settings
def set_(settings: Settings, pairs: tuple[str, ...]) -> None:
    """Change limits; the pump must be stopped, and a second role confirm."""
    values: dict[str, int] = {}
    known = [row[0] for row in LIMIT_FIELDS]
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in known:
            raise click.UsageError(f"there is no limit {name!r}; known: {', '.join(known)}")
        try:
            values[name] = int(value)
        except ValueError:
            raise click.UsageError(f"{pair}: give a whole number, as {name}=1000") from None
    with pump_for(settings, "service") as pump:
        carry_out(settings, pump, pump.stage_limits(values))


VERBS = (limits,)
