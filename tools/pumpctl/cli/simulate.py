"""sim: a simulated pump to talk to, on a pty and on TCP."""

from collections.abc import Callable
from pathlib import Path

import click

from cisterna_sim import served
from pumpctl import KeyRing
from pumpctl.cli.out import tell
from pumpctl.cli.settings import Settings, Verb, pass_settings
from pumpctl.errors import LinkError


@click.command(cls=Verb)
@click.option("--serve", is_flag=True, required=True, help="Serve until Ctrl-C.")
@click.option("--scenario", "name", metavar="NAME",
              help="Let its events happen: a name or TOML file. A quiet bench else.")  # fmt: skip
@click.option("--blank", is_flag=True, help="A pump as it comes: no keys, program or content.")
@click.option("--tcp", type=click.IntRange(0, 65_535), default=0, show_default="any free one",
              help="TCP port.")  # fmt: skip
@click.option("--link", type=click.Path(path_type=Path), help="Give the pty this name, too.")
@click.option("--serial", default="SIM0001", show_default=True, help="The pump's serial number.")
@click.option("--until-eof", is_flag=True, hidden=True)
@pass_settings
def sim(
    settings: Settings,
    serve: bool,
    name: str | None,
    blank: bool,
    tcp: int,
    link: Path | None,
    serial: str,
    until_eof: bool,
) -> None:
    """Serve a simulated pump that delivers, on a pty and a TCP port of this machine.

    Enter in its terminal presses the pump's button; so does --press of other verbs. Its keys are
    kept in the keys file. With --speed N its time runs N times as fast, its minute to confirm a
    change as well.
    """
    # Here and not above: other verbs need no simulator.
    from cisterna_sim.serve import Hands, Server
    from cisterna_sim.serve import serve as run
    from cisterna_sim.terminals import Terminals
    from pumpctl import sim_rigs

    if blank and name is not None:
        raise click.UsageError("give --blank or --scenario, not both")
    after_slice: Callable[[], object] = bool
    if blank:
        rig = sim_rigs.unset(serial)
    else:
        rig, stage = sim_rigs.delivering(sim_rigs.plan(name), serial)
        after_slice = stage.look_at_content
        sim_rigs.provision(rig, KeyRing(settings.keys))
    try:
        terminals = Terminals(tcp, link)
    except OSError as error:
        raise LinkError(f"--tcp {tcp}, --link {link}: {error.strerror}; give others") from None
    ports = [f"socket://127.0.0.1:{terminals.tcp}", terminals.pty]
    ports += [str(link)] if link else []
    hands = Hands(until_eof)
    try:
        with served.announce("sim", ports):
            tell(
                settings,
                {"ports": ports, "serial": serial, "speed": settings.speed},
                f"Simulated pump {serial}; a research and teaching rig, not a medical device.\n"
                f"port: {'  or  '.join(ports)}\n"
                f"  e.g. pumpctl --port {ports[0]} status\n"
                "Enter presses its button, Ctrl-C ends it.",
            )
            run(Server(rig, terminals, settings.speed, after_slice), hands)
    finally:
        terminals.close()


VERBS = (sim,)
