"""Asks before something is changed, shows what would be, and waits for the pump's button."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import click
from rich.table import Table

from pumpctl import NotConfirmed, Pump, PumpError, StagedChange
from pumpctl.cli import target
from pumpctl.cli.out import percent, talk_console, tell
from pumpctl.cli.settings import Settings
from pumpctl.cli.units import amount, label

_POLL_S = 0.25
_SECOND_ROLES = ("clinician", "service")
# What a change does, by the command that stages it.
_WHAT = {
    "PROG": "change its program",
    "RES:REF": "take up a refill",
    "BOL": "give a bolus",
    "DEL:STAR": "start to deliver",
    "LIM": "change its limits",
    "SERV:CLE": "end a fault",
    "KEY:ROT": "replace a key",
}


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
        if change.needs_second and not change.details.confirmed:
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
    talk_console().print(table(change))


def table(change: StagedChange) -> Table:
    """What the pump says a staged change would do: now and then."""
    what = _WHAT.get(change.details.what, change.details.what)
    found = Table("", "now", "then", title=f"The pump would {what}", title_justify="left")
    for name, old, new in change.rows:
        before = "" if old is None else amount(name, old)
        after = "" if new is None and before else amount(name, new)
        style = "bold" if before and after and before != after else ""
        found.add_row(label(name), before, after, style=style)
    if change.details.change_permille is not None:
        found.add_row("daily dose", "", percent(change.details.change_permille), style="bold")
    return found


def what_is_staged(pump: Pump) -> StagedChange:
    """The change that waits on the pump, whoever staged it; NotConfirmed if none does."""
    if pump.staged() is None:
        raise NotConfirmed("nothing is staged; a staged change is gone after a minute")
    return StagedChange(pump, pump.query("STAG?"))


def second_role(settings: Settings, pump: Pump, change: StagedChange) -> None:
    """Have another role confirm: with its key on this host, else from elsewhere."""
    others = [role for role in _SECOND_ROLES if role != pump.role]
    known = pump.keys.pumps().get(pump.identity.serial, [])
    for role in others:
        if role in known:
            agree(settings, f"A second person must agree. Confirm it as {role}?")
            change.confirm(pump.as_role(role))
            click.echo(f"Confirmed as {role}.", err=True)
            return
    click.echo(
        f"The {others[0]} must confirm it, from a host with that key: "
        f"pumpctl --role {others[0]} staged confirm",
        err=True,
    )
    while (state := change.state()) and not state.confirmed:
        pump.transport.sleep(_POLL_S)
    if state is None:
        raise NotConfirmed("no second role confirmed it in time; nothing was changed")


def wait_for_button(settings: Settings, pump: Pump, change: StagedChange) -> None:
    """Wait for the pump's button, counting down; press it where it is simulated, if allowed."""
    if (state := change.state()) and state.pressed:
        return
    if settings.press or _offered(settings, pump):
        if not target.press(pump):
            raise NotConfirmed(
                f"{pump.port}: no simulated pump is served there whose button could be pressed; "
                "leave --press out and press the pump's own"
            )
        change.wait_for_press()
        return
    with countdown("Press the pump's button") as tell_left:
        change.wait_for_press(tell_left)


@contextmanager
def countdown(what: str) -> Iterator[Callable[[float], None]]:
    """Tells what to do within how many seconds: on a terminal again and again, else once."""
    out = talk_console()
    with out.status("") as line:
        told = False

        def tell_left(left_s: float) -> None:
            nonlocal told
            text = f"{what}: {left_s:.0f} s left"
            line.update(text)
            if not (out.is_terminal or told):
                click.echo(text, err=True)
            told = True

        yield tell_left


def _offered(settings: Settings, pump: Pump) -> bool:
    """Ask whether to press a simulated pump's button, where there is one and somebody to ask."""
    if settings.yes or not sys.stdin.isatty() or not target.simulated(pump):
        return False
    return click.confirm("This pump is simulated. Press its button now?", default=True, err=True)
