"""The simulator: simulated seconds a second, ticks a second, peak memory.

Each length runs alone in a process of its own, with the core, the plant and the recording of a
full run (picture and summary aside), so that memory's growth with the length can be seen.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from cisterna_tools.bench import table
from cisterna_tools.boards import ROOT

DAYS = (1, 10, 180)
SCENARIO = "clean-180"
REPEATS = 3


def measure(days: float) -> dict[str, float]:
    """Run the scenario for so many days in this process; figures of that run."""
    # Here: the parent process does without them.
    from cisterna_sim import record, scenario
    from cisterna_sim.stage import run_scenario

    plan = scenario.load(SCENARIO, days)
    with tempfile.TemporaryDirectory() as folder, record.Recorder(Path(folder), plan) as recorder:
        begun_s = time.perf_counter()
        stage = run_scenario(plan, recorder, lambda fraction: recorder.commit_if_due())
        wall_s = time.perf_counter() - begun_s
    return {
        "days": days,
        "wall_s": wall_s,
        "ticks": stage.rig.ticks,
        "looks": stage.rig.looks,
        "steps": stage.rig.plant.pulses,
        # kB on Linux.
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def tables() -> Iterator[Table]:
    """A row for each length."""
    made = table(
        f"The simulator: {SCENARIO}, best of {REPEATS}",
        *("days", "wall s", "simulated s per s", "ticks per s", "steps", "peak MB"),
    )
    for days in DAYS:
        runs = [
            json.loads(
                subprocess.run(
                    [sys.executable, "-m", "cisterna_tools.bench.sim", str(days)],
                    cwd=ROOT,
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
            )
            for _ in range(REPEATS)
        ]
        best = min(runs, key=lambda run: run["wall_s"])
        made.add_row(
            f"{days}",
            f"{best['wall_s']:.2f}",
            f"{days * 86_400 / best['wall_s']:,.0f}",
            f"{best['ticks'] / best['wall_s']:,.0f}",
            f"{best['steps']:,}",
            f"{max(run['peak_mb'] for run in runs):.1f}",
        )
    yield made


if __name__ == "__main__":
    print(json.dumps(measure(float(sys.argv[1]))))
