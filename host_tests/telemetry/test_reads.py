"""T08: a question changes nothing; a session that says nothing ends."""

import hashlib
from types import SimpleNamespace

import pytest

from cisterna.base import faults
from cisterna.telemetry import sessions
from cisterna.telemetry.commands import all_rows
from cisterna.telemetry.reads import LOG_PAGE
from cisterna.telemetry.rows import READ
from host_tests.kit.desk import NONCE, SECOND_US, Desk, Session, digest16, example, framed

READS = [row.header for row in all_rows() if row.kind == READ]
IDLE_US = 180 * SECOND_US


def busy() -> Desk:
    """A pump with as much going on as it can have: what a question could upset."""
    desk = Desk()
    clinician = desk.open("clinician")
    desk.run(60)
    desk.press()
    clinician.ask("DEL:SUSP")
    desk.run(30)
    clinician.ask("ALAR:TEST")
    clinician.ask("ALAR:PAUS 100")
    clinician.stage("PROG:STAG continuous,2000,12000,600,3600,6,127,0,250000")
    desk.press()
    desk.pump.raise_fault(faults.SUPPLY_SENSOR)
    desk.order("acknowledge", 0)
    return desk


def moments() -> dict[str, Desk]:
    """Pumps in different states."""
    unset = Desk(fill_ml=0, provisioned=False)
    unset.ask("FOO?")
    bolus = Desk()
    bolus.press()
    stopped = Desk()
    stopped.order("stop")
    stopped.run(7_200)
    return {"busy": busy(), "unset": unset, "bolus": bolus, "stopped": stopped}


def everything(desk: Desk) -> dict:
    """The facts, and all that a question might move besides."""
    pump, telemetry = desk.pump, desk.telemetry
    facts = desk.facts()
    facts["log"] = (pump.log.sequence, list(desk.rig.store.ring))
    facts["writes"] = desk.rig.store.writes
    facts["times"] = (pump.now_us, pump.settle_due_us, pump.rates_due_us, pump.saved_us)
    facts["ticks"] = desk.rig.ticks
    facts["dosing"] = vars(pump.dosing).copy()
    facts["guard"] = vars(pump.guard).copy()
    facts["sampler"] = {k: v for k, v in vars(pump.sampler).items() if not k.startswith("_chan")}
    facts["history"] = vars(pump.history).copy()
    facts["telemetry"] = (
        telemetry.outcome,
        telemetry.paused_by,
        vars(telemetry.stream).copy(),
        {k: v for k, v in vars(telemetry.sessions).items() if k not in ("counter", "on_end")},
    )
    return facts


@pytest.mark.req("T08")
@pytest.mark.parametrize("moment", ["busy", "unset", "bolus", "stopped"])
def test_no_question_changes_anything(moment):
    desk = moments()[moment]
    for header in READS:
        for line in (example(header), framed("#r1 " + example(header)), example(header).lower()):
            before = everything(desk)
            desk.rig.send(line.encode() + b"\n")
            assert everything(desk) == before, header


@pytest.mark.req("T08")
def test_a_signed_question_changes_only_its_sessions_counter_and_age():
    desk = busy()
    session = desk.open("observer")
    for header in READS:
        desk.run(1)
        before = everything(desk)
        session.ask(example(header))
        after = everything(desk)
        for facts in (before, after):
            for name in ("counter", "sessions", "telemetry"):
                del facts[name]
        assert after == before, header


@pytest.mark.req("T08")
def test_asking_what_is_staged_after_its_time_leaves_it_to_the_tick():
    desk = Desk()
    desk.open("clinician").stage("BOL:STAG 5000,60")
    facts = desk.facts()
    for byte in b"STAG?\n":
        assert not desk.rig.telemetry.receive(desk.rig.pump_us + 60 * SECOND_US, byte)
    assert desk.rig.link.take() == b"{}\n"
    assert desk.facts() == facts


@pytest.mark.req("T08")
def test_a_question_that_fails_inside_is_an_error_and_not_an_end(monkeypatch):
    desk = Desk()
    monkeypatch.setattr(desk.pump.hal.pressure, "read", lambda: 1 // 0)
    assert desk.ask("MEAS:PRES?").startswith('ERR -310,"System error; ZeroDivisionError')
    assert desk.ask("MEAS:SUPP?").isdigit()


@pytest.mark.req("T08")
def test_only_the_error_queue_is_emptied_by_being_read():
    desk = Desk()
    desk.ask("FOO?")
    assert desk.ask("SYST:ERR:COUN?") == "1"
    assert desk.ask("SYST:ERR?").startswith("-113")
    assert desk.ask("SYST:ERR:COUN?") == "0"
    assert desk.ask("SYST:ERR?") == '0,"No error"'


# -- idle sessions ------------------------------------------------------------------------------


def is_open(desk: Desk, session: Session) -> bool:
    """True if the pump still knows it."""
    return session.name in [name for name, _ in desk.read("AUTH?")["sessions"]]


@pytest.mark.req("T08")
@pytest.mark.parametrize("short_us", [1_000, 1, 0])
def test_an_idle_session_ends_after_3_min_to_the_microsecond(short_us):
    desk = Desk()
    desk.run(7.3)
    clinician = desk.open("clinician")
    desk.run_until_pump(desk.now_us + IDLE_US - short_us)
    assert is_open(desk, clinician) == (short_us > 0)
    reply = clinician.ask("DEL:SUSP")
    assert reply == "OK" if short_us else "no such session" in reply


@pytest.mark.req("T08")
def test_the_3_min_begin_with_the_proof_and_not_with_the_hello():
    desk = Desk()
    name, key = desk.hello("clinician")
    desk.run(170)
    assert "ERR" not in desk.ask(f"AUTH:PROV {name},{digest16(key, b'host')}")
    clinician = Session(desk, "clinician", name, key)
    desk.run_until_pump(desk.now_us + IDLE_US - 1)
    assert is_open(desk, clinician)
    assert clinician.ask("DEL:SUSP") == "OK"


@pytest.mark.req("T08")
def test_a_line_that_comes_before_the_tick_is_judged_by_the_clock():
    desk = Desk()
    line = desk.open("clinician").frame("DEL:STOP")
    late_us = desk.rig.pump_us + IDLE_US
    for byte in line.encode() + b"\n":
        desk.rig.telemetry.receive(late_us, byte)
    assert b"no such session" in desk.rig.link.take()
    assert desk.mode == "BASAL"


@pytest.mark.req("T08")
def test_a_good_line_renews_a_session_and_others_do_not():
    desk = Desk()
    clinician = desk.open("clinician")
    desk.run(100)
    line = clinician.frame("STAT?")
    assert "ERR" not in desk.ask(line)
    used_us = desk.now_us
    desk.run(100)
    assert is_open(desk, clinician)
    # A retry, an old counter, a wrong MAC, a line of nobody.
    desk.ask(line)
    desk.ask(clinician.frame("STAT?", counter=0))
    signed = f"#t1 STAT? @{clinician.name},99"
    desk.ask(framed(f"{signed},{digest16(b'wrong', signed.encode())}"))
    desk.ask("STAT?")
    desk.run_until_pump(used_us + IDLE_US - 1)
    assert is_open(desk, clinician)
    desk.run_until_pump(used_us + IDLE_US)
    assert not is_open(desk, clinician)


@pytest.mark.req("T08")
def test_two_sessions_age_each_by_itself():
    desk = Desk()
    clinician = desk.open("clinician")
    desk.run(60)
    service = desk.open("service")
    desk.run(120)
    assert not is_open(desk, clinician)
    assert is_open(desk, service)
    desk.run(60)
    assert not is_open(desk, service)


@pytest.mark.req("T08")
def test_the_one_that_idles_longer_ends_first_though_it_was_opened_last():
    """By a tick of its own, not with the next line or step."""
    desk = Desk(start=False)
    clinician = desk.open("clinician")
    desk.run(20)
    desk.open("service")
    opened_us = desk.now_us
    desk.run(100)
    assert clinician.ask("STAT?")[:1] == "{"
    desk.run_until_pump(opened_us + IDLE_US)
    assert [session.name for session in desk.telemetry.sessions.open] == [clinician.name]


@pytest.mark.req("T08")
def test_the_third_session_takes_the_place_of_the_one_idle_longest():
    desk = Desk()
    clinician = desk.open("clinician")
    desk.run(1)
    service = desk.open("service")
    desk.run(1)
    assert clinician.ask("STAT?").startswith("{")
    desk.run(1)
    patient = desk.open("patient")
    assert [is_open(desk, s) for s in (clinician, service, patient)] == [True, False, True]
    assert "no such session" in service.ask("DEL:STOP")
    # And a new one of a role takes the place of that role's.
    again = desk.open("patient")
    assert [is_open(desk, s) for s in (clinician, patient, again)] == [True, False, True]


@pytest.mark.req("T08")
def test_bye_ends_a_session_and_no_other():
    desk = Desk()
    clinician, service = desk.open("clinician"), desk.open("service")
    assert clinician.ask("AUTH:BYE") == "OK"
    assert "no such session" in clinician.ask("DEL:STOP")
    assert service.ask("DEL:SUSP") == "OK"


@pytest.mark.req("T08")
def test_a_session_that_was_not_proved_is_none():
    desk = Desk()
    name, key = desk.hello("clinician")
    unproved = Session(desk, "clinician", name, key)
    assert "no such session" in unproved.ask("DEL:STOP")
    assert desk.ask(f"AUTH:PROV 0000,{digest16(key, b'host')}").startswith("ERR -203")
    # The offer is used up: no second try at it.
    assert "no session was offered" in desk.ask(f"AUTH:PROV {name},{digest16(key, b'host')}")
    # A newer offer takes its place.
    name, key = desk.hello("clinician")
    desk.hello("patient")
    assert "no session was offered" in desk.ask(f"AUTH:PROV {name},{digest16(key, b'host')}")
    assert desk.read("AUTH?")["sessions"] == []


@pytest.mark.req("T02")
def test_nonces_differ_even_if_the_chips_noise_does_not():
    desk = Desk()
    nonces = []
    for _ in range(3):
        desk.telemetry.sessions._entropy = bytes
        for _ in range(3):  # at one instant
            nonces.append(desk.ask(f"AUTH:HELL clinician,{NONCE}").split(",")[1])
        desk.rig.power_down()
        desk.rig.power_up(0)
        desk.run(7)
    assert len(set(nonces)) == 9


def test_two_sessions_never_share_a_name(monkeypatch):
    desk = Desk()
    noise = b"N" * 16

    def sha256(data: bytes) -> object:
        return hashlib.sha256(b"the same" if data.startswith(noise) else data)

    monkeypatch.setattr(sessions, "hashlib", SimpleNamespace(sha256=sha256))
    desk.telemetry.sessions._entropy = lambda size: noise
    clinician, service = desk.open("clinician"), desk.open("service")
    assert int(service.name, 16) == (int(clinician.name, 16) + 1) & 0xFFFF
    assert clinician.ask("DEL:SUSP") == "OK"
    assert service.ask("DEL:RES") == "OK"


def test_a_page_of_the_log_is_short_and_the_rest_is_asked_for():
    desk = Desk()
    following = desk.pump.log.sequence
    place, entries = 0, []
    while place < following:
        page = desk.read(f"LOG? {place},16")["entries"]
        assert 0 < len(page) <= LOG_PAGE
        entries += page
        place += len(page)
    assert entries == [raw.hex() for raw in desk.rig.store.entries()]
