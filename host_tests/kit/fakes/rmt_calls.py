"""Checks of the RMT stepper against the fakes; ``rmt_calls.py <paths, by colons> <check>``.

It runs on MicroPython and on CPython.
"""

import sys

sys.path[:0] = sys.argv[1].split(":")

import esp32  # noqa: E402
import fake_clock  # noqa: E402
from machine import Pin  # noqa: E402

from hal.esp32 import rmt_stepper  # noqa: E402

clock, line = fake_clock.clock, esp32.line
rmt_stepper.time = clock
STEP, DIR, ENABLE = 25, 26, 27


def stepper():
    made = rmt_stepper.RmtStepper(STEP, DIR, ENABLE)
    clock.taken()
    return made


def fresh():
    """Another one, after the one before has played out."""
    esp32.installed.clear()
    line.clear()
    return stepper()


def same(found, wanted):
    if found != wanted:
        raise AssertionError(f"found {found}, not {wanted}")


def gaps():
    """Times between the edges so far."""
    edges = line.edges
    return [edges[place] - edges[place - 1] for place in range(1, len(edges))]


def play_out(motor, step_us=100):
    """Until it is not busy; what it says must never go down, nor ahead of the line."""
    last = motor.emitted()
    for _ in range(1_000_000):
        clock.advance(step_us)
        now = motor.emitted()
        assert last <= now <= len(line.edges), (last, now, len(line.edges))
        last = now
        if not motor.busy():
            return
    raise AssertionError("busy for ever")


def made_safe():
    rmt_stepper.RmtStepper(STEP, DIR, ENABLE)
    same(
        clock.taken(),
        [
            ("pin", ENABLE, Pin.OUT, 1),
            ("pin", DIR, Pin.OUT, 0),
            ("pin", STEP, Pin.OUT, 0),
            ("rmt", 0, STEP, 80),
        ],
    )


def single_step():
    motor = stepper()
    motor.burst(1, 5_000)
    same(clock.taken(), [("level", DIR, 0), ("write", (10, 90), (1, 0))])
    assert motor.busy()
    same(motor.emitted(), 1)
    play_out(motor)
    same((motor.emitted(), len(line.edges)), (1, 1))
    same(clock.taken(), [])


def burst():
    motor = stepper()
    motor.burst(-16, 5_000)
    calls = clock.taken()
    same(calls[0], ("level", DIR, 1))
    same(calls[1][1], (10, 4_990) * 15 + (10, 90))
    same(calls[1][2], (1, 0) * 16)
    same(len(calls), 2)
    play_out(motor)
    same(motor.emitted(), 16)
    same(gaps(), [5_000] * 15)
    same(clock.taken(), [])


def long_interval():
    motor = stepper()
    motor.burst(2, 125_000)
    _, durations, levels = clock.taken()[1]
    same(levels, (1, 0, 0, 0, 0, 1, 0))
    same(sum(durations[:5]), 125_000)
    assert max(durations) <= 32_767
    play_out(motor, 1_000)
    same(line.edges[1] - line.edges[0], 125_000)
    same(motor.emitted(), 2)


def parts():
    motor = stepper()
    motor.burst(800, 312)
    same(clock.taken()[2], ("timer", 19))
    play_out(motor, 50)
    same((motor.emitted(), len(line.edges)), (800, 800))
    found = gaps()
    same(min(found), 312)
    same(len([gap for gap in found if gap > 312]), 13)
    assert max(found) < 312 + 3_000, max(found)


def timer_between():
    """The timer comes while a look or a reading is half done."""
    for look_us in (40, 400):
        clock.look_us = look_us
        for step_us in (7, 91):
            motor = fresh()
            motor.burst(800, 312)
            play_out(motor, step_us)
            same((motor.emitted(), len(line.edges)), (800, 800))


def parts_without_looks():
    """The timer alone hands over the parts: the loop sleeps for up to 250 ms."""
    motor = stepper()
    motor.burst(800, 312)
    clock.advance(300_000)
    assert not motor.busy()
    same((motor.emitted(), len(line.edges)), (800, 800))


def hung_processor():
    """No timer callback runs: only the part that the RMT holds is emitted."""
    motor = stepper()
    rmt_stepper.RmtStepper._on_timer, kept = lambda self, timer: None, motor._on_timer
    motor.burst(800, 312)
    clock.advance(10_000_000)
    assert kept
    same(len(line.edges), 60)


def abort_anywhere():
    """Wherever it comes: exact count, no pulse cut off, at most one step after the call."""
    for start_us, cut_us, interval_us, step_us in (
        (0, 25, 100, 7),
        (25, 10, 100, 7),
        (39, 1, 100, 7),
        (0, 25, 312, 13),
        (39, 1, 312, 13),
        (25, 10, 5_000, 331),
    ):
        esp32.RMT.start_us, Pin.cut_us = start_us, cut_us
        for wait_us in range(0, 15 * interval_us, step_us):
            motor = fresh()
            motor.burst(16, interval_us)
            clock.advance(wait_us)
            before, at_us = len(line.edges), clock.us
            motor.abort()
            same(motor.emitted(), len(line.edges))
            assert len(line.edges) - before <= 1
            assert clock.us - at_us < 200, clock.us - at_us
            same(line.runts, [])
            clock.advance(1_000_000)
            same(motor.emitted(), len(line.edges))
            assert not motor.busy()


def abort_calls():
    motor = stepper()
    motor.burst(16, 5_000)
    clock.advance(12_000)
    clock.taken()
    motor.abort()
    same(clock.taken(), [("irq off",), ("pin", STEP, Pin.OUT, 0), ("irq on",)])
    same((motor.emitted(), len(line.edges)), (3, 3))
    motor.abort()
    same(clock.taken(), [])
    # Busy until the rest has been played unseen, and only then is the pin given back.
    assert motor.busy()
    clock.advance(50_000)
    assert motor.busy()
    same(clock.taken(), [])
    clock.advance(20_000)
    assert not motor.busy()
    same(clock.taken(), [("deinit",), ("rmt", 0, STEP, 80)])
    motor.burst(4, 5_000)
    play_out(motor)
    same((motor.emitted(), len(line.edges)), (7, 7))


def abort_in_parts():
    for wait_us in (0, 18_600, 18_700, 18_800, 19_900, 20_100, 100_000, 249_000):
        motor = fresh()
        motor.burst(800, 312)
        clock.advance(wait_us)
        motor.abort()
        seen = len(line.edges)
        same(motor.emitted(), seen)
        clock.advance(400_000)
        assert not motor.busy()
        same((motor.emitted(), len(line.edges)), (seen, seen))


def slow_call():
    """A starting call that was held up makes the count at most one too high."""
    esp32.RMT.return_us = 900
    for wait_us in range(0, 3_000, 17):
        motor = fresh()
        motor.burst(16, 312)
        clock.advance(wait_us)
        at_us = clock.us
        motor.abort()
        assert clock.us - at_us < 600
        assert 0 <= motor.emitted() - len(line.edges) <= 3, (motor.emitted(), len(line.edges))
        clock.advance(100_000)


def refused():
    motor = stepper()
    for steps, interval_us in ((0, 5_000), (1, 99), (3, 1_000_001)):
        try:
            motor.burst(steps, interval_us)
        except ValueError:
            pass
        else:
            raise AssertionError(f"taken: {steps} {interval_us}")
    same(clock.taken(), [])
    motor.burst(3, 5_000)
    clock.taken()
    try:
        motor.burst(1, 5_000)
    except RuntimeError:
        pass
    else:
        raise AssertionError("taken while busy")
    same(clock.taken(), [])
    motor.enable(True)
    motor.enable(False)
    same(clock.taken(), [("level", ENABLE, 0), ("level", ENABLE, 1)])
    play_out(motor)
    same((motor.emitted(), len(line.edges)), (3, 3))


def never_looked_at():
    """The clock wraps while nobody looks."""
    motor = stepper()
    motor.burst(2, 5_000)
    clock.advance((1 << 30) + 3_000)
    motor.busy()
    clock.advance(10_000)
    assert not motor.busy()
    same(motor.emitted(), 2)


check = sys.argv[2]
globals()[check]()
print("passed", check)
