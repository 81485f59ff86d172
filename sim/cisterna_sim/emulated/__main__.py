"""``python -m cisterna_sim.emulated``: a Pico that is not there, delivering, with a console."""

import json
import sys

import click

from cisterna.parts.program import continuous
from cisterna_sim import served
from cisterna_sim.emulated import board_rig, flash
from cisterna_sim.emulated.serve import serve
from cisterna_sim.serve import Hands
from cisterna_sim.terminals import Terminals
from cisterna_tools.image import ImageError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--tcp", default=0, help="TCP port of the console; any free one if not given")
@click.option("--dose", default=300, show_default=True, help="ug of drug a day, 2000 ug/mL")
@click.option("--json", "as_json", is_flag=True, help="Tell the ports as a line of JSON")
@click.option("--until-eof", is_flag=True, help="End with standard input")
def main(tcp: int, dose: int, as_json: bool, until_eof: bool) -> None:
    """Start an emulated Pico with the pump and its rig: Enter presses its button, Ctrl-C ends."""
    try:
        pump = flash.pump(build=False)
    except ImageError as error:
        click.echo(f"make rig: {error}", err=True)
        sys.exit(1)
    hands = Hands(until_eof)
    rig = board_rig.deliver(continuous(2_000, dose * 1_000), pump=pump)
    terminals = Terminals(tcp)
    ports = [f"socket://127.0.0.1:{terminals.tcp}", terminals.pty]
    try:
        with served.announce("rig", ports):
            if as_json:
                click.echo(json.dumps({"ports": ports}))
            else:
                _tell(*ports)
            serve(rig, terminals, lambda: not hands.ended, hands.presses)
    finally:
        terminals.close()


def _tell(tcp: str, pty: str) -> None:
    click.echo("An emulated Pico; a research and teaching rig, not a medical device.")
    click.echo(f"console: {pty}  or  {tcp}")
    click.echo("     e.g. .venv/bin/pumpctl --port rig status")
    click.echo(f"     or   make flash PORT={pty} ARGS='--patience 120'")
    click.echo("It boots in about ten seconds; a busy processor is emulated 20 times too slow.")


if __name__ == "__main__":
    main()
