"""The simulator's command line: ``python -m cisterna_sim run | list | show | export``."""

import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn, Self, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from cisterna_sim import record, scenario, summary

NOTICE = "Research and teaching rig: not a medical device, never for use on people or animals."
BAD_INPUT = 2
Result = TypeVar("Result")


class Interrupted(KeyboardInterrupt):
    """The user, or the system, asked the run to end."""


class Stop:
    """Turns the first Ctrl-C or termination into an exception at a place that can bear it.

    A second one acts at once, should the run not get to such a place. As a context manager it
    gives the signals back in the end.
    """

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> Self:
        self._before = {n: signal.signal(n, self._note) for n in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            raise Interrupted
        self.number = number

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self.number:
            raise Interrupted


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Simulate the pump on its rig.

    Research and teaching rig: not a medical device, never for use on people or animals.
    """
    click.echo(NOTICE)


@main.command()
@click.argument("name", metavar="[SCENARIO]", default=scenario.DEFAULT)
@click.option("--days", type=float, help="Length of the run, in place of the scenario's.")
@click.option("--seed", type=int, help="Seed of all that is random, in place of the scenario's.")
@click.option("--csv", is_flag=True, help="Export samples and events as CSV as well.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"),
              show_default=True, help="Folder that the run's own folder is made in.")  # fmt: skip
@click.option("--no-picture", is_flag=True, help="Draw no picture.")
@click.option("--full-rate", is_flag=True, help="Sample sensors at a board's 4 Hz, without jumps.")
def run(
    name: str,
    days: float | None,
    seed: int | None,
    csv: bool,
    out: Path,
    no_picture: bool,
    full_rate: bool,
) -> None:
    """Run SCENARIO: a name from the list (default: day), or a TOML file."""
    plan = _or_refuse(lambda: scenario.load(name, days, seed))
    skipped = scenario.unreached(plan)
    if skipped:
        click.echo(
            f"{skipped} of {len(plan.events)} events lie after day {plan.days:g}: not reached."
        )
    try:
        run_dir = record.new_run_dir(out, plan.name)
    except OSError as error:
        _refuse([f"--out = {out}: no folder can be made there: {error.strerror}"])
    code = 1
    try:
        with Stop() as stop:
            code = _simulate(plan, run_dir, stop, full_rate)
    finally:
        _report(run_dir, csv, not no_picture)
    sys.exit(code)


@main.command("list")
def list_scenarios() -> None:
    """List the scenarios, a line each."""
    rows = _or_refuse(scenario.available)
    width = max(len(name) for name, _ in rows)
    for name, title in rows:
        click.echo(f"{name:<{width}}  {title}")


@main.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
def show(run_dir: Path) -> None:
    """Summarise and draw the run in RUN_DIR again, finished or not."""
    _need_run(run_dir)
    _report(run_dir, csv=False, draw=True)


@main.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--csv", is_flag=True, help="Comma-separated values: the default, and only, format.")
def export(run_dir: Path, csv: bool) -> None:
    """Write the samples and events of the run in RUN_DIR in another format."""
    _need_run(run_dir)
    for path in record.export_csv(run_dir):
        click.echo(path)


def _simulate(plan: scenario.Scenario, run_dir: Path, stop: Stop, full_rate: bool) -> int:
    """Run the rig with a progress bar; return the exit code."""
    # Here and not above: listing and showing need neither the pump nor the plant.
    from cisterna_sim.stage import run_scenario

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
               TimeElapsedColumn())  # fmt: skip
    try:
        with (
            record.Recorder(run_dir, plan) as recorder,
            Progress(*columns, console=Console(stderr=True)) as bar,
        ):
            task = bar.add_task(plan.name, total=1.0)

            def progress(fraction: float) -> None:
                stop.check()
                recorder.commit_if_due()
                bar.update(task, completed=fraction)

            run_scenario(plan, recorder, progress, full_rate)
            bar.update(task, completed=1.0)
    except KeyboardInterrupt:
        click.echo("Interrupted: what was recorded until now follows.")
        return 128 + (stop.number or signal.SIGINT)
    return 0


def _report(run_dir: Path, csv: bool, draw: bool) -> None:
    click.echo(summary.write(run_dir), nl=False)
    if csv:
        record.export_csv(run_dir)
    if draw:
        # matplotlib takes half a second to load; other commands do without it.
        from cisterna_sim.picture import picture

        click.echo(f"\nPicture: {picture(run_dir)}")
    click.echo(f"Run directory: {run_dir}")


def _need_run(run_dir: Path) -> None:
    if not (run_dir / record.DATABASE).is_file():
        _refuse([f"{run_dir}: no run directory, for it has no {record.DATABASE}"])
    try:
        run = record.read(run_dir)
    except sqlite3.DatabaseError as error:
        _refuse([f"{run_dir / record.DATABASE} cannot be read: {error}; run the scenario again"])
    if "scenario" not in run.meta:
        _refuse([f"{run_dir} was recorded from a pump; use pumpctl export"])


def _or_refuse(make: Callable[[], Result]) -> Result:
    try:
        return make()
    except scenario.ScenarioError as error:
        _refuse(error.lines)


def _refuse(lines: list[str]) -> NoReturn:
    for text in lines:
        click.echo(text, err=True)
    sys.exit(BAD_INPUT)


if __name__ == "__main__":
    main()
