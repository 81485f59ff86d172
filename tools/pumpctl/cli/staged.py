"""staged: the change that waits on the pump; how a second person sees and confirms it."""

import click
from rich.console import Console

from pumpctl import StagedChange
from pumpctl.cli.ask import agree, table, what_is_staged
from pumpctl.cli.connect import pump_for
from pumpctl.cli.out import talk_console, tell
from pumpctl.cli.settings import Settings, Verbs, pass_settings


@click.group(cls=Verbs)
def staged() -> None:
    """See, confirm or drop the change that is staged on the pump."""


@staged.command()
@pass_settings
def show(settings: Settings) -> None:
    """Show what is staged, and what it waits for."""
    with pump_for(settings) as pump:
        if pump.staged() is None:
            tell(settings, {}, "Nothing is staged.")
            return
        change = what_is_staged(pump)
    tell(settings, change.details, lambda out: _tell(out, change))


@staged.command()
@pass_settings
def confirm(settings: Settings) -> None:
    """Confirm, as the second role, what another has staged."""
    with pump_for(settings) as pump:
        change = what_is_staged(pump)
        _tell(talk_console(), change)
        role = settings.role or ("clinician" if change.details.role == "service" else "service")
        agree(settings, f"Confirm it as {role}?")
        change.confirm(pump if pump.role == role else pump.as_role(role))
        tell(settings, {"confirmed": change.details.id},
             "Confirmed; who staged it can commit it.")  # fmt: skip


@staged.command()
@pass_settings
def drop(settings: Settings) -> None:
    """Have the pump forget what is staged."""
    with pump_for(settings, "clinician") as pump:
        change = what_is_staged(pump)
        change.drop()
        tell(settings, {"dropped": change.details.id}, "Dropped; nothing was changed.")


def _tell(out: Console, change: StagedChange) -> None:
    found = change.details
    out.print(table(change))
    waits = [] if found.pressed else ["the button"]
    if found.confirm and not found.confirmed:
        waits.append("a second role")
    for_what = " and ".join(waits) or "its commit"
    out.print(f"Staged by the {found.role}; waits for {for_what}, {found.left_s} s left.")


VERBS = (staged,)
