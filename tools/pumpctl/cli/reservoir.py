"""refill: tell the pump what was filled in."""

import click

from pumpctl.cli.ask import carry_out
from pumpctl.cli.bolus import exact
from pumpctl.cli.connect import pump_for
from pumpctl.cli.settings import Settings, Verb, pass_settings


@click.command(cls=Verb)
@click.option("--volume", "volume_nl", type=exact("mL", 6), metavar="ML", required=True,
              help="mL in the reservoir now, in all.")  # fmt: skip
@click.option("--concentration", type=click.IntRange(50, 2000), required=True, metavar="UG_PER_ML")
@click.option("--residual", "residual_nl", type=exact("mL", 6), metavar="ML",
              help="mL that were drawn off before, if measured.")  # fmt: skip
@pass_settings
def refill(
    settings: Settings, volume_nl: int, concentration: int, residual_nl: int | None
) -> None:
    """Confirm a refill of the reservoir."""
    with pump_for(settings, "clinician") as pump:
        carry_out(settings, pump, pump.stage_refill(volume_nl, concentration, residual_nl))


VERBS = (refill,)
