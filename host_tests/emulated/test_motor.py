"""Rung 3, and 4 for the first test: the motor's pulses, their count, and the hardware cut (F12).

With PORT=... the first runs on a bench Pico instead, flashed by `make flash` beforehand.
Figures are printed: make test ARGS='host_tests/emulated/test_motor.py -n 0 -rP'.
"""

import pytest
from rp2040py.gpio_pin import GPIOPinState

from cisterna.base import faults
from cisterna_sim.pio.board import PioBoard
from host_tests.kit.boards import FREE_BYTES, EmulatedBoard, execute, in_a_copy, standing, wait_for

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
    assert faults.MOTOR_STALL not in standing(rig)
    rig.press()
    rig.run_until(lambda: rig.wiring.lamps >> 2, 10)
    rig.run(0.5)
    print(f"alarm after {len(rig.pulses)} pulses")
    assert faults.MOTOR_STALL in standing(rig)
    assert 3 <= len(rig.pulses) <= 6
