"""What hours of steady dosing do to the heap.

    micropython steady.py <dose in ug/day> [dict | files]

Prints heap in use after a collection, before the first hour and after each; what looks and ticks
allocate without one; how many there were. Ports are plain arithmetic that allocates nothing by
itself, but for the store, which keeps what it is given.
"""

import gc
import sys

from cisterna.base import modes
from cisterna.base.settings import Limits
from cisterna.controller import Controller
from cisterna.orders import Orders
from cisterna.parts.program import continuous
from cisterna.parts.sampler import PERIOD_US
from cisterna.pump import Pump
from cisterna_sim.rig_board import default_calibration
from hal.files import FilesStore
from host_tests.vm.facts import mem_alloc, tell
from host_tests.vm.flash import mounted

_ALL = (1 << 24) - 1
_HOUR_US = 3_600_000_000
_WARM_US = 2 * _HOUR_US
_HOURS = 3
# To ask how full the heap is takes longer than a look: one of so many is measured.
_EVERY = 32
_FILL_NL = 18_000_000


class Motor:
    """Stepper, counter and encoder of a rig on which nothing goes wrong."""

    def __init__(self):
        self._emitted = 0

    def burst(self, steps, interval_us):
        self._emitted += steps

    def abort(self):
        pass

    def emitted(self):
        return self._emitted

    count = position = emitted

    def busy(self):
        return False

    def enable(self, on):
        pass


class Reading:
    """A sensor with noise, by a generator that stays within small integers."""

    def __init__(self, raw):
        self.raw = raw
        self._noise = raw

    def read(self):
        self._noise = (self._noise * 75 + 74) % 65_537
        return self.raw + (self._noise & 15)


class Level(Reading):
    def __init__(self, motor, calibration):
        super().__init__(0)
        self._motor, self._calibration = motor, calibration

    def read(self):
        calibration = self._calibration
        left_nl = _FILL_NL - calibration.volume_nl(self._motor.emitted())
        self.raw = calibration.level_raw(left_nl)
        return super().read()


class Button:
    def pressed(self):
        return False


class Signal:
    def show(self, priority, audible):
        pass


class DictStore:
    def __init__(self):
        self._records = {}
        self.events = 0

    def read(self, name):
        return self._records.get(name)

    def write(self, name, data):
        self._records[name] = data

    def append(self, entry):
        self.events += 1

    def entries(self, skip=0):
        return iter(())


class Hal:
    def __init__(self, calibration, store):
        self.stepper = self.counter = self.encoder = Motor()
        self.pressure = Reading(calibration.pressure_raw(2_000))
        self.supply = Reading(5_000 * calibration.supply_raw_per_mv)
        self.level = Level(self.stepper, calibration)
        self.button, self.signal, self.store = Button(), Signal(), store


class Run:
    """Ticks when due, looks at 4 Hz; how many, and how many bytes they have allocated.

    Garbage is collected after each tick alone: the clock here makes some with every look.
    """

    def __init__(self, controller):
        self.controller = controller
        self.now_us = self.due_us = self.look_us = 0
        self.reset()

    def reset(self):
        self.looks = self.ticks = self.saves = 0
        self.look_sum = self.tick_sum = self.tick_most = self.save_most = 0

    def until(self, end_us):
        pump, tick = self.controller.pump, self.controller.tick
        ledger, look = pump.ledger, pump.sampler.look
        while self.now_us < end_us:
            self.now_us = now_us = min(self.due_us, self.look_us)
            if now_us >= self.look_us:
                self.look_us += PERIOD_US
                if self.looks % _EVERY:
                    attention = look()
                else:
                    before = mem_alloc()
                    attention = look()
                    self.look_sum += mem_alloc() - before
                if attention:
                    self.due_us = now_us
                self.looks += 1
            if now_us >= self.due_us:
                charged = ledger.charged
                before = mem_alloc()
                self.due_us = tick(now_us)
                used = mem_alloc() - before
                self.ticks += 1
                self.tick_sum += used
                if ledger.charged != charged:
                    self.saves += 1
                    self.save_most = max(self.save_most, used)
                else:
                    self.tick_most = max(self.tick_most, used)
                gc.collect()


def main(dose_ug, kind="dict"):
    calibration = default_calibration()
    if kind == "files":
        mounted("/lfs", 64)
    store = FilesStore("/lfs/state") if kind == "files" else DictStore()
    hal = Hal(calibration, store)
    pump = Pump(hal, calibration)
    controller = Controller(pump)
    orders, run = Orders(controller), Run(controller)
    run.until(3_000_000)
    orders.set_limits(run.now_us, Limits({"max_daily_dose_ng": 5_000_000}))
    orders.refill(run.now_us, _FILL_NL, 2000)
    orders.set_program(run.now_us, continuous(2000, int(dose_ug) * 1000))
    orders.acknowledge(run.now_us, _ALL)
    orders.start(run.now_us)
    run.due_us = run.now_us
    # The first hours fill what is filled once: bookkeeping of the day, the store's slots.
    run.until(_WARM_US)
    gc.disable()
    run.reset()
    gc.collect()
    steps, held = hal.stepper.emitted(), [0] * (_HOURS + 1)
    held[0] = mem_alloc()
    for hour in range(1, _HOURS + 1):
        run.until(_WARM_US + hour * _HOUR_US)
        gc.collect()
        held[hour] = mem_alloc()
    tell(
        {
            "mode": modes.MODE_NAMES[pump.modes.mode],
            "alarms": pump.alarms.present,
            "steps": hal.stepper.emitted() - steps,
            "looks": run.looks,
            "ticks": run.ticks,
            "saves": run.saves,
            "hours": _HOURS,
            "held": held,
            "look_sum": run.look_sum,
            "tick_sum": run.tick_sum,
            "tick_most": run.tick_most,
            "save_most": run.save_most,
        }
    )


main(*sys.argv[1:])
