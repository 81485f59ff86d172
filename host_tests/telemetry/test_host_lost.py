"""F09 and A04 over the line: whoever goes silent or away leaves no suspension and no silence."""

import pytest

from cisterna.base import faults
from host_tests.kit.desk import SECOND_US, Desk, framed

SUSPEND_US = 120 * SECOND_US


@pytest.mark.req("F09")
@pytest.mark.parametrize("short_us", [1_000, 1, 0])
def test_a_suspension_ends_after_2_min_of_silence_to_the_microsecond(short_us):
    desk = Desk()
    clinician = desk.open("clinician")
    begun_us = desk.now_us
    assert clinician.ask("DEL:SUSP") == "OK"
    desk.run_until_pump(begun_us + SUSPEND_US - short_us)
    assert desk.read("STAT?")["mode"] == ("SUSPENDED" if short_us else "BASAL")


@pytest.mark.req("F09")
def test_repeating_the_command_renews_the_suspension():
    desk = Desk()
    clinician = desk.open("clinician")
    for _ in range(5):
        renewed_us = desk.now_us
        assert clinician.ask("DEL:SUSP") == "OK"
        emitted = desk.emitted
        desk.run(100)
        assert desk.mode == "SUSPENDED"
        assert desk.emitted == emitted
    desk.run_until_pump(renewed_us + SUSPEND_US)
    assert desk.mode == "BASAL"
    desk.run(3_600)
    assert desk.emitted > emitted


@pytest.mark.req("F09")
def test_a_retry_of_the_same_line_does_not_renew():
    """A replay must not hold a pump suspended."""
    desk = Desk()
    line = desk.open("clinician").frame("DEL:SUSP")
    begun_us = desk.now_us
    desk.ask(line)
    for _ in range(11):
        desk.run(10)
        assert "OK" in desk.ask(line)
    desk.run_until_pump(begun_us + SUSPEND_US)
    assert desk.mode == "BASAL"


@pytest.mark.req("F09")
@pytest.mark.parametrize(
    "how", ["silent", "bye", "displaced", "keys wiped", "floods", "never reads"]
)
def test_losing_the_host_never_leaves_delivery_suspended(how):
    desk = Desk()
    clinician = desk.open("clinician")
    desk.run(30)
    assert clinician.ask("DEL:SUSP") == "OK"
    begun_us = desk.now_us
    desk.run(10)
    if how == "bye":
        clinician.ask("AUTH:BYE")
    elif how == "displaced":
        desk.open("service")
        desk.run(1)
        desk.open("patient")
    elif how == "keys wiped":
        desk.telemetry.wipe_until_us = desk.now_us + SECOND_US
        desk.ask(framed("#w1 KEY:WIPE"))
    elif how == "floods":
        for _ in range(100):
            desk.ask("DEL:SUSP")
            desk.rig.send(b"\xff" * 50)
            desk.run(1)
    elif how == "never reads":
        desk.rig.link.room = 0
        desk.rig.send(b"TEL:PER 100\n")
    assert desk.mode == "SUSPENDED"
    desk.run_until_pump(begun_us + SUSPEND_US - 1)
    assert desk.mode == "SUSPENDED"
    desk.run_until_pump(begun_us + SUSPEND_US)
    assert desk.mode == "BASAL"


@pytest.mark.req("F09")
@pytest.mark.parametrize("mode", ["BASAL", "BOLUS", "SUSPENDED", "STOPPED", "HALTED"])
def test_sessions_of_a_host_that_went_silent_end_and_change_no_mode(mode):
    desk = Desk()
    clinician = desk.open("clinician")
    desk.open("service")
    if mode == "BOLUS":
        assert clinician.ask("BOL:PAT") == "OK"
    elif mode in ("SUSPENDED", "STOPPED"):
        assert clinician.ask("DEL:SUSP" if mode == "SUSPENDED" else "DEL:STOP") == "OK"
    elif mode == "HALTED":
        desk.pump.raise_fault(faults.EMPTY)
        desk.order("acknowledge", 0)
    assert desk.mode == mode
    desk.run(180)
    # A suspension has ended by then, as with any host.
    assert desk.mode == (mode if mode != "SUSPENDED" else "BASAL")
    assert desk.read("AUTH?")["sessions"] == []
    desk.run(3_600)
    assert desk.mode == (mode if mode in ("STOPPED", "HALTED") else "BASAL")
    if mode == "BOLUS":
        assert desk.names("BOLUS_ENDED") == ["complete 5000 nL delivered"]


@pytest.mark.req("F09")
def test_steps_go_on_as_if_there_had_never_been_a_host():
    alone, linked = Desk(full_rate=True), Desk(full_rate=True)
    linked.open("clinician").stage("BOL:STAG 5000,60")
    for seconds in range(1, 100):
        for desk in (alone, linked):
            desk.run(seconds)
        assert linked.emitted == alone.emitted
    assert alone.emitted > 50
    assert linked.read("AUTH?")["sessions"] == []


# -- the audio pause ----------------------------------------------------------------------------


def sounding() -> Desk:
    """A pump whose alarm is heard."""
    desk = Desk()
    desk.pump.raise_fault(faults.STOPPED)
    desk.pump.raise_fault(faults.POWER_LOST)
    desk.order("acknowledge", 0)
    assert desk.rig.hal.signal.audible
    return desk


@pytest.mark.req("A04")
@pytest.mark.parametrize("pause_s", [1, 30, 120])
def test_a_pause_of_the_audio_ends_by_itself(pause_s):
    desk = sounding()
    clinician = desk.open("clinician")
    begun_us = desk.now_us
    assert clinician.ask(f"ALAR:PAUS {pause_s}") == "OK"
    assert not desk.rig.hal.signal.audible
    desk.run_until_pump(begun_us + pause_s * SECOND_US - 1)
    assert not desk.rig.hal.signal.audible
    desk.run_until_pump(begun_us + pause_s * SECOND_US)
    assert desk.rig.hal.signal.audible


@pytest.mark.req("A04")
@pytest.mark.parametrize("how", ["bye", "displaced", "idle", "rotated", "wiped"])
def test_a_pause_ends_with_the_session_that_asked_for_it(how):
    desk = sounding()
    clinician = desk.open("clinician")
    if how == "idle":
        desk.run(90)
        session_us = desk.now_us
        assert clinician.ask("STAT?").startswith("{")
        desk.run_until_pump(session_us + 170 * SECOND_US)
        # Paused by an earlier line of the same session: only its age counts here.
        desk.order("pause_audio", 120)
        desk.telemetry.paused_by = desk.telemetry.sessions.open[0]
    else:
        assert clinician.ask("ALAR:PAUS 120") == "OK"
    desk.run(5)
    assert not desk.rig.hal.signal.audible
    if how == "bye":
        clinician.ask("AUTH:BYE")
    elif how == "displaced":
        desk.open("clinician")
    elif how == "idle":
        desk.run(5)
    elif how == "rotated":
        service = desk.open("service")
        assert not desk.rig.hal.signal.audible
        assert service.change("KEY:ROT:STAG clinician," + "0" * 64) == "OK"
    else:
        desk.telemetry.wipe_until_us = desk.now_us + SECOND_US
        assert "OK" in desk.ask(framed("#w1 KEY:WIPE"))
    assert desk.rig.hal.signal.audible


@pytest.mark.req("A04")
def test_a_host_that_went_away_leaves_no_silence():
    """A board cannot tell that its cable is out: the pause ends before the session does."""
    desk = sounding()
    assert desk.open("clinician").ask("ALAR:PAUS 120") == "OK"
    desk.rig.link.room = 0
    desk.run(119)
    assert not desk.rig.hal.signal.audible
    desk.run(1)
    assert desk.rig.hal.signal.audible
    assert len(desk.telemetry.sessions.open) == 1
    desk.run(60)
    assert not desk.telemetry.sessions.open


@pytest.mark.req("A04")
def test_the_end_of_another_session_leaves_the_pause():
    desk = sounding()
    clinician, service = desk.open("clinician"), desk.open("service")
    assert clinician.ask("ALAR:PAUS 120") == "OK"
    assert service.ask("AUTH:BYE") == "OK"
    desk.run(1)
    assert not desk.rig.hal.signal.audible
    # Whoever asked last holds it.
    service = desk.open("service")
    assert service.ask("ALAR:PAUS 120") == "OK"
    assert clinician.ask("AUTH:BYE") == "OK"
    desk.run(1)
    assert not desk.rig.hal.signal.audible
    assert service.ask("AUTH:BYE") == "OK"
    assert desk.rig.hal.signal.audible


@pytest.mark.req("A04")
def test_a_new_alarm_breaks_the_pause():
    desk = sounding()
    assert desk.open("clinician").ask("ALAR:PAUS 120") == "OK"
    desk.pump.raise_fault(faults.UNDER_DELIVERY)
    desk.order("acknowledge", 0)
    assert desk.rig.hal.signal.audible
