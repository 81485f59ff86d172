"""Rung 3: how late steps come when flash takes the time that a W25Q16 takes.

Figures are printed: make test LONG=1 ARGS='host_tests/emulated/test_slow_flash.py -n 0 -rP'.
"""

import pytest

from cisterna.parts.program import continuous
from cisterna_sim.emulated import board_rig
from cisterna_sim.emulated.board_rig import BoardRig
from host_tests.kit.boards import BASAL_NL_PER_DAY, BOLUS_NL, BOLUS_S, BOOT_S, STEP_NL, in_a_copy

pytestmark = pytest.mark.long

# 50 ug/mL and 950 ug a day: a step each 408 ms.
CONCENTRATION_UG_PER_ML, FAST_NL_PER_DAY = 50, 19_000_000
# An erasure comes when the folder's block is full, some minutes apart.
AT_MOST_S = 900
# The step of an allowance waits until it is stored: an erasure and eight pages take 51 ms, the
# look, the tick and the file system 19 ms. The goal is 60 ms.
ALLOWANCE_LATE_MS = 75
# A signed change stores its counter, an event and the state, with up to four erasures in a row.
CHANGE_LATE_MS = 220
CHANGES = 12


def _late_ms(rig: BoardRig, rate_nl_per_day: float) -> float:
    """How much later the latest step came than the earliest, by an even beat."""
    beat_us = 86_400e6 * STEP_NL / rate_nl_per_day
    off_us = [at_us - beat_us * count for count, (at_us, _) in enumerate(rig.pulses)]
    return (max(off_us) - min(off_us)) / 1e3


def test_a_step_waits_for_one_erasure_at_most(image):
    dose_ng_per_day = FAST_NL_PER_DAY * CONCENTRATION_UG_PER_ML // 1000
    rig = board_rig.deliver(continuous(CONCENTRATION_UG_PER_ML, dose_ng_per_day))
    rig.run_until(lambda: rig.wiring.enabled_us is not None, BOOT_S)
    rig.run(1)
    rig.chip.slow_flash = True
    before = rig.chip.flash_erasures
    took_s = rig.run_until(lambda: rig.chip.flash_erasures > before, AT_MOST_S, 1)
    rig.run(1)
    late_ms = _late_ms(rig, FAST_NL_PER_DAY)
    erasures = rig.chip.flash_erasures - before
    print(f"{len(rig.pulses)} steps in {took_s:.0f} s, {erasures} erasure: ", end="")
    print(f"a step at most {late_ms:.1f} ms late, goal 60, at most {ALLOWANCE_LATE_MS}")
    assert rig.counted() == len(rig.pulses)
    assert late_ms <= ALLOWANCE_LATE_MS


@pytest.mark.req("T09")
@in_a_copy
def test_signed_changes_hold_a_step_up_for_their_erasures_alone(connected):
    rig, clinician = connected.rig, connected.clinician
    rig.chip.slow_flash = True
    rig.press()
    rig.run_until(lambda: rig.pulses, 5)
    writes, erasures = rig.chip.flash_writes, rig.chip.flash_erasures
    for _ in range(CHANGES):
        clinician.acknowledge()
        rig.run(0.6)
    erasures, writes = rig.chip.flash_erasures - erasures, rig.chip.flash_writes - writes
    late_ms = _late_ms(rig, BOLUS_NL * 86_400 / BOLUS_S + BASAL_NL_PER_DAY)
    print(f"{CHANGES} changes, {erasures} erasures, {writes - erasures} pages; ", end="")
    print(f"{len(rig.pulses)} steps, at most {late_ms:.1f} ms late, at most {CHANGE_LATE_MS}")
    assert erasures
    assert rig.counted() == len(rig.pulses)
    assert late_ms <= CHANGE_LATE_MS
