"""T04: a right key opens no limit. What is refused says so at STAGE and again at COMMIT."""

from collections.abc import Callable

import pytest

from cisterna.base import faults
from cisterna.base.settings import LIMIT_FIELDS, Limits
from cisterna.telemetry.commands import all_rows
from cisterna.telemetry.rows import INT, READ
from host_tests.kit.bench import simple
from host_tests.kit.desk import EXAMPLES, Desk, Session, refused

BOLUS = "BOL:STAG 5000,60"


def limit_error(desk: Desk, session: Session, text: str, *words: str) -> None:
    """Refused with every word in the reason; the pump stays as it was."""
    refused(desk, session, text, *words)
    assert desk.ask("STAG?") == "{}"


def program(**changes: int | str) -> str:
    """A staged program with some of its figures changed."""
    figures: dict[str, int | str] = {
        "kind": "continuous", "concentration": 2000, "bolus": 10_000, "bolus_s": 600,
        "lockout": 3600, "cap": 6, "days": 127, "start": 0, "dose": 250_000,
    }  # fmt: skip
    return "PROG:STAG " + ",".join(str(value) for value in {**figures, **changes}.values())


@pytest.mark.req("T04")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (program(dose=50_000_000), ("-222", "25000000 nL/day", "24000000")),
        (program(dose=95_998), ("-222", "48000")),
        (program(dose=1_000_002), ("-222", "dose of the highest 24 h", "1000000")),
        (program(dose=100_000_001), ("-222", "dose_ng_per_day", "100000000")),
        (program(dose=0), ("-222", "dose_ng_per_day = 0", "1..")),
        (program(dose=-1), ("-222", "dose_ng_per_day = -1")),
        (program(concentration=2001), ("-222", "concentration_ug_per_ml = 2001", "50..2000")),
        (program(concentration=49), ("-222", "concentration_ug_per_ml = 49", "50..2000")),
        (program(concentration=1000), ("-221", "holds 2000 ug/mL", "refill first")),
        (program(bolus=1_000_001), ("-222", "bolus_dose_ng", "1000000")),
        (program(bolus=400_000, bolus_s=60), ("-222", "patient bolus rate", "24000000")),
        (program(bolus_s=59), ("-222", "bolus_s = 59", "60..14400")),
        (program(lockout=299), ("-222", "lockout_s = 299", "300..86400")),
        (program(cap=25), ("-222", "daily_cap = 25", "0..24")),
        (program(days=126), ("-222", "all days from 00:00")),
        (program(days=128), ("-222", "days = 128", "1..127")),
        (program(start=1), ("-222", "all days from 00:00")),
        (program(start=1440), ("-222", "start_min = 1440", "0..1439")),
        (program(kind="bolus"), ("-224", "kind = bolus", "continuous")),
        (program(kind="minimum"), ("-222", "no segments")),
        (program(kind="profile", days=63), ("-222", "weekday 6")),
        ("PROG:STAG continuous,2000,10000,600,3600,6", ("-222", "one segment")),
        ("RES:REF:STAG 20000001,2000", ("-222", "refill volume = 20000001", "20000000")),
        ("RES:REF:STAG 1000000,2000", ("-222", "refill volume = 1000000", "1000001")),
        ("RES:REF:STAG 18000000,2000,20000001", ("-222", "residual volume", "20000000")),
        ("RES:REF:STAG 18000000,1000", ("-221", "while delivering", "stop the pump")),
        ("BOL:STAG 1000001,600", ("-222", "bolus dose = 1000001", "1000000")),
        ("BOL:STAG 700001,600", ("-221", "daily dose")),
        ("BOL:STAG 0,600", ("-222", "dose_ng = 0")),
        ("BOL:STAG 5000,59", ("-222", "duration_s = 59", "60..14400")),
        ("BOL:STAG 5000,14401", ("-222", "duration_s = 14401", "60..14400")),
        ("DEL:STAR:STAG", ("-221", "start is not possible in mode BASAL")),
        ("ALAR:PAUS 121", ("-222", "pause_s = 121 s", "1..120")),
        ("ALAR:PAUS 0", ("-222", "pause_s = 0", "1..120")),
        ("ALAR:ACK NOTHING", ("-224", "NOTHING", "SUPPLY_LOW")),
        ("CLOC:SET -1", ("-222", "wall_s = -1")),
        ("CLOC:SET 3155760001", ("-222", "wall_s", "3155760000")),
        ("DEL:RES", ("-221", "resume is not possible in mode BASAL")),
    ],
)
def test_a_clinicians_key_opens_no_limit(text, words):
    desk = Desk()
    limit_error(desk, desk.open("clinician"), text, *words)


@pytest.mark.req("T04")
@pytest.mark.parametrize("field", LIMIT_FIELDS, ids=[field[0] for field in LIMIT_FIELDS])
def test_a_service_key_sets_no_limit_beyond_its_range(field):
    desk = Desk(start=False)
    service = desk.open("service")
    name, low, high = field[:3]
    for value in (low - 1, high + 1):
        limit_error(desk, service, f"LIM:STAG {name},{value}", "-222", f"{name} = {value}")


@pytest.mark.req("T04")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("LIM:STAG low_nl,1500000", ("-222", "low_nl")),
        ("LIM:STAG empty_nl,2000000,low_nl,2000000", ("-222", "not above empty_nl")),
        ("LIM:STAG max_daily_dose_ng,250000", ("-222", "dose of the highest 24 h", "250000")),
        ("LIM:STAG min_rate_nl_per_day,200000", ("-222", "200000")),
        ("LIM:STAG volume_nl,5", ("-224", "no limit volume_nl", "max_daily_dose_ng")),
        ("LIM:STAG low_nl,much", ("-104", "low_nl = much")),
        ("LIM:STAG low_nl", ("-109", "value is missing")),
        ("SERV:CLE:STAG EMPTY", ("-221", "EMPTY needs no service")),
        ("SERV:CLE:STAG NONSENSE", ("-224", "NONSENSE")),
        ("KEY:ROT:STAG owner," + "0" * 64, ("-224", "owner")),
        ("KEY:ROT:STAG patient," + "0" * 63, ("-104", "64 hexadecimal")),
    ],
)
def test_a_service_key_opens_no_limit(text, words):
    desk = Desk(start=False)
    limit_error(desk, desk.open("service"), text, *words)


@pytest.mark.req("T04")
def test_limits_are_not_changed_while_delivering():
    desk = Desk()
    limit_error(
        desk, desk.open("service"), "LIM:STAG low_nl,5000000", "-221", "stopped; stop it first"
    )


@pytest.mark.req("T04")
@pytest.mark.parametrize(
    "row",
    [row for row in all_rows() if any(spec[0] == INT for spec in row.arguments)],
    ids=lambda row: row.header,
)
def test_every_integer_is_held_to_the_tables_range_first(row):
    """At its least and greatest the table has no objection, one beyond it has."""
    desk = Desk()
    session = desk.open(
        "service" if row.roles == "s" else "clinician" if row.roles else "observer"
    )
    texts = EXAMPLES.get(row.header, f"{row.header} 1,00000000").partition(" ")[2].split(",")
    for place, spec in enumerate(row.arguments):
        if spec[0] != INT:
            continue
        while len(texts) <= place:
            texts.append("1")
        low, high = spec[2], spec[3]
        for value in (low - 1, low, high, high + 1):
            args = [*texts[:place], str(value), *texts[place + 1 :]]
            reply = session.ask(f"{row.header} {','.join(args)}")
            outside = f"outside {low}..{high}" in reply and reply.startswith("ERR -222")
            assert outside == (not low <= value <= high), reply
            if row.kind != READ:
                desk.order("acknowledge", 0)


# -- what has changed between STAGE and COMMIT --------------------------------------------------


def alarm(code: int) -> Callable[[Desk], object]:
    """An alarm comes."""
    return lambda desk: desk.pump.raise_fault(code)


def given(dose_ng: int) -> Callable[[Desk], object]:
    """A bolus has ended a moment ago."""
    return lambda desk: desk.pump.history.record(desk.now_us, dose_ng, 0)


def limits(**values: int) -> Callable[[Desk], object]:
    """The pump is stopped and has new limits."""

    def act(desk: Desk) -> None:
        if desk.mode == "BASAL":
            desk.order("stop")
        desk.order("set_limits", Limits(values))

    return act


def weaker(desk: Desk) -> None:
    """The reservoir holds another concentration."""
    if desk.mode == "BASAL":
        desk.order("stop")
    desk.order("refill", 18_000_000, 1000)


def start(desk: Desk) -> None:
    """The pump has been started."""
    desk.order("start")


MORE = "PROG:STAG continuous,2000,10000,600,3600,6,127,0,400000"
CASES = (
    # what is staged, delivering or not, what comes between, why the commit is refused
    (BOLUS, True, alarm(faults.MOTOR_STALL), ("-221", "the bolus is refused: alarm")),
    (BOLUS, True, alarm(faults.OCCLUSION), ("-221", "the bolus is refused: alarm")),
    (BOLUS, True, lambda desk: desk.order("single_bolus", 1_000, 60), ("-221", "running")),
    (BOLUS, True, lambda desk: desk.order("suspend"), ("-221", "the bolus is refused: mode")),
    (BOLUS, True, weaker, ("-221", "1000 ug/mL", "program the concentration")),
    (BOLUS, True, given(695_001), ("-221", "the bolus is refused: daily dose")),
    (BOLUS, True, limits(max_daily_dose_ng=304_999), ("-221", "daily dose")),
    ("BOL:STAG 400000,600", True, limits(max_daily_dose_ng=399_999), ("-222", "399999")),
    (MORE, True, limits(max_daily_dose_ng=399_999), ("-222", "highest 24 h", "399999")),
    (MORE, True, given(600_001), ("-222", "600001 ng", "max_daily_dose_ng = 1000000")),
    (MORE, True, weaker, ("-221", "holds 1000 ug/mL", "refill first")),
    ("DEL:STAR:STAG", False, start, ("-221", "start is not possible in mode BASAL")),
    ("DEL:STAR:STAG", False, alarm(faults.EMPTY), ("-221", "EMPTY", "remove the cause")),
    ("DEL:STAR:STAG", False, weaker, ("-221", "1000 ug/mL", "program the concentration")),
    ("RES:REF:STAG 18000000,1000", False, start, ("-221", "while delivering")),
    ("LIM:STAG low_nl,5000000", False, start, ("-221", "stop it first")),
    ("LIM:STAG max_daily_dose_ng,350000", False,
     lambda desk: desk.order("set_program", simple(350_002)), ("-222", "350002", "350000")),
)  # fmt: skip


@pytest.mark.req("T04")
@pytest.mark.parametrize(("text", "delivering", "between", "words"), CASES)
def test_the_pump_is_asked_again_when_it_is_committed(text, delivering, between, words):
    desk = Desk(start=delivering)
    role, second = ("service", "clinician") if text[:3] == "LIM" else ("clinician", "service")
    session, other = desk.open(role), desk.open(second)
    staged = session.stage(text)
    desk.press()
    if staged["confirm"]:
        assert other.confirm(staged) == "OK"
    between(desk)
    before = desk.facts()
    reply = session.commit(staged)
    assert reply.startswith("ERR "), reply
    for word in words:
        assert word in reply, reply
    after = desk.facts()
    for name in ("program", "limits", "keys", "staged", "intent", "bolus"):
        assert after[name] == before[name]
    assert after["steps"][0] == before["steps"][0]
    assert desk.pump.ledger.fill_nl == 18_000_000
    # It stays staged: what has changed may change back within the minute.
    assert desk.read("STAG?")["pressed"] == 1


@pytest.mark.req("T04")
@pytest.mark.parametrize(("text", "delivering"), sorted({case[:2] for case in CASES}))
def test_nothing_having_changed_it_is_done(text, delivering):
    desk = Desk(start=delivering)
    role, second = ("service", "clinician") if text[:3] == "LIM" else ("clinician", "service")
    session, other = desk.open(role), desk.open(second)
    assert session.change(text, other) == "OK"


@pytest.mark.req("T04")
def test_a_bolus_is_given_once_its_alarm_has_gone_within_the_minute():
    desk = Desk()
    clinician = desk.open("clinician")
    staged = clinician.stage(BOLUS)
    desk.press()
    desk.pump.raise_fault(faults.SUPPLY_SENSOR)
    desk.pump.raise_fault(faults.RESERVOIR_LOW)
    assert "alarm" in clinician.commit(staged)
    desk.pump.clear_fault(faults.RESERVOIR_LOW)
    assert clinician.ask("ALAR:ACK RESERVOIR_LOW") == "OK"
    assert clinician.commit(staged) == "OK"
