"""T02: power that fails in any write of any change: its counter was stored before it was done."""

from typing import Any

import pytest

from cisterna.telemetry.commands import all_rows
from cisterna.telemetry.rows import CHANGE
from cisterna_sim.store import PowerCut
from host_tests.kit.desk import Desk
from host_tests.kit.ready import ready

WATCHDOG = 2
CHANGES = [row.header for row in all_rows() if row.kind == CHANGE]
# What outlives no reboot, or is no more than a sound. A restart forgets the time of day.
PASSING = ("DEL:SUSP", "DEL:RES", "ALAR:PAUS", "ALAR:TEST", "SERV:CLE:COMM", "ALAR:ACK")


def done(desk: Desk) -> list[Any]:
    """What a change can have done that outlives a reboot."""
    pump = desk.pump
    return [
        pump.memory.program.pack(),
        pump.memory.limits.pack(),
        pump.ledger.fill_nl,
        pump.modes.resting,
        pump.calendar.known and pump.calendar.wall_us(0) // 10**9,
        desk.telemetry.keys._data,
        desk.telemetry.keys.damaged,
        len(desk.names("BOLUS_GRANTED")),
        pump.history.locked_until_us > desk.now_us,
    ]


def booted(desk: Desk) -> list[Any]:
    """The same, after a reboot."""
    desk.rig.power_up(WATCHDOG)
    desk.run(3)
    return done(desk)


def cut(header: str, write: int, send: bool = True) -> tuple[Desk, str, list[Any], bool]:
    """A pump whose power fails in that write after the command's line has come; the line, what
    stood before, and whether it failed."""
    desk, _, frame = ready(header)
    if header == "CLOC:SET":
        desk.pump.calendar.known = False
    before = done(desk)
    desk.rig.store.cut_at = desk.rig.store.writes + write
    failed = False
    try:
        if send:
            desk.ask(frame)
    except PowerCut:
        failed = True
    desk.rig.store.cut_at = None
    return desk, frame, before, failed


@pytest.mark.req("T02")
@pytest.mark.parametrize("header", CHANGES)
def test_whatever_is_changed_its_counter_was_stored_first(header):
    seen = set()
    rebooted = cut(header, 0, send=False)[0]
    rebooted.rig.power_down()
    rest = booted(rebooted)
    for write in range(1, 60):
        desk, frame, before, failed = cut(header, write)
        used = desk.counter
        if not failed:
            break
        acted = done(desk) != before
        kept = booted(desk) != rest
        stored = desk.read("AUTH?")["counter"] == used
        assert stored or not (acted or kept), write
        assert desk.ask("SYST:LAST?").startswith(f"{used},t1,unknown") == stored
        assert not desk.telemetry.keys.damaged
        # Whoever plays the line again gets nothing.
        facts = done(desk)
        assert "ERR -203" in desk.ask(frame)
        assert done(desk) == facts
        seen.add((stored, kept))
    else:
        pytest.fail("the line never got through")
    assert write > 2
    assert (False, False) in seen  # torn in the counter
    assert (True, False) in seen  # stored, and not yet done
    assert (done(desk) != before) == (header not in PASSING)
