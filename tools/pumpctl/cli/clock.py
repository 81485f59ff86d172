"""clock: the pump's wall clock."""

from datetime import datetime

import click

from pumpctl.cli.ask import agree
from pumpctl.cli.connect import pump_for
from pumpctl.cli.out import rows, span, tell
from pumpctl.cli.settings import Settings, Verbs, pass_settings
from pumpctl.models import Clock


@click.group(cls=Verbs)
def clock() -> None:
    """See and set the pump's wall clock."""


@clock.command()
@pass_settings
def show(settings: Settings) -> None:
    """Show the pump's time, and how far it is from this host's."""
    with pump_for(settings) as pump:
        found = pump.clock()
    shift_s = ahead_s(found)
    tell(
        settings,
        {**found.model_dump(mode="json"), "wall": found.wall and found.wall.isoformat(),
         "ahead_of_host_s": shift_s},
        rows(
            [
                ("pump's time", str(found.wall or "not set")),
                ("against this host", _shift(shift_s)),
                ("delivers", "the daily mean, as the hour is not known" if found.mean
                 else "by the hour"),
            ]
        ),
    )  # fmt: skip


@clock.command("set")
@click.option("--to", "when", type=click.DateTime(), help="Local time; this host's if not given.")
@pass_settings
def set_(settings: Settings, when: datetime | None) -> None:
    """Set the pump's wall clock."""
    with pump_for(settings, "clinician") as pump:
        before = pump.clock()
        target = when or datetime.now()
        shift_s = None if before.wall is None else round((target - before.wall).total_seconds())
        click.echo(f"The pump's time is {before.wall or 'not set'}.", err=True)
        shift = "" if shift_s is None else f", {_signed(shift_s)}"
        agree(settings, f"Set it to {target:%Y-%m-%d %H:%M:%S}{shift}?")
        # Answering took its time.
        pump.set_clock(when or datetime.now())
        after = pump.clock()
        tell(
            settings,
            {"wall": after.wall and after.wall.isoformat(), "shifted_s": shift_s},
            f"The pump's time is {after.wall}.",
        )


def ahead_s(found: Clock) -> int | None:
    """By how many seconds the pump's clock is ahead of this host's; None if it is not set."""
    return None if found.wall is None else round((found.wall - datetime.now()).total_seconds())


def _shift(shift_s: int | None) -> str:
    if shift_s is None:
        return "unknown"
    return (
        f"{span(abs(shift_s))} {'ahead' if shift_s > 0 else 'behind'}" if shift_s else "the same"
    )


def _signed(shift_s: int) -> str:
    return f"{'+' if shift_s >= 0 else '-'}{span(abs(shift_s))}"


VERBS = (clock,)
