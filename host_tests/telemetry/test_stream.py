"""Telemetry lines: the state at its period, events at once, what was lost, the MAC."""

import json

import pytest

from host_tests.kit.desk import SECOND_US, Desk, Session, digest16, framed


def heard(desk: Desk) -> list[dict]:
    """The telemetry lines since the last call."""
    lines = desk.rig.link.take().decode().splitlines()
    return [json.loads(line[1:].partition(" @")[0]) for line in lines if line.startswith("~")]


def states(desk: Desk) -> list[dict]:
    return [line for line in heard(desk) if "mode" in line]


def events(desk: Desk) -> list[dict]:
    return [line for line in heard(desk) if "event" in line]


def test_nothing_is_said_unasked():
    desk = Desk()
    desk.press()
    desk.run(3_600)
    assert desk.rig.link.take() == b""
    assert desk.ask("TEL?") == "0"


@pytest.mark.parametrize("period_ms", [100, 101, 1_000, 60_000, 3_600_000])
def test_the_state_comes_at_its_period(period_ms):
    desk = Desk()
    desk.run(0.7)
    begun_ms = desk.now_us // 1000
    assert desk.ask(f"TEL:PER {period_ms}") == "OK"
    assert desk.ask("TEL?") == str(period_ms)
    desk.run(period_ms * 20 / 1000)
    told = states(desk)
    # The first came with the answer, whose link was emptied by the next question.
    assert [line["t_ms"] for line in told] == [begun_ms + period_ms * i for i in range(1, 21)]
    assert [line["seq"] for line in told] == list(range(1, 21))
    assert {line["dropped"] for line in told} == {0}


def test_a_late_tick_moves_no_later_line_and_what_was_missed_is_not_made_up():
    desk = Desk()
    desk.ask("TEL:PER 1000")
    reports, begun_us = desk.telemetry.stream, desk.now_us
    assert reports.poll(begun_us + 999_999) == begun_us + 1_000_000
    assert heard(desk) == []
    assert reports.poll(begun_us + 1_030_000) == begun_us + 2_000_000
    assert reports.poll(begun_us + 2_000_000) == begun_us + 3_000_000
    late_us = begun_us + 9_500_000
    due_us = reports.poll(late_us)
    assert due_us > late_us
    for _ in range(5):
        due_us = reports.poll(due_us)
    told_ms = [line["t_ms"] - begun_us // 1000 for line in heard(desk)]
    assert told_ms[:3] == [1_030, 2_000, 9_500]
    assert told_ms[4:] == [told_ms[3] + 1_000 * i for i in range(1, 5)]


def test_a_state_line_says_what_the_questions_say():
    desk = Desk()
    desk.press()
    desk.rig.send(b"TEL:PER 1000\n")
    (line,) = states(desk)
    status = desk.read("STAT?")
    assert line.keys() - {"seq", "dropped", "t_ms"} <= status.keys()
    for name in line.keys() - {"seq", "dropped", "t_ms", "pressure_pa"}:
        assert line[name] == status[name]
    assert (line["mode"], line["bolus"]) == ("BOLUS", "patient")


def test_zero_ends_them_and_no_old_event_comes_with_the_next():
    desk = Desk()
    desk.ask("TEL:PER 100")
    assert desk.ask("TEL:PER 0") == "OK"
    desk.run(10)
    desk.press()
    assert desk.rig.link.take() == b""
    desk.rig.send(b"TEL:PER 1000\n")
    assert [line.get("event") for line in heard(desk)] == [None]


def test_an_event_that_waits_for_the_tick_is_not_told_once_they_are_off():
    desk = Desk()
    observer = desk.open("observer")
    desk.rig.send(b"TEL:PER 1000\n")
    wrong = Session(desk, "observer", observer.name, b"wrong").frame("STAT?")
    desk.rig.link.take()
    for byte in f"{wrong}\nTEL:PER 0\n".encode():
        desk.rig.telemetry.receive(desk.rig.pump_us, byte)
    desk.run(10)
    replies = desk.rig.link.take().decode().splitlines()
    assert len(replies) == 2
    assert "wrong MAC" in replies[0]
    assert replies[1] == "OK"


def test_events_come_at_once_in_their_order():
    desk = Desk()
    clinician = desk.open("clinician")
    desk.rig.send(b"TEL:PER 3600000\n")
    desk.rig.link.take()
    desk.run(13)
    at_ms = desk.now_us // 1000
    desk.rig.send(clinician.frame("DEL:SUSP").encode() + b"\n")
    told = events(desk)
    assert [(line["event"], line["detail"]) for line in told] == [
        ("COMMAND", f"clinician {desk.counter} counter"),
        ("MODE", "SUSPENDED"),
    ]
    assert {line["t_ms"] for line in told} == {at_ms}
    assert [line["log"] for line in told] == [
        desk.pump.log.sequence - 2,
        desk.pump.log.sequence - 1,
    ]
    desk.run_until_pump(desk.now_us + 120 * SECOND_US)
    (line,) = events(desk)
    assert (line["event"], line["detail"]) == ("MODE", "BASAL")
    assert line["t_ms"] == at_ms + 120_000


def test_an_alarm_comes_the_moment_that_it_is_raised_with_its_priority_and_what_it_does():
    desk = Desk(full_rate=True)
    desk.rig.send(b"TEL:PER 3600000\n")
    desk.rig.link.take()
    desk.rig.free_flow(600)
    told: list[dict] = []
    while not told:
        desk.run(0.25)
        told = events(desk)
    at_ms = desk.now_us // 1000
    assert [(line["event"], line["detail"], line["t_ms"]) for line in told] == [
        ("ALARM_RAISED", "FREE_FLOW HIGH", at_ms),
        ("MODE", "HALTED", at_ms),
    ]
    assert desk.log[-1].true_s * 1000 == desk.rig.now_us / 1000


def test_a_failed_proof_is_told_at_once_even_of_a_question():
    desk = Desk()
    observer = desk.open("observer")
    desk.rig.send(b"TEL:PER 3600000\n")
    desk.rig.link.take()
    wrong = Session(desk, "observer", observer.name, b"wrong")
    desk.rig.send(wrong.frame("STAT?").encode() + b"\n")
    assert [line["event"] for line in events(desk)] == ["AUTH_FAILED"]


@pytest.mark.req("T09")
@pytest.mark.parametrize("room", [0, 200, 1_024, 3_000])
def test_lines_that_a_host_does_not_read_are_counted_and_leave_as_big_a_gap(room):
    desk = Desk()
    desk.rig.send(b"TEL:PER 100\n")
    desk.run(1)
    before = states(desk)[-1]
    desk.rig.link.room = room
    desk.run(60)
    kept = states(desk)
    desk.rig.link.room = None
    desk.run(1)
    after = states(desk)[0]
    lost = after["seq"] - before["seq"] - 1 - len(kept)
    assert lost == after["dropped"] - before["dropped"] > 580 - room // 50
    assert desk.read("SYST:LINK?")["dropped"] == lost
    assert [line["seq"] for line in kept] == list(
        range(before["seq"] + 1, before["seq"] + 1 + len(kept))
    )


@pytest.mark.req("T09")
def test_more_events_in_a_tick_than_are_kept_leave_a_gap_too():
    desk = Desk()
    desk.rig.send(b"TEL:PER 3600000\n")
    before = states(desk)[-1]
    for _ in range(30):
        desk.pump.log.add(desk.now_us, 14, 0, 1)
    desk.order("acknowledge", 0)
    told = events(desk)
    assert len(told) == 16
    assert told[0]["dropped"] == 14
    assert told[-1]["seq"] - before["seq"] == 30


@pytest.mark.req("T09")
@pytest.mark.parametrize("period_ms", [100, 1_000])
def test_a_host_that_never_reads_does_not_move_a_step(period_ms):
    quiet, deaf = Desk(full_rate=True), Desk(full_rate=True)
    deaf.rig.link.room = 100
    deaf.rig.send(f"TEL:PER {period_ms}\n".encode())
    for _ in range(60):
        for desk in (quiet, deaf):
            desk.run(9.7)
        assert deaf.emitted == quiet.emitted
    assert deaf.emitted > 10
    assert deaf.read("SYST:LINK?")["dropped"] > 500


def test_the_mac_comes_on_every_line_while_its_session_wants_it():
    desk = Desk()
    clinician = desk.open("clinician")
    desk.rig.send(b"TEL:PER 1000\n")
    assert clinician.ask("TEL:MAC 1") == "OK"
    desk.rig.link.take()
    desk.run(3)
    desk.press()
    lines = desk.rig.link.take().decode().splitlines()
    assert len(lines) >= 6
    for line in lines:
        text, _, mac = line.rpartition(" @")
        assert mac == digest16(clinician.key, b"T" + text.encode())
    assert clinician.ask("TEL:MAC 0") == "OK"
    desk.rig.link.take()
    desk.run(3)
    assert b" @" not in desk.rig.link.take()


def test_the_last_session_that_wants_the_mac_gets_it_and_leaves_it_to_the_other():
    desk = Desk()
    clinician, service = desk.open("clinician"), desk.open("service")
    for session in (clinician, service):
        assert session.ask("TEL:MAC 1") == "OK"
    desk.rig.send(b"TEL:PER 1000\n")
    for session in (service, clinician):
        desk.rig.link.take()
        desk.run(2)
        text, _, mac = desk.rig.link.take().decode().splitlines()[-1].rpartition(" @")
        assert mac == digest16(session.key, b"T" + text.encode())
        assert session.ask("AUTH:BYE") == "OK"
    desk.rig.link.take()
    desk.run(2)
    assert b" @" not in desk.rig.link.take()


def test_a_framed_request_for_a_period_changes_it_for_all():
    desk = Desk()
    assert "OK" in desk.ask(framed("#t1 TEL:PER 250"))
    assert desk.ask("TEL?") == "250"
