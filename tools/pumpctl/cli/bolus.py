"""bolus: one on top of what runs, or the patient's own."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

import click

from pumpctl.cli.ask import agree, carry_out
from pumpctl.cli.connect import pump_for
from pumpctl.cli.out import tell
from pumpctl.cli.settings import Settings, Verb, pass_settings
from pumpctl.cli.units import amount


def exact(unit: str, places: int) -> Callable[[str], int]:
    """Reads a decimal number as whole units of its last place; for an option's type."""

    def read(text: str) -> int:
        try:
            scaled = Decimal(text).scaleb(places)
        except InvalidOperation:
            raise click.BadParameter(f"{text!r} is no number of {unit}") from None
        if not scaled.is_finite() or scaled != scaled.to_integral_value():
            raise click.BadParameter(f"{text} {unit}: give at most {places} decimals")
        return int(scaled)

    return read


@click.command(cls=Verb)
@click.option(
    "--dose", "dose_ng", type=exact("ug", 3), metavar="UG", help="Dose of a single bolus."
)
@click.option("--minutes", type=click.IntRange(1, 240), help="Duration of a single bolus.")
@click.option("--patient", is_flag=True, help="The bolus that the program grants the patient.")
@pass_settings
def bolus(settings: Settings, dose_ng: int | None, minutes: int | None, patient: bool) -> None:
    """Give a bolus: --dose and --minutes, or --patient."""
    if patient == (dose_ng is not None) or patient == (minutes is not None):
        raise click.UsageError("give --dose and --minutes, or --patient")
    with pump_for(settings, "patient" if patient else "clinician") as pump:
        if dose_ng is not None and minutes is not None:
            carry_out(settings, pump, pump.stage_bolus(dose_ng, minutes * 60))
            return
        before = pump.bolus()
        dose = amount("dose_ng", before.patient_dose_ng)
        click.echo(
            f"The patient's bolus is {dose}; {before.patient_count_24h} of {before.daily_cap} "
            f"were given in the last 24 h.",
            err=True,
        )
        agree(settings, "Ask the pump for it?")
        pump.patient_bolus()
        tell(settings, pump.bolus(), f"The pump gives {dose}.")


VERBS = (bolus,)
