"""The image on the emulated Pico: start, heap, ticks, and what a hang delivers.

On the emulated clock, so the figures do not depend on the machine that emulates. Flash takes no
time there: a real erasure adds some tens of ms to a tick that writes.
"""

from collections.abc import Iterator
from itertools import pairwise

from rich.table import Table

from cisterna.parts.calendar import ALL_DAYS
from cisterna.parts.dosing import MAX_BURST_STEPS
from cisterna.parts.program import KIND_CONTINUOUS, Program
from cisterna_sim.emulated import board_rig, probe
from cisterna_sim.emulated.board_rig import BoardRig
from cisterna_tools.bench import BenchError, table
from cisterna_tools.image import ImageError

# 150 uL/day; a patient bolus of 10 uL over a minute, so that steps come often.
BOLUS_NL, BOLUS_S = 10_000, 60
PROGRAM = Program(KIND_CONTINUOUS, 2_000, ((ALL_DAYS, 0, 300_000),), 20_000, BOLUS_S, 3_600, 6)
_AT_MOST_S = 10


def tables() -> Iterator[Table]:
    """One table: every figure, and how it came about."""
    try:
        rig = board_rig.deliver(PROGRAM, files=probe.HARMFUL)
    except ImageError as error:
        raise BenchError(str(error)) from None
    made = table("The emulated Pico, clock 125 MHz", "what", "figure", "how")
    made.columns[2].justify = "left"
    for row in (*_start(rig), *_work(rig), *_hang(rig)):
        made.add_row(*row)
    yield made


Row = tuple[str, str, str]


def _start(rig: BoardRig) -> Iterator[Row]:
    running_s = rig.run_until(lambda: "running" in rig.said, _AT_MOST_S)
    yield "boot line", f"{running_s:.2f} s", "from power-on"
    rig.run_until(lambda: rig.wiring.enabled_us is not None, _AT_MOST_S, 0.001)
    ready_s = (rig.now_us - rig.began_us) / 1e6
    yield "delivering again", f"{ready_s:.2f} s", "from power-on, self-test passed, motor on"


def _work(rig: BoardRig) -> Iterator[Row]:
    rig.run(3)
    basal = _reports(rig, 4)
    pressed_us = rig.now_us
    rig.press()
    rig.run_until(lambda: rig.pulses, _AT_MOST_S)
    first_s = (rig.pulses[0][0] - pressed_us) / 1e6
    bolus = _reports(rig, 10)
    gaps_us = [after - before for before, after in pairwise(t for t, _ in rig.pulses)]
    yield "free heap, basal", f"{min(r.free for r in basal):,} B", "after a collection"
    yield "free heap, bolus", f"{min(r.free for r in bolus):,} B", "after a collection"
    worst_us = basal[-1].worst_tick_us
    yield "largest tick, start and basal", f"{worst_us / 1e3:.1f} ms", ""
    worst_us = bolus[-1].worst_tick_us
    yield "largest tick, bolus granted", f"{worst_us / 1e3:.1f} ms", "writes events and state"
    yield "button to first pulse", f"{first_s:.2f} s", "held for 0.6 s"
    spread_us = max(gaps_us) - min(gaps_us)
    yield "spread of a bolus's gaps", f"{spread_us / 1e3:.2f} ms", f"{len(gaps_us)} gaps"


def _hang(rig: BoardRig) -> Iterator[Row]:
    step_nl = rig.board.calibration.step_pl / 1e3
    bound_nl = MAX_BURST_STEPS * step_nl
    yield "over-delivery bound", f"{bound_nl:,.0f} nL", f"a burst of {MAX_BURST_STEPS} steps"
    # Held up for so long, the bolus owes a whole burst; the processor hangs inside it.
    rig.chip.freeze(MAX_BURST_STEPS * BOLUS_S * step_nl / BOLUS_NL + 3)
    before = len(rig.pulses)
    rig.run_until(lambda: len(rig.pulses) >= before + 1, _AT_MOST_S, 0.001)
    rig.chip.hang()
    before, hung_us = len(rig.pulses), rig.now_us
    rig.run_until(lambda: rig.chip.resets, _AT_MOST_S, 0.1)
    over = len(rig.pulses) - before
    yield "delivered after a hang", f"{over * step_nl:,.0f} nL", f"{over} steps, hung in a burst"
    reset_s = (rig.began_us + rig.chip.resets[0] - hung_us) / 1e6
    yield "hang to reset", f"{reset_s:.2f} s", "by the watchdog"


def _reports(rig: BoardRig, seconds: float) -> list[probe.Report]:
    begin = len(rig.said)
    rig.run(seconds)
    return probe.reports(rig.said[begin:])
