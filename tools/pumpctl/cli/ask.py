"""Asks before something is changed, shows what would be, and waits for the pump's button."""

import sys
import time
from contextlib import suppress

import click
from rich.table import Table

from tools.pumpctl import NotConfirmed, Pump, PumpError, StagedChange
from tools.pumpctl.cli import target
from tools.pumpctl.cli.out import percent, talk_console, tell
from tools.pumpctl.cli.settings import Settings
from tools.pumpctl.cli.units import amount, label

_POLL_S = 0.25
_SECOND_ROLES = ("clinician", "service")


def agree(settings: Settings, question: str) -> None:
    """Return if the user agrees, or has said --yes; NotConfirmed if not."""
    if settings.yes:
        return
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise  # Ctrl-C
        raise NotConfirmed(
            "nobody answered; give --yes in a script. Nothing was changed"
        ) from None
    if not agreed:
        raise NotConfirmed("nothing was changed")


def carry_out(settings: Settings, pump: Pump, change: StagedChange) -> None:
    """Show a staged change, have it agreed to, confirmed and committed, and tell the result.

    What is not committed is dropped, whatever happens.
    """
    try:
        show(change)
        agree(settings, "Make this change?")
        if change.needs_second:
            second_role(settings, pump, change)
        wait_for_button(settings, pump, change)
        change.commit()
    except BaseException:
        with suppress(PumpError):
            if change.state() is not None:
                change.drop()
        raise
    tell(settings, {"done": change.details.what, **details(change)}, "Done.")


def details(change: StagedChange) -> dict[str, object]:
    """What a staged change is and would do, for JSON."""
    staged = change.details
    return {
        "id": staged.id,
        "role": staged.role,
        "echo": staged.echo,
        "change_permille": staged.change_permille,
        **(staged.model_extra or {}),
    }


def show(change: StagedChange) -> None:
    """Tell what the pump says the change would do."""
    table = Table(title=f"The pump would change ({change.details.what})", title_justify="left")
    for heading in ("", "now", "then"):
        table.add_column(heading)
    said = change.details.model_extra or {}
    for name in dict.fromkeys(name.removeprefix("old_").removeprefix("new_") for name in said):
        before = amount(name, said[f"old_{name}"]) if f"old_{name}" in said else ""
        after = next((amount(name, said[key]) for key in (f"new_{name}", name) if key in said), "")
        style = "bold" if before and after and before != after else ""
        table.add_row(label(name), before, after, style=style)
    if change.details.change_permille is not None:
        table.add_row("daily dose", "", percent(change.details.change_permille), style="bold")
    talk_console().print(table)


def second_role(settings: Settings, pump: Pump, change: StagedChange) -> None:
    """Have another role confirm: with its key on this host, else from elsewhere."""
    others = [role for role in _SECOND_ROLES if role != pump.role]
    known = pump.keys.pumps().get(pump.identity.serial, [])
    for role in others:
        if role in known:
            agree(settings, f"A second person must agree. Confirm it as {role}?")
            change.confirm(pump.as_role(role))
            return
    click.echo(
        f"The {others[0]} must confirm it, from a host with that key: "
        f"pumpctl --role {others[0]} staged confirm",
        err=True,
    )
    while (state := change.state()) and not state.confirmed:
        time.sleep(_POLL_S)
    if state is None:
        raise NotConfirmed("no second role confirmed it in time; nothing was changed")


def wait_for_button(settings: Settings, pump: Pump, change: StagedChange) -> None:
    """Wait for the pump's button, counting down; press it where it is simulated, if allowed."""
    if (state := change.state()) and state.pressed:
        return
    address = pump.talk.link.port
    if settings.press or _offered(settings, address):
        if not target.press(address):
            raise NotConfirmed(
                f"{address}: no simulated pump is served there whose button could be pressed; "
                "leave --press out and press the pump's own"
            )
        change.wait_for_press()
        return
    with talk_console().status("") as line:
        change.wait_for_press(
            lambda left_s: line.update(f"Press the pump's button: {left_s:.0f} s left")
        )


def _offered(settings: Settings, address: str) -> bool:
    """Ask whether to press a simulated pump's button, where there is one and somebody to ask."""
    from sim import served

    if settings.yes or not sys.stdin.isatty() or served.at(address) is None:
        return False
    return click.confirm("This pump is simulated. Press its button now?", default=True, err=True)
