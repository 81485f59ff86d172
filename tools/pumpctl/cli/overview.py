"""list, info, status: what is there and how it is."""

import click
from rich.console import Console
from rich.table import Column, Table

from cisterna_sim import served
from pumpctl import Pump, PumpError, usb_ports
from pumpctl.cli.alarms import STYLES
from pumpctl.cli.connect import pump_for
from pumpctl.cli.out import rows, span, tell, wall
from pumpctl.cli.settings import Settings, Verb, pass_settings
from pumpctl.cli.units import amount, measured
from pumpctl.models import Status


@click.command("list", cls=Verb)
@pass_settings
def list_(settings: Settings) -> None:
    """List the ports that may have a pump, and what answers there."""
    found = [
        _row(settings, str(info.device), str(info.description)) for info in usb_ports.boards()
    ]
    for pump in served.running():
        found.append(_row(settings, pump.ports[0], f"{pump.what}, also at {pump.ports[1]}"))

    def text(out: Console) -> None:
        if not found:
            out.print("No board on USB and no simulated pump: plug one in, or pumpctl sim --serve")
            return
        # To be copied, so in one piece.
        table = Table(Column("port", no_wrap=True), "what", "pump", "firmware", "state")
        for row in found:
            table.add_row(row["port"], row["what"], row["serial"], row["version"], row["state"])
        out.print(table)

    tell(settings, found, text)


def _row(settings: Settings, port: str, what: str) -> dict[str, str]:
    row = {"port": port, "what": what, "serial": "", "version": "", "state": ""}
    try:
        with Pump.open(port, timeout_s=min(settings.timeout, 1.0)) as pump:
            row["serial"], row["version"] = pump.identity.serial, pump.identity.version
            row["state"] = pump.status().mode
    except PumpError as error:
        row["state"] = str(error).removeprefix(f"{port}: ")
    return row


@click.command(cls=Verb)
@pass_settings
def info(settings: Settings) -> None:
    """Show who the pump is: board, firmware, calibration, its keys and its link."""
    with pump_for(settings) as pump:
        who = pump.identity
        data = {
            "port": pump.port,
            "board": who.board,
            "serial": who.serial,
            "version": who.version,
            "protocol": int(pump.query("SYST:PROT?")),
            "keys_here": pump.keys.pumps().get(who.serial, []),
            "calibration": pump.calibration(),
            "link": pump.link_counters(),
        }
    calibration, link = data["calibration"], data["link"]
    assert isinstance(calibration, dict)
    assert isinstance(link, dict)
    roles = ", ".join(pump.keys.pumps().get(who.serial, [])) or "none"
    tell(
        settings,
        data,
        rows(
            [
                ("port", str(data["port"])),
                ("board", who.board),
                ("serial", who.serial),
                ("firmware", who.version),
                ("protocol", str(data["protocol"])),
                ("keys on this host", roles),
                *((name, str(value)) for name, value in calibration.items()),
                *((f"link {name}", str(value)) for name, value in link.items()),
            ]
        ),
    )


@click.command(cls=Verb)
@pass_settings
def status(settings: Settings) -> None:
    """Show the pump at a glance."""
    with pump_for(settings) as pump:
        now = pump.status()
    tell(settings, now, lambda out: glance(out, now))


def glance(out: Console, now: Status) -> None:
    """Print a status for people."""
    program = amount("basal_nl_per_day", now.basal_nl_per_day) if now.programmed else "none"
    pairs = [
        ("mode", now.mode if now.mode == now.resting else f"{now.mode} (rests in {now.resting})"),
        ("rate", amount("rate_nl_per_day", now.rate_nl_per_day)),
        ("program", program),
        ("bolus", now.bolus or "none"),
        ("delivered", amount("delivered_nl", now.delivered_nl)),
        ("remaining", amount("remaining_nl", now.remaining_nl)),
        ("refill in", f"{span(now.refill_in_s)}, low in {span(now.low_in_s)}"),
        ("level", measured("level_nl", now.level_nl)),
        ("pressure", measured("pressure_pa", now.pressure_pa)),
        ("supply", measured("supply_mv", now.supply_mv)),
        ("pump's time", wall(now.wall_s)),
    ]
    if now.stopped_s:
        pairs.append(
            ("stopped for", f"{span(now.stopped_s)}, {amount('missed_nl', now.missed_nl)} missed")
        )
    rows(pairs)(out)
    if now.alarms:
        sound = "sounding" if now.audible else "silent"
        out.print(f"ALARMS ({now.signal}, {sound}): {', '.join(now.alarms)}",
                  style=STYLES.get(now.signal, ""))  # fmt: skip
    else:
        out.print("No alarm.", style="green")


VERBS = (list_, info, status)
