"""A pump's run directory: samples, events and the raw line, for as long as the recording runs.

``samples.sqlite`` has the tables of a simulated run (cisterna_sim/record.py), but only what a pump
can tell: ``true_s`` is this host's time since the recording began. ``events.log`` holds the events
as text, ``serial.log`` every byte of the line with the host's time. A recording that was broken
off can be continued.
"""

import json
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from cisterna.base import faults
from cisterna_sim.record import DATABASE, LOG, clock
from pumpctl.errors import BadValue
from pumpctl.log import Entry
from pumpctl.models import Sample

SERIAL_LOG = "serial.log"
# counted_nl is what the pump says it delivered from this filling; alarms a mask of fault codes.
COLUMNS = (
    ("true_s", "REAL"),
    ("pump_s", "REAL"),
    ("mode", "TEXT"),
    ("counted_nl", "INTEGER"),
    ("rate_nl_per_day", "INTEGER"),
    ("remaining_nl", "INTEGER"),
    ("pressure_pa", "INTEGER"),
    ("alarms", "INTEGER"),
    ("bolus", "TEXT"),
    ("seq", "INTEGER"),
    ("dropped", "INTEGER"),
)
_COMMIT_EVERY_S = 1.0
_CODES = {row[0]: code for code, row in enumerate(faults.FAULTS)}


class Recording:
    """Writes a run directory, new or begun before. ``next_entry`` is the log entry to come.

    BadValue: the folder holds something else than the recording of a pump.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        fresh = not (run_dir / DATABASE).exists()
        self._db = sqlite3.connect(run_dir / DATABASE)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            if fresh:
                self._create()
            facts = {
                key: json.loads(value) for key, value in self._db.execute("SELECT * FROM meta")
            }
            if facts.get("source") != "pump":
                raise BadValue(f"{run_dir} is not the recording of a pump; name a new folder")
        except (sqlite3.DatabaseError, ValueError) as error:
            self._db.close()
            raise BadValue(f"{run_dir / DATABASE} cannot be gone on with: {error}") from None
        except BadValue:
            self._db.close()
            raise
        self.serial: str = facts.get("serial", "")
        self._began_s = float(facts["began_s"])
        self.next_entry = int(facts.get("next_entry", 0))
        self.samples = self.events = 0
        self._log: TextIO = (run_dir / LOG).open("a", encoding="utf-8")
        self._wire = (run_dir / SERIAL_LOG).open("a", encoding="ascii")
        self._committed_s = time.monotonic()
        self.meta(status="running")

    def _create(self) -> None:
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
        with self._db:
            self._db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)")
            self._db.execute(f"CREATE TABLE samples ({columns})")
            self._db.execute(
                "CREATE TABLE events (true_s REAL, pump_cs INTEGER, name TEXT, detail TEXT, "
                "sequence INTEGER)"
            )
        now = datetime.now(UTC)
        self.meta(source="pump", began_s=now.timestamp(), began=now.isoformat())

    def meta(self, **facts: Any) -> None:
        """Keep facts about the run under their names; a later value replaces the earlier."""
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                [(key, json.dumps(value)) for key, value in facts.items()],
            )

    def of(self, serial: str) -> None:
        """Say which pump it is; BadValue if it was another one until now."""
        if self.serial not in ("", serial):
            raise BadValue(
                f"{self.run_dir} is the recording of pump {self.serial}, and pump {serial} is "
                "there; name a new folder"
            )
        self.serial = serial
        self.meta(serial=serial)

    def sample(self, sample: Sample) -> None:
        """Keep a sample."""
        mask = sum(1 << _CODES[name] for name in sample.alarms if name in _CODES)
        row = (
            self._now_s(), sample.t_ms / 1000, sample.mode, sample.delivered_nl,
            sample.rate_nl_per_day, sample.remaining_nl, sample.pressure_pa, mask, sample.bolus,
            sample.seq, sample.dropped,
        )  # fmt: skip
        self._db.execute(f"INSERT INTO samples VALUES ({', '.join('?' * len(COLUMNS))})", row)
        self.samples += 1
        self.commit_if_due()

    def entry(self, entry: Entry) -> None:
        """Keep an entry of the pump's event log."""
        self.next_entry = entry.sequence + 1
        self._event(entry.pump_cs, entry.name, entry.detail, entry.sequence)

    def note(self, name: str, detail: str = "") -> None:
        """Keep something that the pump did not say."""
        self._event(None, name, detail, None)

    def _event(self, pump_cs: int | None, name: str, detail: str, sequence: int | None) -> None:
        true_s = self._now_s()
        self._db.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?)", (true_s, pump_cs, name, detail, sequence)
        )
        stamp = "" if pump_cs is None else f"{pump_cs / 100:.2f}"
        self._log.write(f"{clock(true_s)}  {stamp:>13}  {name:<16}  {detail}".rstrip() + "\n")
        self._log.flush()
        self.events += 1
        self.commit_if_due()

    def wire(self, sent: bool, data: bytes) -> None:
        """Keep bytes of the line, what is not printable as escapes."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        text = data.decode("latin-1").encode("unicode_escape").decode("ascii")
        self._wire.write(f"{now} {'>' if sent else '<'} {text}\n")
        self._wire.flush()

    def commit_if_due(self) -> None:
        """Commit if the last commit is a second ago."""
        if time.monotonic() - self._committed_s >= _COMMIT_EVERY_S:
            self.meta(next_entry=self.next_entry)
            self._committed_s = time.monotonic()

    def _now_s(self) -> float:
        return time.time() - self._began_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.meta(next_entry=self.next_entry, status="failed" if kind else "complete")
        self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()
        self._log.close()
        self._wire.close()
