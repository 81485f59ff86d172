"""The board's loop feeds the watchdog for what was done, not for times that lie ahead."""

import sys
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from cisterna.base import modes
from cisterna.parts.dosing import NEVER_US
from cisterna_sim.hal import SimHal
from host_tests.kit.bench import Bench

# Imported by name: what it imports of MicroPython is checked with the boards' files, not here. It
# calls the interpreter's own module in main alone.
with pytest.MonkeyPatch.context() as patch:
    patch.setitem(sys.modules, "micropython", ModuleType("micropython"))
    loop_module: Any = import_module("hal.loop")

FEEDING_ENDS_US = 1_000_000
FAR_US = 1 << 50


class SilentConsole:
    """A console on which nobody types, and which nobody reads."""

    local = True
    held = dropped = 0

    def write(self, line: bytes) -> bool:
        """Dropped."""
        return False


class LivePump:
    """A pump that delivers on the simulated rig, run by the board's loop; notes each feeding."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, start: bool = True, dose: int = 1_000):
        bench = Bench(dose_ug_per_day=dose, concentration_ug_per_ml=500, start=start)
        rig = bench.rig
        if start:
            rig.run_for(5)
        rig.power_down()
        self.plant = plant = rig.plant
        plant.power(True)
        self.fed: list[int] = []
        self.hal = SimHal(plant, rig.store, rig.button, True, True)
        vars(self.hal).update(
            feed=lambda: self.fed.append(plant.now_us), entropy=bytes, serial=lambda: "TEST"
        )
        ticks = SimpleNamespace(ticks_us=lambda: plant.now_us & (1 << 30) - 1)
        monkeypatch.setattr(loop_module, "time", ticks)
        monkeypatch.setattr(loop_module.console, "on_stdio", SilentConsole)
        board = SimpleNamespace(calibration=rig.calibration, name="test")
        self.loop = loop_module.Loop(board, self.hal, 0)
        self.pump = self.loop.pump

    def run(self, seconds: float) -> None:
        """Let the loop run; a pass that need not wait takes 1 ms."""
        end_us = self.plant.now_us + round(seconds * 1e6)
        while self.plant.now_us < end_us:
            wake_us = self.plant.now_us + max(1, self.loop.step()) * 1_000
            stepper = self.hal.stepper
            while stepper.next_us <= wake_us:
                self.plant.advance(int(stepper.next_us))
                stepper.pulse()
            self.plant.advance(wake_us)

    def longest_hunger_us(self) -> int:
        """The longest time without being fed, up to now."""
        return max(after - before for before, after in pairwise([*self.fed, self.plant.now_us]))


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> LivePump:
    """A step each 3.9 s: 1 mg/day of 0.5 mg/mL."""
    made = LivePump(monkeypatch)
    made.run(20)
    assert made.pump.modes.mode == modes.BASAL
    return made


def never_looks(live: LivePump) -> None:
    live.pump.sampler.look = lambda: False


def look_put_off(live: LivePump) -> None:
    live.loop._look_us += FAR_US


def tick_put_off(live: LivePump) -> None:
    live.loop._due_us += FAR_US


def tick_stays_overdue(live: LivePump) -> None:
    overdue_us = live.loop._due_us = live.loop.clock.now_us()
    live.loop.controller.tick = lambda now_us: overdue_us


def due_time_of_a_step_does_not_advance(live: LivePump) -> None:
    live.pump.dosing.take = lambda now_us: 0


def step_put_off(live: LivePump) -> None:
    live.pump.dosing.due_us += FAR_US


def flow_in_a_mode_without(live: LivePump) -> None:
    live.pump.modes.mode = modes.STOPPED


def no_flow_in_a_mode_with(live: LivePump) -> None:
    live.pump.dosing.halt(live.pump.now_us)


STEP_MISSED = (due_time_of_a_step_does_not_advance, step_put_off)
FAILURES = (
    *STEP_MISSED,
    never_looks,
    look_put_off,
    tick_put_off,
    tick_stays_overdue,
    flow_in_a_mode_without,
    no_flow_in_a_mode_with,
)


@pytest.mark.req("F11")
@pytest.mark.parametrize("fail", FAILURES, ids=lambda fail: fail.__name__)
def test_feeding_ends_within_1_s_of_what_was_not_done(
    live: LivePump, fail: Callable[[LivePump], None]
) -> None:
    """The loop goes on living. A step that does not come is missed from when it was due."""
    now_us, pump = live.plant.now_us, live.pump
    step_us = now_us + pump.dosing.due_us - live.loop.clock.now_us()
    assert now_us < step_us < now_us + 4_000_000
    fail(live)
    live.run(10)
    missed_us = step_us if fail in STEP_MISSED else now_us
    assert live.fed[-1] - missed_us <= FEEDING_ENDS_US


@pytest.mark.req("F11")
@pytest.mark.parametrize("dose", [100, 1_000], ids=lambda dose: f"{dose} ug/day")
def test_a_pump_that_delivers_is_fed_four_times_a_second(
    monkeypatch: pytest.MonkeyPatch, dose: int
) -> None:
    live = LivePump(monkeypatch, dose=dose)
    live.run(400)
    assert live.pump.modes.mode == modes.BASAL
    assert live.plant.pulses > 5
    assert live.longest_hunger_us() <= 260_000


@pytest.mark.req("F11")
@pytest.mark.parametrize("state", ["unconfigured", "stopped", "suspended"])
def test_a_pump_at_rest_is_fed_for_hours(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    live = LivePump(monkeypatch, start=state != "unconfigured")
    live.run(5)
    if state == "unconfigured":
        assert live.pump.modes.mode == modes.UNCONFIGURED
        assert live.loop._due_us > NEVER_US >> 1
    elif state == "stopped":
        live.loop.orders.stop(live.loop.clock.now_us())
        live.loop._due_us = live.loop.clock.now_us()
    else:
        live.loop.orders.suspend(live.loop.clock.now_us())
        live.loop._due_us = live.loop.clock.now_us()
    live.run(4_000)
    assert live.longest_hunger_us() <= 260_000


def test_a_loop_that_was_held_up_is_fed_again_once_it_has_caught_up(live: LivePump) -> None:
    live.plant.advance(live.plant.now_us + 3_000_000)
    fed = len(live.fed)
    live.run(0.1)
    assert len(live.fed) > fed
