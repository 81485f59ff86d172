"""Rung 3 and 4: the shipped files on a board.

Rung 3 is an emulated RP2040 under real MicroPython, with the plant on its pins. With PORT=... the
tests that need no plant run on a bench Pico instead, flashed by `make flash` beforehand.

Figures are printed: make test ARGS='host_tests/emulated/test_shipped_files.py -n 0 -rP'.
"""

from functools import partial
from types import SimpleNamespace

import pytest
from rp2040py.gpio_pin import GPIOPinState

from cisterna.base import faults, modes
from cisterna.parts.dosing import CATCH_UP_INTERVAL_US, MAX_BURST_STEPS
from cisterna_sim.emulated import board_rig, flash, probe
from cisterna_sim.emulated.board_rig import BoardRig
from cisterna_sim.pio.board import PioBoard
from host_tests.kit.boards import (
    BASAL_NL_PER_DAY,
    BOLUS_NL,
    BOLUS_S,
    BOOT_S,
    NO_PLANT,
    PORT,
    PROGRAM,
    EmulatedBoard,
    SerialBoard,
    copied,
    execute,
    in_a_copy,
    wait_for,
)

STEP_NL = 89.819
# hal/loop.py feeds the watchdog with this.
WATCHDOG_US = 5_000_000
# A step waits for the look before it, 2.8 ms, and for the millisecond that a sleep is long at
# least; seldom also for a collection of garbage, 31 ms (all on the emulated clock).
LATE_US = 4_000
LATEST_US = LATE_US + 35_000
# A Pico's 264 kB leave 240 kB to MicroPython's heap. The longest line is 3 kB: its parts, what it
# stages and the reply must fit several times over, wherever the heap is broken up.
FREE_BYTES = 48 * 1024

needs_plant = pytest.mark.skipif(bool(PORT), reason=NO_PLANT)


@pytest.fixture(scope="session")
def image() -> None:
    """A MicroPython image, or a skip that says why there is none."""
    missing = "" if PORT else flash.missing()
    if missing:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def booted(image: None) -> SimpleNamespace:
    """A rig that was delivering when its power failed, booted and delivering again.

    ``rig``; ``running_s`` from power-on to the line on the console, ``ready_s`` to the motor.
    """
    rig = board_rig.deliver(PROGRAM)
    running_s = rig.run_until(lambda: "running" in rig.said, BOOT_S)
    rig.run_until(lambda: rig.wiring.enabled_us is not None, BOOT_S, 0.001)
    assert rig.wiring.enabled_us is not None
    ready_s = (rig.wiring.enabled_us - rig.began_us) / 1e6
    rig.run(1)
    return SimpleNamespace(rig=rig, running_s=running_s, ready_s=ready_s)


@pytest.fixture
def rig(booted: SimpleNamespace) -> BoardRig:
    return booted.rig


@pytest.fixture
def board(request: pytest.FixtureRequest) -> object:
    """What rung 3 and rung 4 have in common."""
    return SerialBoard(PORT) if PORT else EmulatedBoard(request.getfixturevalue("booted").rig)


def _ledger(rig: BoardRig):
    return rig.remembered().memory.state.ledger


def _assert_within_bounds(rig: BoardRig) -> None:
    """What a pump would know if its power failed now: settled <= true <= charged (R07)."""
    ledger = _ledger(rig)
    assert ledger.known
    assert ledger.forward <= rig.plant.pulses <= ledger.forward + ledger.unconfirmed_steps


def _owe_a_burst(rig: BoardRig) -> int:
    """Hold the processor up during a bolus, so that it catches up by one whole burst, and stop
    inside that burst; returns how many pulses it has emitted so far."""
    rig.press()
    rig.run_until(lambda: rig.pulses, 3)
    rig.chip.freeze(MAX_BURST_STEPS * BOLUS_S * STEP_NL / BOLUS_NL + 3)
    before = len(rig.pulses)
    rig.run_until(lambda: len(rig.pulses) >= before + 4, 1, 0.001)
    return len(rig.pulses) - before


# The motor's hardware as hal/rp2/ports.py sets it up.
MOTOR_AT_THE_PROMPT = (
    "import board\n"
    "from hal.rp2.pio_cutoff import PioCutoff\n"
    "from hal.rp2.pio_stepper import PioStepper, PioCounter\n"
    "pins = board.PINS\n"
    "cutoff = PioCutoff(5, pins['enable'], pins['count'], 150000)\n"
    "stepper = PioStepper(0, pins['step'], pins['dir'], cutoff)\n"
    "counter = PioCounter(4, pins['count'])\n"
)


# -- a board of either kind ---------------------------------------------------------------------


@pytest.mark.slow
@in_a_copy
def test_prompt_pulses_and_restart(board):
    """Ctrl-C gives a prompt with the motor off; a burst is counted pulse by pulse on the other
    pin; left alone, the watchdog brings the pump back."""
    board.send(b"\x03")
    wait_for(board, b">>> ", 3)
    code = (
        "import gc, time\n" + MOTOR_AT_THE_PROMPT + "stepper.burst(100, 1000)\n"
        "time.sleep_ms(20)\n"
        "part = stepper.emitted()\n"
        "while stepper.busy(): time.sleep_ms(5)\n"
        "stepper.burst(200, 1000)\n"
        "time.sleep_ms(50)\n"
        "stepper.abort()\n"
        "gc.collect()\n"
        "print(part, stepper.emitted(), counter.count(), gc.mem_free())\n"
    )
    part, emitted, counted, free = map(int, execute(board, code).split())
    print(f"at the prompt, all modules loaded: {free} bytes of heap free")
    assert 10 < part < 40
    assert 130 < emitted == counted < 200
    assert free > FREE_BYTES
    board.send(b"\x02")
    wait_for(board, b"running", 12)


# -- an emulated one ----------------------------------------------------------------------------


@needs_plant
def test_boots_and_passes_its_self_test(booted):
    rig = booted.rig
    print(
        f"power-on to the boot line: {booted.running_s:.2f} s, to delivery: {booted.ready_s:.2f} s"
    )
    assert rig.said == "cisterna 0.1.0 on pico running\r\n"
    assert rig.events()[-1] == ("MODE", "BASAL")
    assert not rig.chip.resets


@pytest.mark.slow
@needs_plant
@in_a_copy
def test_bolus_is_exact(booted):
    """Edges of STEP, the counting state machine, the rotor and the ledger all agree."""
    rig = booted.rig
    pressed_us = rig.now_us
    rig.press()
    rig.run_until(lambda: rig.pulses, 3)
    print(
        f"power-on to the first pulse: {(rig.pulses[0][0] - rig.began_us) / 1e6:.2f} s, ", end=""
    )
    print(f"from pressing the button: {(rig.pulses[0][0] - pressed_us) / 1e6:.2f} s")
    rig.run(BOLUS_S + 2)
    name, detail = rig.events()[-2]
    assert (name, detail) == ("BOLUS_ENDED", f"complete {BOLUS_NL} nL delivered")
    bolus = [t for t, _ in rig.pulses if t < pressed_us + (BOLUS_S + 1) * 1e6]
    print(f"pulses for a bolus of {BOLUS_NL} nL over {BOLUS_S} s: {len(bolus)}")
    rate_nl_per_s = BOLUS_NL / BOLUS_S + BASAL_NL_PER_DAY / 86_400
    assert abs(len(bolus) - rate_nl_per_s * BOLUS_S / STEP_NL) < 1
    assert {direction for _, direction in rig.pulses} == {1}
    assert rig.counted() == len(rig.pulses)
    assert _ledger(rig).forward + _ledger(rig).unsure >= rig.plant.pulses
    gap_us = 1e6 * STEP_NL / rate_nl_per_s
    late_us = sorted(t - bolus[0] - number * gap_us for number, t in enumerate(bolus))
    spread_us = late_us[-1] - late_us[0]
    print(f"{len(bolus)} pulses, {gap_us:.0f} us apart: within {spread_us:.0f} us of their times")
    # One may meet a collection of garbage. Lateness that adds up would show here.
    assert late_us[-2] - late_us[0] < LATE_US
    assert spread_us < LATEST_US


@needs_plant
@pytest.mark.req("F04")
@in_a_copy
def test_occlusion_stops_within_a_tick(rig):
    rig.press()
    rig.run_until(lambda: len(rig.pulses) >= 3, 6)
    before = len(rig.pulses)
    rig.plant.instruments.pressure.offset = 100_000.0
    seen_us = rig.now_us
    rig.run_until(lambda: rig.wiring.lamps >> 2, 2)
    alarm_s = (rig.now_us - seen_us) / 1e6
    rig.plant.instruments.pressure.offset = 0.0
    rig.run(3)
    forward = [t for t, direction in rig.pulses[before:] if direction > 0]
    print(f"pressure above its limit: {len(forward)} further pulses, alarm after {alarm_s:.2f} s")
    assert not forward
    assert alarm_s <= 1
    assert faults.OCCLUSION in _standing(rig)


def _standing(rig: BoardRig) -> list[int]:
    latched = rig.remembered().memory.state.latched
    return [code for code in range(len(faults.FAULTS)) if latched >> code & 1]


@pytest.mark.slow
@needs_plant
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


@pytest.mark.slow
@needs_plant
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
    assert faults.POWER_LOST in _standing(rig)
    _assert_within_bounds(rig)


@pytest.mark.slow
@needs_plant
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


@pytest.mark.slow
@needs_plant
@pytest.mark.req("R08")
def test_lost_memory_is_no_full_reservoir(image):
    rig = board_rig.deliver(PROGRAM, state=False)
    rig.run_until(lambda: rig.wiring.lamps >> 2, BOOT_S)
    rig.run(5)
    assert not rig.pulses
    assert rig.wiring.enabled_us is None
    assert faults.RESERVOIR_UNKNOWN in _standing(rig)


# -- F12: the motor is cut in hardware ------------------------------------------------------------


@pytest.mark.slow
@needs_plant
@pytest.mark.req("F12")
@in_a_copy
def test_a_processor_that_feeds_tokens_for_ever_is_cut_after_3_s(rig):
    """Step upon step, 20 ms apart, with the motor switched on again and again."""
    board = EmulatedBoard(rig)
    board.send(b"\x03")
    wait_for(board, b">>> ", 3)
    enable: list[tuple[int, bool]] = []
    rig.chip.mcu.gpio[rig.board.pins["enable"]].add_listener(
        lambda value, _: enable.append((rig.now_us, value == GPIOPinState.LOW))
    )
    code = (
        "import time\n" + MOTOR_AT_THE_PROMPT + "stepper.enable(True)\n"
        "begun = time.ticks_ms()\n"
        "while time.ticks_diff(time.ticks_ms(), begun) < 4000:\n"
        " stepper.enable(True)\n"
        " if not stepper.busy(): stepper.burst(1, 1000)\n"
        " time.sleep_ms(20)\n"
        "print(stepper.emitted(), counter.count(), pins['enable'], end=' ')\n"
        "stepper.enable(False)\n"
        "stepper.enable(True)\n"
        "stepper.burst(1, 1000)\n"
    )
    emitted, counted, _ = map(int, execute(board, code, 12).split())
    first_us, last_us = rig.pulses[0][0], rig.pulses[-2][0]
    (_, on), (cut_us, still_on), (_, on_again) = enable
    print(f"ENABLE goes off {(cut_us - first_us) / 1e6:.4f} s after the first pulse of a move")
    assert (on, still_on, on_again) == (True, False, True)
    assert abs(cut_us - first_us - 3_000_000) < 5_000
    assert last_us - cut_us > 900_000
    after = [t for t, _ in rig.pulses if cut_us < t <= last_us]
    assert len(after) > 40
    assert emitted == counted == len(rig.pulses) - 1
    assert rig.wiring.enabled_us is not None


@pytest.mark.slow
@needs_plant
@pytest.mark.req("F12", "F03")
@in_a_copy
def test_a_cut_motor_shows_as_a_stall(rig):
    """The wire from STEP is stuck high for 3 s, a move without an end: the motor loses its
    current behind the pump's back, and a bolus then counts pulses of a rotor that does not turn.
    """
    words = PioBoard().cutoff.CUTOFF.words
    loaded = list(rig.chip.mcu.pio[1].instructions)
    start = loaded.index(words[0])
    moved = [word + start if not word >> 13 else word for word in words]
    assert loaded[start : start + len(words)] == moved
    count = rig.board.pins["count"]
    stuck_us = rig.now_us
    rig.chip.drive(count, True)
    rig.run_until(lambda: rig.wiring.enabled_us is None, 4, 0.001)
    rig.chip.drive(count, False)
    print(f"line stuck high: ENABLE goes off after {(rig.now_us - stuck_us) / 1e6:.3f} s")
    assert abs(rig.now_us - stuck_us - 3_000_000) <= 5_000
    assert faults.MOTOR_STALL not in _standing(rig)
    rig.press()
    rig.run_until(lambda: rig.wiring.lamps >> 2, 10)
    rig.run(0.5)
    print(f"alarm after {len(rig.pulses)} pulses")
    assert faults.MOTOR_STALL in _standing(rig)
    assert 3 <= len(rig.pulses) <= 6


# -- what it costs ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def probed(image: None) -> BoardRig:
    """A rig like ``booted`` that tells of its heap, four lines a report, and has settled."""
    rig = board_rig.deliver(PROGRAM, files=flash.firmware(main=probe.MAIN))
    rig.run_until(lambda: rig.wiring.enabled_us is not None, BOOT_S)
    rig.run(3)
    return rig


def _reports(rig: BoardRig, begin: int) -> list[probe.Report]:
    """The reports since the console had said ``begin`` characters, whole lines only."""
    return probe.reports(rig.said[begin:])


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


@pytest.mark.long
@pytest.mark.slow
@needs_plant
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
    assert _reports(rig, said), "the loop still lives"
    assert fed_us == rig.began_us + rig.chip.fed_us
    assert not rig.chip.resets
    _reset_and_delivering_again(rig, failed_us)


@pytest.mark.long
@pytest.mark.slow
@needs_plant
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


@pytest.mark.long
@pytest.mark.slow
@needs_plant
@pytest.mark.req("I06")
@in_a_copy
def test_heap_is_roomy_and_flat(probed):
    begin = len(probed.said)
    erasures = probed.chip.flash_erasures
    probed.run(3)
    basal = _reports(probed, begin)
    begin = len(probed.said)
    probed.press()
    probed.run(3)
    granted = _reports(probed, begin)
    begin = len(probed.said)
    erasures = probed.chip.flash_erasures - erasures
    probed.run(6)
    dosing = _reports(probed, begin)
    assert dosing[-1][0] == modes.BOLUS
    print(f"free heap: basal {min(r[1] for r in basal)}, bolus {min(r[1] for r in dosing)} bytes")
    print(
        f"largest tick: {basal[-1][3]} us at start, {granted[-1][3]} us when a bolus is granted,"
    )
    print(f"which writes events and state ({erasures} erasures, that take no time here)")
    assert min(r[1] for r in basal + dosing) > FREE_BYTES
    assert max(r[2] for r in dosing[3:]) - min(r[2] for r in dosing[3:]) < 256


@pytest.mark.slow
@needs_plant
@pytest.mark.req("T09")
def test_deaf_host_does_not_delay_dosing(probed):
    """The host has the port open and takes nothing: lines are dropped, steps come as ever."""
    reading_us, reading_dropped = copied(lambda: _steps_of_a_bolus(probed, True))
    deaf_us, deaf_dropped = copied(lambda: _steps_of_a_bolus(probed, False))
    shifts_us = [abs(a - b) for a, b in zip(reading_us, deaf_us, strict=True)]
    print(f"worst shift of {len(shifts_us)} pulses by a deaf host: {max(shifts_us)} us; ", end="")
    print(f"lines dropped: {reading_dropped} with a host that reads, {deaf_dropped} without")
    assert max(shifts_us) < LATEST_US
    assert reading_dropped == 0 < deaf_dropped


def _steps_of_a_bolus(rig: BoardRig, reading: bool) -> tuple[list[int], int]:
    """When the steps of a bolus came, and how many lines the console has dropped."""
    rig.chip.console.reading = reading
    rig.press()
    rig.run(5)
    times_us = [t for t, _ in rig.pulses]
    rig.chip.console.reading = True
    begin = len(rig.said)
    rig.run(2.2)
    return times_us, _reports(rig, begin)[-1][4]
