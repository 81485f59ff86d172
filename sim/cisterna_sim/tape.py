"""Record all that crosses the core's ports, so that another interpreter can live through it again.

``record`` runs a scenario on the simulated rig. The tape (tape_ops.py) gets every call into the
core with its arguments and outcome, and in between every call that the core makes on its ports,
with its arguments and the answer. Beside the tape lie what the core did, as CPython's controller
did it: ``motor.log``, every event log entry in ``events.bin``, and what is stored in the end:
``ring.bin`` and each record.
"""

import binascii
import json
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from cisterna.base.settings import Limits
from cisterna.controller import Controller
from cisterna.orders import Orders
from cisterna.parts.program import Program
from cisterna.pump import Pump
from cisterna_sim import tape_ops as ops
from cisterna_sim.hal import SimHal
from cisterna_sim.rig import Rig
from cisterna_sim.scenario import Scenario
from cisterna_sim.stage import Stage
from cisterna_sim.store import DictStore, PowerCut

TAPE, MOTOR, EVENTS, RING = "tape.bin", "motor.log", "events.bin", "ring.bin"


class Tape:
    """Entries, kept until they are saved; what the core did, beside them."""

    def __init__(self) -> None:
        self._out = BytesIO()
        self.motor: list[str] = []
        self.events: list[bytes] = []
        self.now_us = 0
        self._depth = 0

    def _int(self, value: int) -> None:
        value = value << 1 if value >= 0 else (-value << 1) - 1
        while value > 127:
            self._out.write(bytes((value & 127 | 128,)))
            value >>= 7
        self._out.write(bytes((value,)))

    def put(self, op: int, *fields: int | str | bytes | None) -> None:
        """Add an entry; its fields are those of its row in OPS."""
        self._out.write(bytes((op,)))
        _, arguments, answer = ops.OPS[op]
        for kind, value in zip(arguments + answer, fields, strict=True):
            if kind == "o":
                self._out.write(bytes((value is not None,)))
            if isinstance(value, str | bytes):
                data = value.encode() if isinstance(value, str) else value
                self._int(len(data))
                self._out.write(data)
            elif value is not None:
                self._int(value)

    def call(self, op: int, fields: tuple[Any, ...], core: Callable[[], Any]) -> Any:
        """Call the core with ``core()``, taped from the entry to its outcome.

        What it raises comes through. A call that the core makes of itself is no entry.
        """
        if self._depth:
            return core()
        self._depth = 1
        self.put(op, *fields)
        try:
            outcome = core()
        except Exception as error:
            self.put(ops.RAISED, f"{type(error).__name__}: {error}")
            raise
        finally:
            self._depth = 0
        self.put(ops.RETURNED, None if outcome is None or op == ops.BOOT else int(outcome))
        return outcome

    def moved(self, text: str) -> None:
        """Note what the motor was told."""
        self.motor.append(f"{self.now_us} {text}\n")

    def save(self, folder: Path, store: DictStore) -> None:
        """Write the tape, and beside it what the core did."""
        self.put(ops.END)
        (folder / TAPE).write_bytes(self._out.getvalue())
        (folder / MOTOR).write_text("".join(self.motor))
        (folder / EVENTS).write_bytes(b"".join(self.events))
        (folder / RING).write_bytes(b"".join(store.entries()))
        for name, data in store.records.items():
            (folder / name).write_bytes(data)


class _Stepper:
    def __init__(self, hal: SimHal, tape: Tape) -> None:
        self._stepper, self._tape = hal.stepper, tape

    def burst(self, steps: int, interval_us: int) -> None:
        self._tape.put(ops.BURST, steps, interval_us)
        self._tape.moved(f"burst {steps} {interval_us}")
        self._stepper.burst(steps, interval_us)

    def abort(self) -> None:
        self._tape.put(ops.ABORT)
        self._tape.moved("abort")
        self._stepper.abort()

    def emitted(self) -> int:
        emitted = self._stepper.emitted()
        self._tape.put(ops.EMITTED, emitted)
        return emitted

    def busy(self) -> bool:
        busy = self._stepper.busy()
        self._tape.put(ops.BUSY, busy)
        return busy

    def enable(self, on: bool) -> None:
        self._tape.put(ops.ENABLE, on)
        self._tape.moved(f"enable {int(on)}")
        self._stepper.enable(on)


class _Probe:
    """Whatever is read by a call without arguments, under each port's name for that."""

    def __init__(self, tape: Tape, op: int, read: Callable[[], Any]) -> None:
        def taped() -> Any:
            value = read()
            tape.put(op, value)
            return value

        self.read = self.count = self.position = self.pressed = taped


class _Signal:
    def __init__(self, hal: SimHal, tape: Tape) -> None:
        self._signal, self._tape = hal.signal, tape

    def show(self, priority: int, audible: bool) -> None:
        self._tape.put(ops.SHOW, priority, audible)
        self._signal.show(priority, audible)


class _Store:
    def __init__(self, hal: SimHal, tape: Tape) -> None:
        self._store, self._tape = hal.store, tape

    def read(self, name: str) -> bytes | None:
        data = self._store.read(name)
        self._tape.put(ops.READ, name, -1 if data is None else binascii.crc32(data))
        return data

    def write(self, name: str, data: bytes) -> None:
        self._cuttable(ops.WRITE, (name, data), lambda: self._store.write(name, data))

    def append(self, entry: bytes) -> None:
        self._cuttable(ops.APPEND, (entry,), lambda: self._store.append(entry))
        self._tape.events.append(entry)

    def _cuttable(self, op: int, fields: tuple[str | bytes, ...], act: Callable[[], None]) -> None:
        try:
            act()
        except PowerCut:
            self._tape.put(op, *fields, 1)
            raise
        self._tape.put(op, *fields, 0)

    def entries(self, skip: int = 0) -> Iterator[bytes]:
        kept = list(self._store.entries())
        self._tape.put(ops.ENTRIES, len(kept), binascii.crc32(b"".join(kept)))
        return iter(kept[skip:])


class _Hal:
    """A SimHal whose every call is taped."""

    def __init__(self, hal: SimHal, tape: Tape) -> None:
        self.stepper = _Stepper(hal, tape)
        self.counter = _Probe(tape, ops.COUNT, hal.counter.count)
        self.encoder = _Probe(tape, ops.POSITION, hal.encoder.position) if hal.encoder else None
        self.pressure = _Probe(tape, ops.PRESSURE, hal.pressure.read)
        self.level = _Probe(tape, ops.LEVEL, hal.level.read) if hal.level else None
        self.supply = _Probe(tape, ops.SUPPLY, hal.supply.read)
        self.button = _Probe(tape, ops.PRESSED, hal.button.pressed)
        self.signal = _Signal(hal, tape)
        self.store = _Store(hal, tape)


def _json(value: object) -> object:
    """An order's argument as JSON can hold it: settings and programs as their packed bytes."""
    if isinstance(value, Program | Limits):
        return {type(value).__name__: value.pack().hex()}
    return value


class _Orders(Orders):
    """Orders, every one of which is taped; what they ask themselves is not."""

    def __init__(self, controller: Controller, tape: Tape) -> None:
        super().__init__(controller)
        self._tape = tape

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith(("_", "check_")):
            return found

        def taped(now_us: int, *arguments: Any) -> Any:
            tape = self._tape
            tape.now_us = now_us
            fields = (name, json.dumps([now_us, *map(_json, arguments)]))
            return tape.call(ops.ORDER, fields, lambda: found(now_us, *arguments))

        return taped


class _Controller(Controller):
    """A controller whose ticks are taped, once it has a tape."""

    tape: Tape

    def tick(self, now_us: int) -> int:
        tape = self.tape
        tape.now_us = now_us
        tick = super().tick
        due_us: int = tape.call(ops.TICK, (now_us,), lambda: tick(now_us))
        return due_us


class TapedRig(Rig):
    """A rig that tapes the core, over every boot of the board, on ``tape``."""

    def __init__(self, *arguments: Any, tape: Tape, **keywords: Any) -> None:
        self.tape = tape
        super().__init__(*arguments, **keywords)

    def boot(self, cause: int) -> None:
        """Make the firmware of this boot, taped."""
        tape, hal = self.tape, self.hal
        fields = (
            cause,
            hal.encoder is not None,
            hal.level is not None,
            self.calibration.pack(),
        )

        def boot() -> _Controller:
            pump = Pump(_Hal(hal, tape), self.calibration)
            self.wake(pump)
            tape.now_us = pump.now_us
            return _Controller(pump, cause)

        controller: _Controller = tape.call(ops.BOOT, fields, boot)
        controller.tape = tape
        sampler = self.pump.sampler
        look = sampler.look
        vars(sampler)["look"] = lambda: tape.call(ops.LOOK, (), look)
        self.controller, self.orders = controller, _Orders(controller, tape)


def record(scenario: Scenario, folder: Path) -> Tape:
    """Run a scenario and leave its tape, and what the core did, in ``folder``."""
    tape = Tape()
    stage = Stage(scenario, rig_type=partial(TapedRig, tape=tape))
    stage.run(lambda fraction: None)
    tape.save(folder, stage.rig.store)
    return tape
