"""record and export: a pump's run directory, made while one listens, and its other forms."""

import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import click

from cisterna_sim import record as runs
from pumpctl import LinkError, Pump
from pumpctl.cli import target
from pumpctl.cli.out import tell
from pumpctl.cli.settings import Settings, Verb, pass_settings
from pumpctl.cli.until import until
from pumpctl.errors import BadValue
from pumpctl.models import Sample
from pumpctl.recording import Recording

_RETRY_S = 0.5


@click.command(cls=Verb)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"),
              show_default=True, help="Folder that the run's own folder is made in.")  # fmt: skip
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), metavar="RUN_DIR",
              help="Go on with a recording that was begun before.")  # fmt: skip
@click.option("--period", "period_s", type=click.FloatRange(0.1, 3600), default=1.0,
              show_default=True, help="Seconds between samples.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.1), help="End after so long.")
@pass_settings
def record(
    settings: Settings, out: Path, into: Path | None, period_s: float, seconds: float | None
) -> None:
    """Record the pump until Ctrl-C: samples, events, and the raw line.

    A cable that is pulled is waited for; what the pump logged meanwhile is fetched from it.
    """
    if into is not None and not (into / runs.DATABASE).is_file():
        raise BadValue(f"--into {into}: no recording, for it has no {runs.DATABASE}")
    # A port that cannot be opened leaves no folder behind.
    with target.opened(settings) as pump:
        with Recording(into or runs.new_run_dir(out, "pump")) as recording:
            click.echo(f"Recording pump {pump.identity.serial} in {recording.run_dir}", err=True)
            recording.of(pump.identity.serial)
            pump.link.tap = recording.wire
            with until(seconds, signal.SIGINT, signal.SIGTERM):
                _record(pump, recording, round(period_s * 1000))
        tell(
            settings,
            {"run_dir": recording.run_dir, "samples": recording.samples,
             "events": recording.events},
            f"{recording.samples} samples and {recording.events} events in {recording.run_dir}",
        )  # fmt: skip


def _record(pump: Pump, recording: Recording, period_ms: int) -> None:
    """Record for good, through cut links."""
    while True:
        try:
            _listen(pump, recording, period_ms)
        except LinkError as error:
            recording.note("LINK_LOST", str(error))
            click.echo(f"pumpctl: {error}; waiting for it", err=True)
        _wait_for(pump)
        recording.note("LINK_BACK")
        click.echo("The pump is back.", err=True)


def _wait_for(pump: Pump) -> None:
    while True:
        with suppress(LinkError):
            pump.reconnect(_RETRY_S)
            return
        time.sleep(_RETRY_S)


def _listen(pump: Pump, recording: Recording, period_ms: int) -> None:
    """Record what the pump says; LinkError when the link is cut."""
    _catch_up(pump, recording)
    for item in pump.telemetry(period_ms):
        if isinstance(item, Sample):
            recording.sample(item)
        elif item.log >= recording.next_entry:
            # Entries come from the log itself, with those whose lines were lost before it.
            _catch_up(pump, recording)


def _catch_up(pump: Pump, recording: Recording) -> None:
    """Fetch the log entries that are not recorded yet."""
    _, following = pump.log_range()
    if following < recording.next_entry:
        recording.note("LOG_RESTARTED", f"entry {following} is next, {recording.next_entry} was")
        recording.next_entry = 0
    log = pump.download_log(recording.next_entry)
    if log.broken_at is not None:
        recording.note("LOG_BROKEN", f"at entry {log.broken_at.sequence}")
    for entry in log.entries:
        recording.entry(entry)


@click.command(cls=Verb)
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(["csv", "parquet"]), default="csv",
              show_default=True)  # fmt: skip
@pass_settings
def export(settings: Settings, run_dir: Path, kind: str) -> None:
    """Write the samples and events of RUN_DIR, recorded or simulated, in another format."""
    try:
        paths = runs.export_csv(run_dir) if kind == "csv" else _parquet(run_dir)
    except FileNotFoundError as error:
        raise BadValue(str(error)) from None
    except sqlite3.DatabaseError as error:
        raise BadValue(f"{run_dir / runs.DATABASE} cannot be read: {error}") from None
    tell(settings, {"files": paths}, "\n".join(map(str, paths)))


def _parquet(run_dir: Path) -> list[Path]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise BadValue(
            "Parquet needs another package: pip install 'cisterna[parquet]', or give --format csv"
        ) from None
    if not (run_dir / runs.DATABASE).is_file():
        raise FileNotFoundError(f"{run_dir} is no run directory: it has no {runs.DATABASE}")
    paths = []
    with closing(sqlite3.connect(run_dir / runs.DATABASE)) as db:
        for table in ("samples", "events"):
            found = db.execute(f"SELECT * FROM {table} ORDER BY rowid")
            names = [column[0] for column in found.description]
            rows = [dict(zip(names, row, strict=True)) for row in found]
            schema = None if rows else pyarrow.schema([(n, pyarrow.null()) for n in names])
            path = run_dir / f"{table}.parquet"
            parquet.write_table(pyarrow.Table.from_pylist(rows, schema), path)
            paths.append(path)
    return paths


VERBS = (record, export)
