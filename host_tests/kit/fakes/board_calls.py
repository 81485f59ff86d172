"""Checks of the ESP32's other ports against the fakes; ``board_calls.py <paths> <check>``."""

import sys

sys.path[:0] = sys.argv[1].split(":")

import esp32  # noqa: E402
import esp32_devkit  # noqa: E402
import fake_clock  # noqa: E402
import machine  # noqa: E402
from machine import Pin  # noqa: E402

from cisterna.parts.board import Board  # noqa: E402
from hal import common  # noqa: E402
from hal.esp32 import ports as hal  # noqa: E402
from hal.esp32 import rmt_stepper  # noqa: E402

clock, line = fake_clock.clock, esp32.line
rmt_stepper.time = clock


def same(found, wanted):
    if found != wanted:
        raise AssertionError(f"found {found}, not {wanted}")


def pcnt():
    """Every pulse that the line sees, over the hardware's wrap at 32,000."""
    counter = hal.PcntCounter(14)
    same(clock.taken(), [("pin", 14, Pin.IN, None), ("pcnt", 0, 14, 1, -32_000, 32_000)])
    same(counter.count(), 0)
    total = 0
    for pulses in (1, 16, 31_999, 31_999, 0, 5):
        line.edges.extend([0] * pulses)
        total += pulses
        same(counter.count(), total)


def machine_counter():
    """machine.Counter, which counts on beyond the hardware's wrap, is taken where there is one."""

    class Counter:
        def __init__(self, number, source):
            clock.note("counter", number, source.number)

        def value(self):
            return seen

    machine.Counter = Counter
    seen = 7
    counter = hal.PcntCounter(14)
    same(clock.taken()[1:], [("counter", 0, 14)])
    for seen in (7, 31_990, 32_010, 64_001):
        same(counter.count(), seen - 7)


def no_counter():
    kept = esp32.PCNT
    del esp32.PCNT
    try:
        hal.PcntCounter(14)
    except RuntimeError as error:
        same(str(error).split(": ")[-1], "install 1.26 or later")
    else:
        raise AssertionError("taken without a counter")
    assert kept


def analog():
    sensor = hal.AnalogIn(34)
    for conversions, raw in (
        ((660_000, 661_000, 3_100_000, 0, 662_000), 661 * 65_535 // 3_300),
        ((0, 0, 0, 0, 0), 0),
        ((3_300_000,) * 5, 65_535),
        ((3_400_000,) * 5, 65_535),
    ):
        machine.conversions.extend(conversions)
        same(sensor.read(), raw)
        same(machine.conversions, [])


def reason():
    same(hal.take_reason(), 0)
    hal.give_reason(2)
    same(hal.take_reason(), 2)
    same(hal.take_reason(), 0)
    for rest in (b"", b"x", b"somebody's", b"cisterna ", b"cisterna 12"):
        machine.RTC.kept = rest
        same(hal.take_reason(), 0)
    assert hal.watchdog_reset()


def whole():
    """The motor is off before anything else is touched, and after close."""
    common.FilesStore = lambda folder: clock.note("store", folder)
    board = hal.board_hal(Board(esp32_devkit))
    calls = clock.taken()
    same(calls[0], ("pin", 27, Pin.OUT, 1))
    assert ("i2c", 0, 22, 21, 400_000, 5_000) in calls
    assert ("pwm", 18, 440, 0) in calls
    assert ("store", "/state") in calls
    assert not board.service()
    machine.levels[33] = 0
    assert board.service()
    same(board.encoder.position(), None)
    board.feed()
    same(clock.taken(), [])
    board.start_watchdog(5_000)
    board.feed()
    same(clock.taken(), [("wdt", 5_000), ("fed",)])
    board.signal.show(3, True)
    board.signal.step(0)
    same(clock.taken()[0], ("duty", 32_768))
    board.stepper.enable(True)
    board.stepper.burst(16, 5_000)
    clock.advance(7_000)
    board.close()
    same((board.stepper.emitted(), len(line.edges)), (2, 2))
    assert ("level", 27, 1) in clock.calls
    assert ("duty", 0) in clock.calls
    same(clock.taken()[-3:], [("level", 4, 0), ("level", 23, 0), ("level", 19, 0)])


check = sys.argv[2]
globals()[check]()
print("passed", check)
