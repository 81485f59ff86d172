"""T05: every role against every command. No role is above another."""

import pytest

from cisterna.telemetry.commands import all_rows
from cisterna.telemetry.rows import CHANGE, LINK, OPEN, READ
from cisterna.telemetry.rows import SESSION as IN_SESSION
from host_tests.kit.desk import ROLES, Desk, Session, example, framed
from host_tests.kit.roles import MAY

LINKS = {"*CLS", "TEL:PER"}
OPENS = {"AUTH:HELL", "AUTH:PROV", "KEY:PROV", "KEY:WIPE"}
# What does something although the pump stays the same: its own session's affairs.
OWN_AFFAIRS = {"TEL:MAC", "AUTH:BYE"}
HEADERS = [row.header for row in all_rows()]


def may(role: str, header: str) -> bool:
    """True if the role may give the command."""
    return role[0] in MAY.get(header, "opcs")


def unchanged(desk: Desk, before: dict, *but: str) -> None:
    """The pump is as before, apart from some of its facts."""
    after = desk.facts()
    for name in but:
        del before[name], after[name]
    assert after == before


@pytest.mark.req("T05")
def test_the_table_is_that_of_the_protocol():
    for row in all_rows():
        header, kind = row.header, row.kind
        roles = [role for i, role in enumerate(ROLES) if row.may(i)]
        if header in MAY:
            assert kind in (IN_SESSION, CHANGE)
            assert roles == [role for role in ROLES if may(role, header)], header
        else:
            assert not roles
            assert kind == (LINK if header in LINKS else OPEN if header in OPENS else READ)
            assert header.endswith("?") == (kind == READ)
    assert MAY.keys() <= set(HEADERS)


@pytest.mark.req("T05")
@pytest.mark.parametrize("header", [header for header in HEADERS if header in MAY])
@pytest.mark.parametrize("role", ROLES)
def test_a_role_gives_its_own_commands_and_no_others(role, header):
    desk = Desk()
    session = desk.open(role)
    before, refused = desk.facts(), desk.telemetry.refused
    reply = session.ask(example(header))
    if may(role, header):
        assert not reply.startswith("ERR -203")
        assert desk.telemetry.sessions.counter.value == desk.counter
    else:
        assert reply.startswith(f'ERR -203,"Command protected; the role {role} may not {header}')
        assert desk.telemetry.refused == refused + 1
        unchanged(desk, before)


@pytest.mark.req("T05")
@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("form", ["typed", "framed", "unknown session", "no MAC"])
def test_without_a_session_there_are_only_questions(header, form):
    """Of the rest, each proves itself in its own way: with a hand on the pump, or a key."""
    desk = Desk()
    text = example(header)
    line = {
        "typed": text,
        "framed": framed(f"#t1 {text}"),
        "unknown session": Session(desk, "service", "0000", b"?" * 32).frame(text),
        "no MAC": framed(f"#t1 {text} @0000,1,{'0' * 32}"),
    }[form]
    before = desk.facts()
    reply = desk.ask(line).removeprefix("#t1 ")
    if form in ("unknown session", "no MAC"):
        assert reply.startswith('ERR -203,"Command protected; no such session')
        unchanged(desk, before)
    elif header in MAY:
        assert reply.startswith(f'ERR -203,"Command protected; {header} needs a session')
        unchanged(desk, before)
    elif header in OPENS - {"AUTH:HELL"}:
        assert reply.startswith("ERR -203")
        unchanged(desk, before)
    else:
        assert not reply.startswith("ERR")
        unchanged(desk, before, *(["reports"] if header in LINKS else []))


@pytest.mark.req("T05")
@pytest.mark.parametrize("role", ["observer", "patient"])
def test_an_observer_reads_and_a_patient_asks_for_a_bolus_too(role):
    """Of everything in the table nothing else changes the pump."""
    for header in HEADERS:
        if header in OPENS or header in LINKS | OWN_AFFAIRS:
            continue
        desk = Desk()
        session = desk.open(role)
        before = desk.facts()
        reply = session.ask(example(header))
        if header == "BOL:PAT" and role == "patient":
            assert reply == "OK"
            assert desk.mode == "BOLUS"
        else:
            assert reply.startswith("ERR -203") == (header in MAY), header
            unchanged(desk, before, "counter", "sessions")


@pytest.mark.req("T05")
@pytest.mark.parametrize("role", ROLES)
def test_a_role_with_a_long_form_or_small_letters_is_no_other_role(role):
    desk = Desk()
    session = desk.open(role)
    for text in ("delivery:stop", "DELIVERY:STOP", "Del:Stop", ":DEL:STOP"):
        if not may(role, "DEL:STOP"):
            assert session.ask(text).startswith("ERR -203")
            assert desk.mode == "BASAL"
    assert (session.ask("delivery:stop") == "OK") == may(role, "DEL:STOP")


@pytest.mark.req("T05")
def test_what_one_role_staged_no_other_commits():
    desk = Desk()
    clinician, service = desk.open("clinician"), desk.open("service")
    staged = clinician.stage("BOL:STAG 5000,60")
    desk.press()
    before = desk.facts()
    assert service.commit(staged).startswith("ERR -203")
    patient = desk.open("patient")
    assert patient.commit(staged).startswith("ERR -203")
    unchanged(desk, before, "sessions")
