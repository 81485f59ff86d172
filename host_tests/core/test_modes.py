"""The mode is always one of the declared set; an event that is not allowed changes nothing.

``ALLOWED`` is written apart from the pump's own table, as what each mode must answer. "back" is
the resting mode that a passing one interrupted.
"""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.base import modes
from cisterna.base.modes import EVENT_NAMES, MODE_NAMES, RESTING, ModeError, ModeMachine
from host_tests.kit.bench import Bench

ALLOWED = {
    "OFF": {"POWER_ON": "SELFTEST"},
    "SELFTEST": {"SELFTEST_PASSED": "back", "FAULT": "HALTED"},
    "UNCONFIGURED": {"CONFIGURED": "IDLE", "FAULT": "UNCONFIGURED"},
    "IDLE": {"START": "BASAL", "BOLUS_START": "BOLUS", "FAULT": "IDLE"},
    "STOPPED": {"START": "BASAL", "BOLUS_START": "BOLUS", "FAULT": "STOPPED"},
    "BASAL": {
        "STOP": "STOPPED", "SUSPEND": "SUSPENDED", "BOLUS_START": "BOLUS", "OCCLUDED": "BACKOFF",
        "FAULT": "HALTED",
    },
    "BOLUS": {
        "BOLUS_END": "back", "STOP": "STOPPED", "SUSPEND": "SUSPENDED", "OCCLUDED": "BACKOFF",
        "FAULT": "HALTED",
    },
    "SUSPENDED": {"RESUME": "back", "STOP": "STOPPED", "FAULT": "HALTED"},
    "BACKOFF": {"BACKED_OFF": "HALTED", "FAULT": "HALTED"},
    "HALTED": {"RESUME": "back", "RESTART": "back", "STOP": "STOPPED"},
}  # fmt: skip
RESTING_NAMES = ("UNCONFIGURED", "IDLE", "STOPPED", "BASAL")


def _machine(mode: int, resting: int) -> ModeMachine:
    machine = ModeMachine(resting)
    machine.mode = mode
    return machine


@pytest.mark.req("D07")
def test_the_declared_sets_are_these():
    assert set(MODE_NAMES) == set(ALLOWED)
    assert tuple(MODE_NAMES[mode] for mode in RESTING) == RESTING_NAMES
    assert {event for answers in ALLOWED.values() for event in answers} == set(EVENT_NAMES)
    assert [getattr(modes, name) for name in MODE_NAMES] == list(range(len(MODE_NAMES)))
    assert [getattr(modes, name) for name in EVENT_NAMES] == list(range(len(EVENT_NAMES)))


@pytest.mark.req("D07")
@pytest.mark.parametrize(
    ("mode", "event", "resting"), list(product(ALLOWED, EVENT_NAMES, RESTING_NAMES))
)
def test_every_mode_answers_every_event_by_the_table_or_raises_and_changes_nothing(
    mode, event, resting
):
    at, named, rest = MODE_NAMES.index(mode), EVENT_NAMES.index(event), getattr(modes, resting)
    machine = _machine(at, rest)
    target = ALLOWED[mode].get(event)
    assert machine.allows(named) == (target is not None)
    if target is None:
        with pytest.raises(ModeError, match=f"^{event} is not possible in mode {mode}$"):
            machine.handle(named)
        assert vars(machine) == {"mode": at, "resting": rest}
        return
    after = resting if target == "back" else target
    assert machine.handle(named) == machine.mode == MODE_NAMES.index(after)
    told = after in RESTING_NAMES and target != "back"
    assert MODE_NAMES[machine.resting] == (after if told else resting)


@pytest.mark.req("D07")
@given(st.sampled_from(RESTING), st.lists(st.integers(0, len(EVENT_NAMES) - 1)))
def test_the_mode_is_always_one_of_the_declared_set(resting, happened):
    machine = ModeMachine(resting)
    for event in happened:
        before = dict(vars(machine))
        try:
            machine.handle(event)
        except ModeError:
            assert vars(machine) == before
        assert machine.mode in range(len(MODE_NAMES))
        assert machine.resting in RESTING


@pytest.mark.req("D07")
@given(st.lists(st.integers(0, len(EVENT_NAMES) - 1), max_size=30))
def test_a_delivering_pump_rests_in_basal_until_it_is_told_to_stop(happened):
    machine = _machine(modes.BASAL, modes.BASAL)
    for event in happened:
        if event != modes.STOP and machine.allows(event):
            machine.handle(event)
        assert machine.resting == modes.BASAL


@pytest.mark.req("D07")
@pytest.mark.parametrize("mode", sorted(set(range(len(MODE_NAMES))) - set(RESTING)))
def test_a_pump_cannot_rest_in_a_passing_mode(mode):
    with pytest.raises(ModeError, match=f"{MODE_NAMES[mode]} is not a resting mode"):
        ModeMachine(mode)


@pytest.mark.req("D07")
@pytest.mark.parametrize("event", [len(EVENT_NAMES), -1, -len(EVENT_NAMES), 255, 1 << 40])
def test_an_event_that_does_not_exist_raises_and_changes_nothing(event):
    machine = _machine(modes.HALTED, modes.BASAL)
    assert not machine.allows(event)
    with pytest.raises(ModeError):
        machine.handle(event)
    assert vars(machine) == {"mode": modes.HALTED, "resting": modes.BASAL}


@pytest.mark.req("D07")
def test_an_event_that_is_not_allowed_leaves_the_running_pump_as_it_was():
    bench = Bench()
    bench.run(60)
    pump = bench.pump
    for event, name in enumerate(EVENT_NAMES):
        if name in ALLOWED["BASAL"]:
            continue
        log, before = len(bench.log), _facts(pump)
        with pytest.raises(ModeError):
            pump.set_mode(event)
        assert _facts(pump) == before
        assert len(bench.log) == log


def _facts(pump: Any) -> tuple:
    return (
        pump.modes.mode,
        pump.modes.resting,
        pump.memory.state.resting,
        pump.dosing.rate_nl_per_day,
        pump.dosing.due_us,
        pump.save_due,
        pump.suspend_until_us,
        pump.rates_due_us,
        pump.settle_due_us,
    )
