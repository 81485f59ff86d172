"""Rung 3: hangs, failures of power and loops gone wrong, on a board that delivers.

Figures are printed: make test ARGS='host_tests/emulated/test_failures.py -n 0 -rP'.
"""

from functools import partial

import pytest

from cisterna.base import faults, modes
from cisterna.parts.dosing import CATCH_UP_INTERVAL_US, MAX_BURST_STEPS
from cisterna_sim.emulated import probe
from cisterna_sim.emulated.board_rig import BoardRig
from host_tests.kit.boards import (
    BOLUS_NL,
    BOLUS_S,
    BOOT_S,
    STEP_NL,
    copied,
    in_a_copy,
    ledger,
    reports,
    standing,
)

# hal/loop.py feeds the watchdog with this.
WATCHDOG_US = 5_000_000


def _assert_within_bounds(rig: BoardRig) -> None:
    """What a pump would know if its power failed now: settled <= true <= charged (R07)."""
    account = ledger(rig)
    assert account.known
    assert account.forward <= rig.plant.pulses <= account.forward + account.unconfirmed_steps


def _owe_a_burst(rig: BoardRig) -> int:
    """Hold the processor up during a bolus, so that it catches up by one whole burst, and stop
    inside that burst; returns how many pulses it has emitted so far."""
    rig.press()
    rig.run_until(lambda: rig.pulses, 3)
    rig.chip.freeze(MAX_BURST_STEPS * BOLUS_S * STEP_NL / BOLUS_NL + 3)
    before = len(rig.pulses)
    rig.run_until(lambda: len(rig.pulses) >= before + 4, 1, 0.001)
    return len(rig.pulses) - before


@pytest.mark.req("D11", "I03")
@in_a_copy
def test_hang_in_a_burst_ends_with_the_burst_and_is_reset(rig):
    emitted = _owe_a_burst(rig)
    rig.chip.hang()
    before, hung_us = len(rig.pulses), rig.now_us
    rig.run_until(lambda: rig.chip.resets, 9, 0.1)
    after = len(rig.pulses) - before
    reset_s = (rig.began_us + rig.chip.resets[0] - hung_us) / 1e6
    print(f"hang after {emitted} pulses of a burst: {after} more. Bound of a burst: ", end="")
    print(f"{MAX_BURST_STEPS} pulses, {MAX_BURST_STEPS * STEP_NL:.0f} nL")
    assert after > 0
    assert emitted + after <= MAX_BURST_STEPS
    assert rig.pulses[-1][0] - hung_us < MAX_BURST_STEPS * CATCH_UP_INTERVAL_US
    assert reset_s <= 8
    assert rig.wiring.enabled_us is None
    _assert_within_bounds(rig)
    rig.run_until(lambda: rig.wiring.enabled_us is not None, BOOT_S)
    print(f"after the hang: reset {reset_s:.2f} s, delivery {(rig.now_us - hung_us) / 1e6:.2f} s")
    rig.run(1)
    assert ("BOOT", "watchdog") in [
        (name, detail.split(" ", 1)[0]) for name, detail in rig.events()
    ]
    assert rig.remembered().memory.state.resting == modes.BASAL
    _assert_within_bounds(rig)


@pytest.mark.req("R07", "I03")
@in_a_copy
def test_power_lost_in_a_burst(rig):
    emitted = _owe_a_burst(rig)
    assert emitted < MAX_BURST_STEPS
    rig.power_down()
    pulses = rig.plant.pulses
    _assert_within_bounds(rig)
    rig.power_up()
    rig.run_until(lambda: rig.wiring.enabled_us is not None, BOOT_S)
    assert rig.plant.pulses == pulses
    rig.run(1)
    names = [name for name, _ in rig.events()]
    assert "BOLUS_ENDED" in names[names.index("BOLUS_GRANTED") :]
    assert rig.events()[-1] == ("MODE", "BASAL")
    assert faults.POWER_LOST in standing(rig)
    _assert_within_bounds(rig)


@pytest.mark.req("R07")
def test_power_lost_in_any_write_of_the_file_system(rig):
    """In every write of a granted bolus, page by page and erasure by erasure, half done."""
    count = copied(lambda: _writes_of_a_grant(rig))
    assert count > 2
    for number in range(1, count + 1):
        print(f"cut in write {number} of {count}")
        copied(partial(_cut_in_write, rig, number))


def _writes_of_a_grant(rig: BoardRig) -> int:
    before = rig.chip.flash_writes
    rig.press()
    rig.run_until(lambda: rig.pulses, 3)
    return rig.chip.flash_writes - before


def _cut_in_write(rig: BoardRig, number: int) -> None:
    rig.chip.cut_at = rig.chip.flash_writes + number
    rig.press()
    rig.run_until(lambda: rig.chip.cut, 3)
    _assert_within_bounds(rig)
    memory = rig.remembered().memory
    assert memory.program is not None
    assert not set(memory.found) - {faults.MEMORY_DEGRADED}


# -- F11: a loop that does not complete its checks ------------------------------------------------


def _reset_and_delivering_again(rig: BoardRig, failed_us: int) -> None:
    """It is reset within 8 s, delivers after its self-test, and the account is in its bounds."""
    rig.run_until(lambda: rig.chip.resets, 9, 0.1)
    for pin in (probe.PUT_OFF, probe.NEVER_BACK):
        rig.chip.drive(pin, False)
    reset_s = (rig.began_us + rig.chip.resets[0] - failed_us) / 1e6
    fed_s = (rig.began_us + rig.chip.resets[0] - failed_us - WATCHDOG_US) / 1e6
    assert reset_s <= 8
    assert rig.wiring.enabled_us is None
    _assert_within_bounds(rig)
    rig.run_until(lambda: rig.wiring.enabled_us is not None, BOOT_S)
    print(f"last fed {fed_s:.2f} s, reset {reset_s:.2f} s, ", end="")
    print(f"delivering {(rig.now_us - failed_us) / 1e6:.2f} s after the failure")
    rig.run(1)
    assert rig.remembered().memory.state.resting == modes.BASAL
    _assert_within_bounds(rig)


@pytest.mark.req("F11")
@in_a_copy
def test_a_loop_that_lives_and_does_not_look_is_reset(probed):
    rig = probed
    failed_us = rig.now_us
    rig.chip.drive(probe.PUT_OFF, True)
    rig.run(2.5)
    said = len(rig.said)
    fed_us = rig.began_us + rig.chip.fed_us
    assert failed_us - 250_000 < fed_us <= failed_us + 1_000_000
    rig.run(2)
    assert reports(rig, said), "the loop still lives"
    assert fed_us == rig.began_us + rig.chip.fed_us
    assert not rig.chip.resets
    _reset_and_delivering_again(rig, failed_us)


@pytest.mark.req("F11", "D11")
@in_a_copy
def test_a_task_that_never_comes_back_in_a_burst_is_reset(probed):
    rig = probed
    emitted = _owe_a_burst(rig)
    failed_us, before = rig.now_us, len(rig.pulses)
    rig.chip.drive(probe.NEVER_BACK, True)
    rig.run(1)
    after = len(rig.pulses) - before
    print(f"an endless loop in a burst, {emitted} pulses into it: {after} more; ", end="")
    assert after > 0
    assert emitted + after <= MAX_BURST_STEPS
    assert rig.began_us + rig.chip.fed_us <= failed_us + 100_000
    _reset_and_delivering_again(rig, failed_us)
