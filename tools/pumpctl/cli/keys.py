"""keys: give a pump its keys, replace one, see which there are, take them away."""

from collections.abc import Callable

import click
from rich.console import Console
from rich.table import Table

from pumpctl import KeyRing, Pump
from pumpctl.cli import target
from pumpctl.cli.ask import agree, carry_out, countdown
from pumpctl.cli.connect import pump_for
from pumpctl.cli.out import tell
from pumpctl.cli.settings import Settings, Verbs, pass_settings
from pumpctl.framing import ROLES


@click.group(cls=Verbs)
def keys() -> None:
    """The keys that prove who may change what; none is ever shown."""


@keys.command()
@pass_settings
def provision(settings: Settings) -> None:
    """Give new keys to a pump that has none: on USB, its button held."""
    with pump_for(settings) as pump:
        serial = pump.identity.serial
        agree(settings, f"Make new keys for pump {serial} and keep them in {pump.keys.path}?")
        with countdown("Press the pump's button and hold it") as tell_left:
            pump.provision(tell=_waiting(settings, pump, tell_left))
        roles = pump.keys.pumps()[serial]
        tell(settings, {"serial": serial, "roles": roles, "file": pump.keys.path},
             f"Pump {serial} has its keys; they are in {pump.keys.path}.")  # fmt: skip


def _waiting(
    settings: Settings, pump: Pump, tell_left: Callable[[float], None]
) -> Callable[[float], None]:
    """Tell to press and hold; press a simulated pump's button if so wanted."""

    def waiting(left_s: float) -> None:
        tell_left(left_s)
        if settings.press:
            target.press(pump)

    return waiting


@keys.command("list")
@pass_settings
def list_(settings: Settings) -> None:
    """List the pumps whose keys are on this host, and for which roles."""
    ring = KeyRing(settings.keys)
    pumps = ring.pumps()

    def text(out: Console) -> None:
        if not pumps:
            out.print(f"No keys in {ring.path}.")
            return
        table = Table("pump", *ROLES, title=str(ring.path))
        for serial, roles in pumps.items():
            table.add_row(serial, *("yes" if role in roles else "" for role in ROLES))
        out.print(table)

    tell(settings, {"file": ring.path, "pumps": pumps}, text)


@keys.command()
@click.argument("of", metavar="ROLE", type=click.Choice(ROLES))
@pass_settings
def rotate(settings: Settings, of: str) -> None:
    """Replace the key of ROLE; the old one is worth nothing afterwards."""
    with pump_for(settings, "service") as pump:
        carry_out(settings, pump, pump.stage_key(of))


@keys.command()
@pass_settings
def wipe(settings: Settings) -> None:
    """Take all keys off a pump that was switched on with its button held."""
    with pump_for(settings) as pump:
        serial = pump.identity.serial
        agree(settings, f"Forget all keys of pump {serial}, there and on this host?")
        pump.wipe_keys()
        tell(settings, {"wiped": serial}, f"Pump {serial} has no keys; provision it anew.")


VERBS = (keys,)
