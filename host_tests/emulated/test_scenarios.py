"""Rung 3: around an event of a standard scenario an emulated board does what CPython does.

Both pumps are switched on from the same memory, shortly before; a whole day would take the
emulator an hour.

Figures are printed: make test LONG=1 ARGS='host_tests/emulated/test_scenarios.py -n 0 -rP'.
"""

from copy import deepcopy
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cisterna.base.journal import decode_entry
from cisterna.base.units import US_PER_S
from cisterna.events import describe
from cisterna_sim import scenario
from cisterna_sim.emulated import board_rig, flash
from cisterna_sim.emulated.board_rig import BoardRig
from cisterna_sim.emulated.prepare import as_files
from cisterna_sim.rig import Rig
from cisterna_sim.stage import ACTIONS, Stage

BEFORE_S = 30
HOUR_S = 3_600

Log = list[tuple[str, str]]


def _log(entries: list[bytes]) -> Log:
    return [describe(*decode_entry(entry)[2:]) for entry in entries]


def _act(rig: BoardRig, event: scenario.events.Event) -> None:
    """Let an event of a scenario happen on an emulated rig."""
    hands = SimpleNamespace(plant=rig.plant, press=lambda seconds: rig.wiring.press(seconds > 0))
    ACTIONS[event.do](cast(Any, SimpleNamespace(rig=hands)), event)


def _on_cpython(rig: Rig, end_us: int) -> tuple[Log, int]:
    before, pulses = len(list(rig.store.entries())), rig.plant.pulses
    rig.power_up(0)
    rig.run_until(end_us)
    return _log(list(rig.store.entries())[before:]), rig.plant.pulses - pulses


@pytest.mark.parametrize(
    ("name", "at_s", "for_s", "said"),
    [
        ("stuck-button", 10 * HOUR_S, 60, "BUTTON_STUCK"),
        pytest.param(
            "dead-pressure-sensor", 10 * HOUR_S, 60, "PRESSURE_SENSOR", marks=pytest.mark.long
        ),
        pytest.param("motor-stall", 8 * HOUR_S, 360, "MOTOR_STALL", marks=pytest.mark.long),
    ],
)
def test_events_and_steps_equal_those_of_cpython(image, name, at_s, for_s, said):
    played = scenario.load(name)
    stage = Stage(played)
    rig = stage.rig
    rig.run_until((at_s - BEFORE_S) * US_PER_S)
    rig.power_down()
    uf2, firmware = flash.pump()
    files = as_files(rig.store.records, list(rig.store.entries()))
    emulated = BoardRig(
        deepcopy(rig.plant),
        rig.config,
        flash.make(uf2, {**firmware, **files}),
        board_rig.board_data("pico"),
    )
    begun, pulses = len(emulated.events()), emulated.plant.pulses
    end_us = (at_s + for_s) * US_PER_S
    log, steps = _on_cpython(rig, end_us)
    assert said in [detail.split()[0] for _, detail in log if detail], log
    for event in played.events:
        if event.at_s is not None and at_s <= event.at_s < at_s + for_s:
            emulated.run((event.at_s * US_PER_S - emulated.now_us) / 1e6)
            _act(emulated, event)
    emulated.run((end_us - emulated.now_us) / 1e6)
    on_board = emulated.events()[begun:], emulated.plant.pulses - pulses
    print(f"{name}: {len(log)} events and {steps} steps in {BEFORE_S + for_s} s")
    assert on_board == (log, steps)
    assert not emulated.chip.resets
