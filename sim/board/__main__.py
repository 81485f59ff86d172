"""``python -m sim.board``: a Pico that is not there, delivering, with a console to talk to."""

import sys

import click

from pump.therapy import continuous
from sim import board_rig
from sim.board import flash
from sim.board.serve import Terminals, serve


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--tcp", default=0, help="TCP port of the console; any free one if not given")
@click.option("--dose", default=300, show_default=True, help="ug of drug a day, 2000 ug/mL")
def main(tcp: int, dose: int) -> None:
    """Start an emulated Pico with the pump and its rig; Ctrl-C ends it."""
    missing = flash.missing()
    if missing:
        click.echo(f"make rig: {missing}", err=True)
        sys.exit(1)
    rig = board_rig.deliver(continuous(2_000, dose * 1_000))
    terminals = Terminals(tcp)
    click.echo("An emulated Pico; a research and teaching rig, not a medical device.")
    click.echo(f"console: {terminals.pty}  or  socket://127.0.0.1:{terminals.tcp}")
    click.echo(f"     e.g. mpremote connect {terminals.pty}")
    click.echo(f"     or   make flash PORT={terminals.pty} ARGS='--patience 120'")
    click.echo("It boots in half a minute; a busy processor is emulated 20 times too slow.")
    try:
        serve(rig, terminals)
    except KeyboardInterrupt:
        click.echo()


if __name__ == "__main__":
    main()
