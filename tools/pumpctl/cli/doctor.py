"""doctor: what may be wrong between this host and the pump, and on the rig, in plain words."""

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass

import click
from rich.console import Console

from cisterna.base.version import VERSION
from pumpctl import Pump, PumpError, usb_ports
from pumpctl.cli import target
from pumpctl.cli.clock import ahead_s
from pumpctl.cli.out import span, tell
from pumpctl.cli.settings import Settings, Verb, pass_settings
from pumpctl.errors import PortBusy
from pumpctl.models import Status

OK, WARN, FAULT = "ok", "warning", "fault"
_STYLES = {OK: "green", WARN: "yellow", FAULT: "bold red"}
_CLOCK_OFF_S = 60
# What the wiring may be, by the alarm that shows it.
_WIRING = {
    "PRESSURE_SENSOR": "wire the pressure sensor's output to its ADC pin, and its supply and "
    "ground; an open input reads beyond its range",
    "LEVEL_SENSOR": "wire the plunger's position sensor to its ADC pin, or set it as not fitted "
    "in the board file",
    "MOTION_SENSOR": "the encoder does not answer: check SDA, SCL, its supply and the magnet, or "
    "set it as not fitted in the board file",
    "SUPPLY_SENSOR": "wire the supply's divider to its ADC pin",
    "SUPPLY_LOW": "the supply is below its limit: a stronger power supply, a shorter cable",
    "MOTOR_STALL": "the motor is pulsed and does not turn: its current, its coils' wires, the "
    "driver's ENABLE",
    "RUNAWAY": "pulses that nobody commanded: STEP must go to the counter's pin and nowhere else",
    "BUTTON_STUCK": "the button reads as held: wire it to ground, with nothing on it at rest",
    "CLOCK_LOST": "set the clock: pumpctl clock set",
    "CALIBRATION_CORRUPT": "restart the pump with its board file",
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at: how it is, and what to do if it is not well."""

    check: str
    state: str
    text: str


@click.command(cls=Verb)
@pass_settings
def doctor(settings: Settings) -> None:
    """Look for what is wrong: port, permissions, firmware, clock, wiring.

    The exit code is 1 if a fault was found.
    """
    with target.port(settings) as address:
        found = list(_examine(settings, address))

    def text(out: Console) -> None:
        for finding in found:
            out.print(f"{finding.state:>7}  ", style=_STYLES[finding.state], end="")
            out.print(f"{finding.check}: {finding.text}", markup=False)

    tell(settings, found, text)
    click.get_current_context().exit(1 if any(finding.state == FAULT for finding in found) else 0)


def _examine(settings: Settings, address: str | None) -> Iterator[Finding]:
    if address is None:
        boards = usb_ports.boards()
        names = usb_ports.names(boards) or "none: plug the pump in with a data cable"
        yield Finding("boards on USB", OK if len(boards) == 1 else FAULT, names)
        if len(boards) != 1:
            return
        address = str(boards[0].device)
    try:
        pump = target.open_at(address, settings)
    except PumpError as error:
        text = str(error)
        if isinstance(error, PortBusy) and (holders := _holders(address)):
            text += f"; it is held by {holders}"
        yield Finding("port", FAULT, text)
        return
    with pump:
        # A device is locked; a socket may have other peers.
        yield Finding(
            "port", OK, f"{address} opens" + (", locked" if address.startswith("/") else "")
        )
        try:
            yield from _examine_pump(pump)
        except PumpError as error:
            yield Finding("pump", FAULT, str(error))


def _examine_pump(pump: Pump) -> Iterator[Finding]:
    who = pump.identity
    same = who.version == VERSION
    yield Finding(
        "firmware", OK if same else WARN,
        f"{who.version} on {who.board}, serial {who.serial}"
        + ("" if same else f"; these tools are of {VERSION}: make flash"),
    )  # fmt: skip
    yield Finding("protocol", OK, f"version {pump.query('SYST:PROT?')}")
    roles = pump.keys.pumps().get(who.serial, [])
    hint = "none on this host: pumpctl keys provision, or copy the keys file"
    yield Finding("keys", OK if roles else WARN, ", ".join(roles) or hint)
    counters = pump.link_counters()
    bad = {name: counters[name] for name in ("corrupt", "wrong_macs") if counters.get(name)}
    noise = ", ".join(f"{count} {name}" for name, count in bad.items())
    yield Finding("line", WARN if bad else OK,
                  f"{noise}: look at cable and ground" if bad else "no noise")  # fmt: skip
    yield _clock(pump)
    yield from _rig(pump.status())


def _clock(pump: Pump) -> Finding:
    shift_s = ahead_s(pump.clock())
    if shift_s is None:
        return Finding("clock", WARN, "not set: pumpctl clock set")
    if abs(shift_s) > _CLOCK_OFF_S:
        return Finding("clock", WARN, f"{span(abs(shift_s))} off this host's: pumpctl clock set")
    return Finding("clock", OK, "that of this host, within a minute")


def _rig(now: Status) -> Iterator[Finding]:
    readings = (
        ("pressure sensor", now.pressure_pa, "Pa", "PRESSURE_SENSOR"),
        ("supply", now.supply_mv, "mV", "SUPPLY_SENSOR"),
    )
    for name, value, unit, alarm in readings:
        if value is None:
            yield Finding(name, FAULT, f"no reading: {_WIRING[alarm]}")
        else:
            yield Finding(name, OK, f"{value} {unit}")
    if now.level_nl is None:
        yield Finding("level sensor", WARN, f"no reading: {_WIRING['LEVEL_SENSOR']}")
    else:
        yield Finding("level sensor", OK, f"{now.level_nl} nL")
    for alarm in now.alarms:
        if alarm in _WIRING:
            yield Finding(alarm, FAULT, _WIRING[alarm])
    others = [alarm for alarm in now.alarms if alarm not in _WIRING]
    yield Finding("other alarms", WARN if others else OK, ", ".join(others) or "none")


def _holders(device: str) -> str:
    """Processes that have the device open, as far as this user may see; Linux has /proc."""
    real = os.path.realpath(device)
    found = []
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.path.realpath(os.readlink(link)) != real:
                continue
            pid = link.split("/")[2]
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                name = f"{file.read().strip()} (process {pid})"
        except OSError:
            continue
        if name not in found and int(pid) != os.getpid():
            found.append(name)
    return ", ".join(found)


VERBS = (doctor,)
