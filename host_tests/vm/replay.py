"""Let the core live through a tape (cisterna_sim/tape.py) on MicroPython.

    micropython replay.py <folder of the tape> <folder for what the core did> [KIND]

The same inputs must bring the same calls with the same arguments; the first that differs is
reported with its place. The store is real: KIND is dict, a dictionary; measured, the
same with the heap measured at every call, which is slow; or files, on a LittleFS in RAM.
"""

import binascii
import gc
import json
import sys

from cisterna.base.compat import TYPE_CHECKING
from cisterna.base.settings import Calibration, Limits
from cisterna.controller import Controller
from cisterna.orders import Orders
from cisterna.parts.program import Program
from cisterna.pump import Pump
from cisterna_sim import tape_ops as ops
from host_tests.vm.facts import mem_alloc, print_exception, tell, ticks_diff, ticks_ms
from host_tests.vm.reel import Diverged, Tape, text

if TYPE_CHECKING:
    from typing import Any

_PACKED = {"Limits": Limits.unpack, "Program": Program.unpack}


class PowerCut(Exception):
    """The tape's rig lost its power in a write."""


class Stepper:
    def __init__(self, tape, log):
        self._tape, self._log = tape, log

    def burst(self, steps, interval_us):
        self._log.moved(f"burst {steps} {interval_us}")
        self._tape.ask(ops.BURST, steps, interval_us)

    def abort(self):
        self._log.moved("abort")
        self._tape.ask(ops.ABORT)

    def emitted(self):
        return self._tape.ask(ops.EMITTED)

    def busy(self):
        return bool(self._tape.ask(ops.BUSY))

    def enable(self, on):
        self._log.moved(f"enable {int(on)}")
        self._tape.ask(ops.ENABLE, int(on))


class Probe:
    def __init__(self, tape, op):
        self._tape, self._op = tape, op

    def read(self):
        return self._tape.ask(self._op)

    count = position = read

    def pressed(self):
        return bool(self.read())


class Signal:
    def __init__(self, tape):
        self._tape = tape

    def show(self, priority, audible):
        self._tape.ask(ops.SHOW, priority, int(audible))


class Store:
    """A real store whose use is checked against the tape."""

    def __init__(self, tape, log, kept):
        self._tape, self._log, self.kept = tape, log, kept

    def read(self, name):
        data = self.kept.read(name)
        crc = -1 if data is None else binascii.crc32(data)
        expected = self._tape.ask(ops.READ, name.encode())
        if crc != expected:
            self._tape.fail(f"read CRC {expected}", f"CRC {crc}: {data}")
        return data

    def write(self, name, data):
        cut = self._tape.ask(ops.WRITE, name.encode(), data)
        self.kept.write(name, data[: len(data) // 2] if cut else data)
        if cut:
            raise PowerCut(name)

    def append(self, entry):
        cut = self._tape.ask(ops.APPEND, entry)
        self.kept.append(entry[: len(entry) // 2] if cut else entry)
        if cut:
            raise PowerCut("event")
        self._log.events.write(entry)

    def entries(self, skip=0):
        crc = count = 0
        for entry in self.kept.entries():
            crc, count = binascii.crc32(entry, crc), count + 1
        expected = self._tape.ask(ops.ENTRIES)
        if [count, crc] != expected:
            self._tape.fail(f"read entries {expected}", str([count, crc]))
        return self.kept.entries(skip)


class DictStore:
    def __init__(self):
        self._records, self._ring = {}, []

    def read(self, name):
        return self._records.get(name)

    def write(self, name, data):
        self._records[name] = data

    def append(self, entry):
        self._ring.append(entry)

    def entries(self, skip=0):
        return iter(self._ring[skip:])


class Hal:
    def __init__(self, tape, log, kept, encoder, level):
        self.stepper = Stepper(tape, log)
        self.counter = Probe(tape, ops.COUNT)
        self.encoder = Probe(tape, ops.POSITION) if encoder else None
        self.pressure = Probe(tape, ops.PRESSURE)
        self.level = Probe(tape, ops.LEVEL) if level else None
        self.supply = Probe(tape, ops.SUPPLY)
        self.button = Probe(tape, ops.PRESSED)
        self.signal = Signal(tape)
        self.store = Store(tape, log, kept)


class Log:
    """What the core did, as it does it."""

    def __init__(self, folder):
        self.events = open(folder + "/events.bin", "wb")  # noqa: SIM115 - closed at the end
        self._motor = open(folder + "/motor.log", "w")  # noqa: SIM115
        self.now_us = 0

    def moved(self, text):
        self._motor.write(f"{self.now_us} {text}\n")

    def close(self):
        self.events.close()
        self._motor.close()


class Replay:
    """The core's lives on one tape; ``measures``: how much heap each call needs, which is slow."""

    def __init__(self, tape, log, kept, measures):
        self._tape, self._log, self._kept = tape, log, kept
        self._measures = measures
        self._controller: Any = None
        self._orders: Any = None
        # Heap in use: after a call, garbage of that call with it; the most that a tick adds.
        self.peak = self.tick_peak = 0
        self.ticks = 0

    def _boot(self, cause, encoder, level, calibration):
        self._controller = self._orders = None
        hal = Hal(self._tape, self._log, self._kept, encoder, level)
        board = Calibration.unpack(calibration)
        assert isinstance(board, Calibration)
        pump = Pump(hal, board)
        self._log.now_us = pump.now_us
        self._controller = Controller(pump, cause)
        self._orders = Orders(self._controller)

    def _tick(self, now_us):
        self._log.now_us = now_us
        self.ticks += 1
        return self._controller.tick(now_us)

    def _look(self):
        return int(self._controller.pump.sampler.look())

    def _order(self, name, arguments):
        arguments = json.loads(arguments)
        for place, value in enumerate(arguments):
            if isinstance(value, dict):
                for kind, packed in value.items():
                    arguments[place] = _PACKED[kind](binascii.unhexlify(packed))
        self._log.now_us = arguments[0]
        return getattr(self._orders, name.decode())(*arguments)

    def _in_use(self, collected=False):
        if not self._measures:
            return 0
        if collected:
            gc.collect()
        return mem_alloc()

    def run(self):
        tape = self._tape
        calls: dict = {
            ops.BOOT: self._boot,
            ops.TICK: self._tick,
            ops.LOOK: self._look,
            ops.ORDER: self._order,
        }
        op, fields = tape.next()
        while op != ops.END:
            tape.within = text(op, fields)
            before = self._in_use(True)
            try:
                outcome = ops.RETURNED, calls[op](*fields)
            except Exception as error:
                outcome = ops.RAISED, f"{type(error).__name__}: {error}".encode()
                self._trace = error
            used = self._in_use()
            self.peak = max(self.peak, used)
            if op == ops.TICK:
                self.tick_peak = max(self.tick_peak, used - before)
            found, expected = tape.next()
            if (found, expected) != (outcome[0], [outcome[1]]):
                if outcome[0] == ops.RAISED:
                    print_exception(self._trace)
                tape.fail(text(found, expected), text(outcome[0], outcome[1:]))
            op, fields = tape.next()


def _lfs_store():
    from hal.files import FilesStore
    from host_tests.vm.flash import mounted

    flash = mounted("/lfs", 352)
    return flash, FilesStore("/lfs/state")


def main(source, target, kind="dict"):
    tape, log = Tape(source + "/tape.bin"), Log(target)
    flash, kept = _lfs_store() if kind == "files" else (None, DictStore())
    replay = Replay(tape, log, kept, kind == "measured")
    gc.collect()
    figures = {"loaded": mem_alloc()}
    begun = ticks_ms()
    try:
        replay.run()
    except Diverged as diverged:
        tell({"diverged": str(diverged)})
        return
    log.close()
    for name in ("state", "program", "limits", "calibration"):
        for slot in (".a", ".b"):
            data = kept.read(name + slot)
            if data is not None:
                with open(target + "/" + name + slot, "wb") as file:
                    file.write(data)
    with open(target + "/ring.bin", "wb") as file:
        for entry in kept.entries():
            file.write(entry)
    figures["peak"] = replay.peak
    figures["tick_peak"] = replay.tick_peak
    figures["ticks"] = replay.ticks
    figures["calls"] = tape.calls
    figures["ms"] = ticks_diff(ticks_ms(), begun)
    if flash:
        figures["erases"] = flash.summary()
    tell(figures)


main(*sys.argv[1:])
