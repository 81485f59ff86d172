"""log: the pump's event log, its chain of hashes checked."""

import csv
import json
from pathlib import Path

import click
from rich.console import Console

from pumpctl.cli.connect import pump_for
from pumpctl.cli.out import tell
from pumpctl.cli.settings import Settings, Verbs, pass_settings
from pumpctl.log import Entry, Log

_ALARM_STYLE = {"ALARM_RAISED": "red", "ALARM_GONE": "green"}
HEADINGS = ("sequence", "pump_s", "name", "detail", "raw")


@click.group(cls=Verbs)
def log() -> None:
    """The pump's event log; every entry is chained to the one before."""


@log.command()
@click.option("-n", "--last", type=click.IntRange(1), default=20, show_default=True)
@pass_settings
def show(settings: Settings, last: int) -> None:
    """Show the last entries."""
    with pump_for(settings) as pump:
        _, following = pump.log_range()
        found = pump.download_log(following - last)

    def text(out: Console) -> None:
        for entry in found.entries:
            style = _ALARM_STYLE.get(entry.name, "")
            out.print(f"{entry.sequence:>6}  {_stamp(entry):>14}  {entry.name:<16}  "
                      f"{entry.detail}".rstrip(), style=style, markup=False)  # fmt: skip
        _verdict(found)

    tell(settings, _data(found), text)


@log.command()
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@pass_settings
def export(settings: Settings, file: Path) -> None:
    """Write the whole log to FILE: .csv, .json, or text for any other ending."""
    with pump_for(settings) as pump:
        found = pump.download_log()
    with file.open("w", encoding="utf-8", newline="") as out:
        if file.suffix == ".csv":
            writer = csv.writer(out)
            writer.writerow(HEADINGS)
            writer.writerows(_row(entry).values() for entry in found.entries)
        elif file.suffix == ".json":
            json.dump(_data(found), out, indent=1)
        else:
            for entry in found.entries:
                line = f"{entry.sequence:>6}  {_stamp(entry):>14}  {entry.name:<16}"
                out.write(f"{line}  {entry.detail}".rstrip() + "\n")
    count, broken = len(found.entries), found.broken_at
    tell(
        settings,
        {"file": file, "entries": count, "broken_at": broken and broken.sequence},
        f"{count} entries in {file}",
    )
    _verdict(found)


def _verdict(found: Log) -> None:
    broken = found.broken_at
    if broken is not None:
        click.echo(
            f"pumpctl: the chain breaks at entry {broken.sequence}: it, or the one before, was "
            "changed or left out",
            err=True,
        )


def _data(found: Log) -> dict[str, object]:
    broken = found.broken_at
    return {
        "entries": [_row(entry) for entry in found.entries],
        "broken_at": None if broken is None else broken.sequence,
    }


def _row(entry: Entry) -> dict[str, object]:
    values = (entry.sequence, entry.pump_cs / 100, entry.name, entry.detail, entry.raw.hex())
    return dict(zip(HEADINGS, values, strict=True))


def _stamp(entry: Entry) -> str:
    hundredths = entry.pump_cs
    minutes, rest = divmod(hundredths, 6_000)
    hours, minute = divmod(minutes, 60)
    return f"{hours // 24}d {hours % 24:02}:{minute:02}:{rest / 100:05.2f}"


VERBS = (log,)
