"""The run directory: what a run writes while it goes, and how it is read afterwards.

``samples.sqlite`` holds samples, events and meta (facts about the run, by key); ``events.log`` the
events as text, a line each. Both can be read after a ``kill -9``: the log is flushed line by line,
the database commits at least every two seconds while something is recorded or ``commit_if_due`` is
called, and a process that dies in between loses only what came after.
"""

import csv
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from cisterna_sim.scenario import Scenario

DATABASE = "samples.sqlite"
LOG = "events.log"
SCENARIO = "scenario.toml"
Status = Literal["complete", "interrupted", "failed"]

# A row of ``sample``, in this order, with SQLite's type. counted_nl is net of reverse steps, of
# which drawn_back_nl is the sum; open_nl is what power losses have left open above counted_nl;
# alarms is a mask of the faults present, by code; pressure_pa is None without a valid reading.
COLUMNS = (
    ("true_s", "REAL"),
    ("pump_s", "REAL"),
    ("mode", "TEXT"),
    ("programmed_nl", "INTEGER"),
    ("counted_nl", "INTEGER"),
    ("true_tip_nl", "REAL"),
    ("leaked_nl", "REAL"),
    ("rate_nl_per_day", "INTEGER"),
    ("remaining_nl", "INTEGER"),
    ("true_remaining_nl", "REAL"),
    ("pressure_pa", "INTEGER"),
    ("true_pressure_pa", "REAL"),
    ("csf_pa", "REAL"),
    ("supply_mv", "INTEGER"),
    ("alarms", "INTEGER"),
    ("priority", "INTEGER"),
    ("effect_percent", "REAL"),
    ("true_tip_ng", "REAL"),
    ("drawn_back_nl", "INTEGER"),
    ("open_nl", "INTEGER"),
)
_COMMIT_EVERY_S = 1.0
_BATCH_ROWS = 5000


class Event(NamedTuple):
    """Something that happened: true time, the pump's own stamp in 10 ms, name, detail.

    What is not of the pump's own log has no stamp.
    """

    true_s: float
    pump_cs: int | None
    name: str
    detail: str


class Recorder:
    """Writes a run directory. ``finish`` says how the run ended; later calls of it do nothing."""

    def __init__(self, run_dir: Path, scenario: Scenario) -> None:
        self.run_dir = run_dir
        (run_dir / SCENARIO).write_text(scenario.text, encoding="utf-8")
        self._db = sqlite3.connect(run_dir / DATABASE)
        # A write-ahead log survives the death of the process without a sync to the disk.
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
        self._db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)")
        self._db.execute(f"CREATE TABLE samples ({columns})")
        self._db.execute(
            "CREATE TABLE events (true_s REAL, pump_cs INTEGER, name TEXT, detail TEXT)"
        )
        self._insert = f"INSERT INTO samples VALUES ({', '.join('?' * len(COLUMNS))})"
        self._log = (run_dir / LOG).open("w", encoding="utf-8")
        self._samples: list[tuple[Any, ...]] = []
        self._events: list[Event] = []
        self._committed_s = time.monotonic()
        self._finished = False
        self.meta(
            scenario=scenario.name,
            title=scenario.title,
            days=scenario.days,
            seed=scenario.seed,
            start=scenario.start.isoformat(),
            status="running",
        )

    def sample(self, row: tuple[Any, ...]) -> None:
        """Keep one row of COLUMNS."""
        self._samples.append(row)
        if len(self._samples) >= _BATCH_ROWS:
            self._commit()
        else:
            self.commit_if_due()

    def event(self, true_s: float, pump_cs: int | None, name: str, detail: str = "") -> None:
        """Keep one event; ``pump_cs`` is the pump's stamp in units of 10 ms."""
        stamp = "" if pump_cs is None else f"{pump_cs / 100:.2f}"
        # A line of the log is an event, whatever the detail holds.
        detail = "".join(c if c.isprintable() else " " for c in detail)
        self._events.append(Event(true_s, pump_cs, name, detail))
        self._log.write(f"{clock(true_s)}  {stamp:>13}  {name:<16}  {detail}".rstrip())
        self._log.write("\n")
        self._log.flush()
        self.commit_if_due()

    def meta(self, **facts: Any) -> None:
        """Keep facts about the run under their names; a later value replaces the earlier."""
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                [(key, json.dumps(value)) for key, value in facts.items()],
            )

    def commit_if_due(self) -> None:
        """Commit what is kept if the last commit is a second ago. Call it now and then."""
        if time.monotonic() - self._committed_s >= _COMMIT_EVERY_S:
            self._commit()

    def finish(self, status: Status) -> None:
        """Commit, close, and say how the run ended."""
        if self._finished:
            return
        self._finished = True
        self._commit()
        self.meta(status=status)
        # Leave one file, without its write-ahead log; a reader that looks on may forbid it.
        with suppress(sqlite3.OperationalError):
            self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()
        self._log.close()

    def _commit(self) -> None:
        with self._db:
            self._db.executemany(self._insert, self._samples)
            self._db.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", self._events)
        self._samples.clear()
        self._events.clear()
        self._committed_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish("complete")
        else:
            self.finish("interrupted" if issubclass(kind, KeyboardInterrupt) else "failed")


@dataclass(frozen=True)
class Run:
    """What a run directory holds, read at once. ``samples`` has a list for each column."""

    folder: Path
    meta: dict[str, Any]
    events: list[Event]
    samples: dict[str, list[Any]] = field(repr=False)

    @property
    def last(self) -> dict[str, Any] | None:
        """The last sample by column, or None if there is none."""
        if not self.samples["true_s"]:
            return None
        return {name: values[-1] for name, values in self.samples.items()}


def read(run_dir: Path) -> Run:
    """Read a run directory, of a finished run or not; FileNotFoundError if it is none."""
    with _opened(run_dir) as db:
        meta = {key: json.loads(value) for key, value in db.execute("SELECT * FROM meta")}
        events = [
            Event(*row)
            for row in db.execute(
                "SELECT true_s, pump_cs, name, detail FROM events ORDER BY rowid"
            )
        ]
        found = db.execute("SELECT * FROM samples ORDER BY rowid")
        names = [column[0] for column in found.description]
        rows = found.fetchall()
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    samples = {name: list(column) for name, column in zip(names, columns, strict=True)}
    return Run(run_dir, meta, events, samples)


def export_csv(run_dir: Path) -> list[Path]:
    """Write samples.csv and events.csv beside the database and return their paths."""
    paths = []
    with _opened(run_dir) as db:
        for table in ("samples", "events"):
            rows = db.execute(f"SELECT * FROM {table} ORDER BY rowid")
            path = run_dir / f"{table}.csv"
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow([column[0] for column in rows.description])
                writer.writerows(rows)
            paths.append(path)
    return paths


def new_run_dir(parent: Path, name: str) -> Path:
    """Make the folder ``<name>-<next free number>`` in ``parent`` and point ``latest`` to it."""
    parent.mkdir(parents=True, exist_ok=True)
    taken = [
        int(tail)
        for path in parent.iterdir()
        if path.name.startswith(f"{name}-")
        and (tail := path.name.removeprefix(f"{name}-")).isdecimal()
    ]
    number = max(taken, default=0) + 1
    while True:
        run_dir = parent / f"{name}-{number}"
        try:
            run_dir.mkdir()
            break
        except FileExistsError:
            number += 1
    _point_latest(parent, run_dir)
    return run_dir


def _point_latest(parent: Path, run_dir: Path) -> None:
    fresh = parent / f".latest-{run_dir.name}"
    # Not every file system has links, and a run is whole without this one.
    with suppress(OSError):
        fresh.symlink_to(run_dir.name)
        fresh.replace(parent / "latest")
    with suppress(OSError):
        fresh.unlink(missing_ok=True)


def clock(true_s: float) -> str:
    """Time since the start as '  2d 18:30:15.25'."""
    hundredths = round(abs(true_s) * 100)
    sign = "-" if true_s < 0 else ""
    minutes, seconds = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{sign + str(days):>3}d {hours:02}:{minutes:02}:{seconds / 100:05.2f}"


@contextmanager
def _opened(run_dir: Path) -> Iterator[sqlite3.Connection]:
    path = run_dir / DATABASE
    if not path.is_file():
        raise FileNotFoundError(f"{run_dir} is no run directory: it has no {DATABASE}")
    db = sqlite3.connect(path)
    try:
        yield db
    finally:
        db.close()
