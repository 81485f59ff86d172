"""How soon a total occlusion is found, for rates and compliances: makes the table in README.md.

Each case runs on the simulated rig with its usual noise, drift and posture, for several seeds; the
line is blocked after a free hour. Shown are the worst cases over the seeds.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import NamedTuple

from cisterna import events
from cisterna.base import modes
from cisterna.parts import occlusion
from cisterna.parts.program import continuous
from cisterna_sim.plant import PlantConfig
from cisterna_sim.rig import SELFTEST_S, Rig
from cisterna_sim.rig_board import default_calibration

RATES_ML_PER_DAY = (0.048, 0.2, 1.0, 10.0)
COMPLIANCES_UL_PER_KPA = (0.1, 1.0, 10.0)
SEEDS = range(5)
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- occlusion table -->", "<!-- end of occlusion table -->"
# At the lowest concentration, so that the highest rate stays below the daily dose limit.
_CONCENTRATION_UG_PER_ML = 50
_FREE_S = 3_600
_AT_MOST_DAYS = 20


class Found(NamedTuple):
    """One detection: seconds and stored volume since the line was blocked, and the witness."""

    seconds: float
    stored_ul: float
    witness: str


def find(rate_ml_per_day: float, compliance_ul_per_kpa: float, seed: int) -> Found:
    """Block the line of a running rig and wait until the pump says so.

    Stored is what the motor pushed into the line since; RuntimeError if it is never found.
    """
    found: list[str] = []

    def hear(stamp: int, event: int, subject: int, value: int) -> None:
        if event == events.OCCLUSION_FOUND:
            found.append(occlusion.WITNESS_NAMES[subject])

    config = PlantConfig(
        compliance_ul_per_kpa=compliance_ul_per_kpa,
        concentration_ug_per_ml=_CONCENTRATION_UG_PER_ML,
        seed=seed,
    )
    calibration = default_calibration(compliance_nl_per_kpa=round(compliance_ul_per_kpa * 1000))
    rig = Rig(config, calibration, on_event=hear)
    rig.run_for(SELFTEST_S)
    dose_ng = round(rate_ml_per_day * _CONCENTRATION_UG_PER_ML * 1000)
    rig.set_up(continuous(_CONCENTRATION_UG_PER_ML, dose_ng))
    # Different seeds are blocked at different hours, among different postures.
    rig.run_for(_FREE_S * (1 + 5 * seed))
    if found or rig.pump.modes.mode != modes.BASAL:
        raise RuntimeError(f"{rate_ml_per_day} mL/day: not delivering before the occlusion")
    rig.plant.occlude(1.0)
    rig.attend()
    begun_us, stored_nl, swept_nl = rig.now_us, rig.plant.line_nl, 0.0
    while not found:
        rig.run_for(min(5.0, 5 / rate_ml_per_day))
        if not found:
            swept_nl = rig.plant.line_nl - stored_nl
        if rig.now_us - begun_us > _AT_MOST_DAYS * 86_400e6:
            raise RuntimeError(f"{rate_ml_per_day} mL/day: not found in {_AT_MOST_DAYS} days")
    return Found((rig.now_us - begun_us) / 1e6, swept_nl / 1000, found[0])


def table() -> str:
    """The table as Markdown."""
    lines = [
        "| rate mL/day | compliance uL/kPa | found after | stored uL | witness |",
        "|---:|---:|---:|---:|---|",
    ]
    for rate in RATES_ML_PER_DAY:
        for compliance in COMPLIANCES_UL_PER_KPA:
            cases = [find(rate, compliance, seed) for seed in SEEDS]
            worst = max(case.stored_ul for case in cases)
            longest = _span(max(case.seconds for case in cases))
            witness = ", ".join(sorted({case.witness for case in cases}))
            lines.append(f"| {rate:g} | {compliance:g} | {longest} | {worst:.1f} | {witness} |")
    return "\n".join(lines)


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def main() -> int:
    """Print the table, or put it into the README with --write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into sim/README.md")
    write = parser.parse_args().write
    made = table()
    if write:
        text = README.read_text(encoding="utf-8")
        pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
        README.write_text(pattern.sub(lambda _: f"{BEGIN}\n{made}\n{END}", text), encoding="utf-8")
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
