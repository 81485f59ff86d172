"""staged: the change that waits on the pump; how a second person sees and confirms it."""

import click

from tools.pumpctl import NotConfirmed, Pump
from tools.pumpctl.cli.ask import agree
from tools.pumpctl.cli.connect import pump_for
from tools.pumpctl.cli.out import tell
from tools.pumpctl.cli.settings import Settings, Verbs, pass_settings
from tools.pumpctl.cli.units import amount, label
from tools.pumpctl.models import Staged


@click.group(cls=Verbs)
def staged() -> None:
    """See, confirm or drop the change that is staged on the pump."""


@staged.command()
@pass_settings
def show(settings: Settings) -> None:
    """Show what is staged, and what it waits for."""
    with pump_for(settings) as pump:
        found = pump.staged()
    tell(settings, found or {}, _text(found) if found else "Nothing is staged.")


@staged.command()
@pass_settings
def confirm(settings: Settings) -> None:
    """Confirm, as the second role, what another has staged."""
    with pump_for(settings) as pump:
        found = _need(pump)
        click.echo(_text(found), err=True)
        role = settings.role or ("clinician" if found.role == "service" else "service")
        agree(settings, f"Confirm it as {role}?")
        second = pump if pump.role == role else pump.as_role(role)
        second.command("CONF", found.id, found.echo)
        tell(settings, {"confirmed": found.id}, "Confirmed; who staged it can commit it.")


@staged.command()
@pass_settings
def drop(settings: Settings) -> None:
    """Have the pump forget what is staged."""
    with pump_for(settings, "clinician") as pump:
        found = _need(pump)
        pump.command("STAG:DROP")
        tell(settings, {"dropped": found.id}, "Dropped; nothing was changed.")


def _need(pump: Pump) -> Staged:
    found = pump.staged()
    if found is None:
        raise NotConfirmed("nothing is staged; a staged change is gone after a minute")
    return found


def _text(found: Staged) -> str:
    lines = [f"{found.what}, staged by the {found.role}, {found.left_s} s left"]
    for name, value in (found.model_extra or {}).items():
        when, _, rest = name.partition("_")
        known = {"old": "now", "new": "then"}.get(when)
        shown = f"{label(rest)}, {known}" if known else label(name)
        lines.append(f"  {shown}: {amount(name, value)}")
    waits = [] if found.pressed else ["the button"]
    if found.confirm and not found.confirmed:
        waits.append("a second role")
    lines.append(f"  waits for: {' and '.join(waits) or 'its commit'}")
    return "\n".join(lines)


VERBS = (staged,)
