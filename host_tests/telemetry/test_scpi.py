"""What makes the interface SCPI: forms of a header, errors and their queue, help, restart."""

import itertools
import json

import pytest

from cisterna.base import faults
from cisterna.base.version import VERSION
from cisterna.telemetry.commands import all_rows
from cisterna.telemetry.rows import READ
from host_tests.kit.desk import Desk, example, framed, split

COMMANDS = all_rows()
HEADERS = [row.header for row in COMMANDS]
READS = [row.header for row in COMMANDS if row.kind == READ]
# The long forms of each mnemonic as a manual would print them, by command.
LONG_FORMS = {
    "SYST": "SYSTEM", "ERR": "ERROR", "COUN": "COUNT", "VERS": "VERSION", "PROT": "PROTOCOL",
    "STAT": "STATUS", "MEAS": "MEASURE", "PRES": "PRESSURE", "LEV": "LEVEL", "SUPP": "SUPPLY",
    "PROG": "PROGRAM", "STAG": "STAGE", "COMM": "COMMIT", "LIM": "LIMITS", "CAL": "CALIBRATION",
    "VOL": "VOLUME", "REF": "REFILL", "BOL": "BOLUS", "PAT": "PATIENT", "DEL": "DELIVERY",
    "STAR": "START", "SUSP": "SUSPEND", "ALAR": "ALARM", "ACK": "ACKNOWLEDGE", "PAUS": "PAUSE",
    "CLOC": "CLOCK", "TEL": "TELEMETRY", "PER": "PERIOD", "CONF": "CONFIRM", "SERV": "SERVICE",
    "CLE": "CLEAR", "AUTH": "AUTHORITY", "HELL": "HELLO", "ROT": "ROTATE",
}  # fmt: skip
AMBIGUOUS = {
    "RES?": "RESERVOIR?", "RES:VOL?": "RESERVOIR:VOLUME?", "DEL:RES": "DELIVERY:RESUME",
    "RES:REF:STAG": "RESERVOIR:REFILL:STAGE", "RES:REF:COMM": "RESERVOIR:REFILL:COMMIT",
    "AUTH:PROV": "AUTHORITY:PROVE", "KEY:PROV": "KEY:PROVISION",
}  # fmt: skip


def long_form(header: str) -> str:
    """The header with every mnemonic written out."""
    if header in AMBIGUOUS:
        return AMBIGUOUS[header]
    words = header.removesuffix("?").split(":")
    return ":".join(LONG_FORMS.get(word, word) for word in words) + "?" * header.endswith("?")


@pytest.mark.parametrize("header", HEADERS)
def test_long_and_short_forms_in_any_case_are_one_command(header):
    desk = Desk()
    expected = desk.ask(f"SYST:HELP? {header}")
    assert not expected.startswith("ERR")
    words = zip(
        header.removesuffix("?").split(":"),
        long_form(header).removesuffix("?").split(":"),
        strict=True,
    )
    end = "?" * header.endswith("?")
    for choice in itertools.product(*words):
        form = ":".join(choice) + end
        for text in (form, form.lower(), form.title(), ":" + form):
            assert desk.ask(f"SYST:HELP? {text}") == expected
    for wrong in (header[:-1], header + "X", header + ":X", "X:" + header, header + "??"):
        if wrong not in HEADERS:
            assert desk.ask(f"SYST:HELP? {wrong}").startswith("ERR -113"), wrong


@pytest.mark.parametrize("header", READS)
def test_every_question_is_answered_alike_in_every_form(header):
    desk = Desk()
    if header == "SYST:ERR?":
        for _ in range(4):
            desk.ask("FOO?")
    arguments = example(header)[len(header) :]
    answers = {
        desk.ask(form + arguments)
        for form in (header, header.lower(), long_form(header), long_form(header).title())
    }
    if header == "SYST:LINK?":
        assert len({tuple(json.loads(answer)) for answer in answers}) == 1
    elif not header.startswith(("MEAS", "STAT")):  # a reading has noise
        assert len(answers) == 1
    assert not any(answer.startswith("ERR") for answer in answers)
    if "JSON" in next(row.reply for row in COMMANDS if row.header == header):
        for answer in answers:
            json.loads(answer)


def test_the_identity_and_the_versions():
    desk = Desk()
    assert desk.ask("*IDN?") == f"Cisterna,sim,SIM0001,{VERSION}"
    assert desk.ask("*OPC?") == "1"
    assert desk.ask("SYST:VERS?") == "1999.0"
    assert desk.ask("SYST:PROT?") == "1"


# -- help ---------------------------------------------------------------------------------------


def test_help_lists_every_command():
    assert Desk().ask("SYST:HELP?").split(",") == sorted(HEADERS)


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.header)
def test_help_of_every_command_is_one_line_that_says_it_all(row):
    text = Desk().ask(f"SYST:HELP? {row.header}")
    assert text == row.describe()
    assert text.startswith(row.header)
    assert " -> " in text
    assert len(text) < 300
    for spec in row.arguments:
        assert spec[1] in text


def test_every_reply_fits_the_ring_that_a_board_has_for_what_it_says():
    """1,024 bytes (firmware/hal/console.py); a longer one would be dropped whole."""
    desk = Desk()
    for _ in range(20):
        desk.press()
        desk.ask("FOO?")
    for header in READS:
        text = {"LOG?": "LOG? 0,16"}.get(header, header)
        assert len(desk.ask(framed(f"#tag45678 {text}"))) + 1 + 35 <= 1_024, header


# -- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("FOO?", -113),
        ("STAT", -113),
        ("DEL:STOP?", -113),
        ("?", -113),
        (" *IDN?", -113),
        ("*IDN? ;*OPC?", -108),
        ("*IDN?;*OPC?", -113),
        ("*IDN? 1", -108),
        ("LOG? 0", -109),
        ("LOG?", -109),
        ("LOG? 0,", -109),
        ("LOG? 0,1,2", -108),
        ("LOG? a,1", -104),
        ("LOG? 0.5,1", -104),
        ("LOG? 0,17", -222),
        ("LOG? 0,0", -222),
        ("LOG? -1,1", -222),
        ("LOG? 4294967296,1", -222),
        ("LOG? 1 2", -102),
        ("TEL:PER", -109),
        ("TEL:PER 3600001", -222),
        ("TEL:PER 99", -222),
        ("TEL:PER 1", -222),
        ("AUTH:HELL king," + "0" * 32, -224),
        ("AUTH:HELL patient,0", -104),
        ("#t1 STAT?", -360),
        ("STAT? *00000000", -360),
        ("x" * 3_073, -363),
        ("x\u00e9", -101),
        ("DEL:STOP", -203),
    ],
)
def test_a_wrong_line_has_its_standard_number(line, number):
    desk = Desk()
    facts = desk.facts()
    reply = desk.ask(line)
    assert reply.startswith(f'ERR {number},"')
    assert reply.endswith('"')
    assert desk.facts() == facts
    assert desk.ask("SYST:ERR?") == reply.removeprefix("ERR ")
    assert desk.ask("SYST:ERR?") == '0,"No error"'


def test_an_error_on_a_framed_line_is_framed():
    tag, payload, mac, _ = split(Desk().ask(framed("#abc FOO?")))
    assert (tag, mac) == ("abc", "")
    assert payload.startswith("ERR -113")


def test_the_queue_holds_16_errors_and_then_says_that_there_were_more():
    desk = Desk()
    for number in range(15):
        desk.ask(f"FOO{number}?")
    assert desk.ask("SYST:ERR:COUN?") == "15"
    desk.ask("FOO15?")
    assert desk.ask("SYST:ERR:COUN?") == "16"
    for _ in range(3):
        desk.ask("LAST?")
        assert desk.ask("SYST:ERR:COUN?") == "16"
    for number in range(15):
        assert f"FOO{number}?" in desk.ask("SYST:ERR?")
    assert desk.ask("SYST:ERR?") == '-350,"Queue overflow"'
    assert desk.ask("SYST:ERR?") == '0,"No error"'


def test_cls_empties_the_queue():
    desk = Desk()
    desk.ask("FOO?")
    assert desk.ask("*CLS") == "OK"
    assert desk.ask("SYST:ERR:COUN?") == "0"


def test_what_comes_down_the_line_is_counted():
    desk = Desk()
    before = desk.read("SYST:LINK?")
    for line in ("*IDN?", "FOO?", "#t1 X", "STAT? *00000000", "x\u00e9", "x" * 4_000, "", "\r"):
        desk.ask(line)
    after = desk.read("SYST:LINK?")
    assert {name: after[name] - before[name] for name in after} == {
        "lines": 7, "refused": 5, "corrupt": 4, "wrong_macs": 0, "dropped": 0,
    }  # fmt: skip


def test_quotes_in_a_line_do_not_break_the_reply():
    reply = Desk().ask('F"OO"?')
    assert reply == "ERR -113,\"Undefined header; no command F'OO'?; SYST:HELP? lists them\""


# -- *RST ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["BASAL", "BOLUS", "SUSPENDED", "HALTED", "SELFTEST"])
def test_a_pump_that_delivers_or_is_to_does_not_restart(mode):
    desk = Desk()
    service = desk.open("service")
    if mode == "BOLUS":
        desk.press()
    elif mode == "SUSPENDED":
        desk.order("suspend")
    elif mode == "HALTED":
        desk.pump.raise_fault(11)
        desk.order("acknowledge", 0)
    elif mode == "SELFTEST":
        desk.rig.power_down()
        desk.rig.power_up(0)
        service = desk.open("service")
    assert desk.mode == mode
    telemetry = desk.telemetry
    assert "stop it first" in service.ask("*RST")
    assert desk.telemetry is telemetry
    assert desk.mode == mode


@pytest.mark.parametrize("mode", ["UNCONFIGURED", "IDLE", "STOPPED"])
def test_a_pump_at_rest_restarts(mode):
    desk = Desk(fill_ml=0 if mode == "UNCONFIGURED" else 18, start=False)
    if mode == "STOPPED":
        desk.order("start")
        desk.order("stop")
    assert desk.mode == mode
    service = desk.open("service")
    telemetry = desk.telemetry
    assert service.ask("*RST") == "OK"
    assert desk.telemetry is not telemetry
    assert desk.names("BOOT")[-1] == "restart 0 steps open"
    desk.run(3)
    assert desk.mode == mode
    assert desk.ask("SYST:LAST?") == f"{desk.counter},t1,unknown"


def test_a_single_bolus_of_a_stopped_pump_is_not_cut_by_a_restart():
    desk = Desk(start=False)
    service = desk.open("service")
    assert desk.open("clinician").change("BOL:STAG 5000,60") == "OK"
    assert "stop it first" in service.ask("*RST")
    assert desk.mode == "BOLUS"


# -- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("service", "LIM:STAG low_nl"),
        ("service", "LIM:STAG low_nl,5000000,empty_nl"),
        ("clinician", "PROG:STAG continuous,2000,10000,600,3600,6,127"),
        ("clinician", "PROG:STAG continuous,2000,10000,600,3600,6,127,0"),
        ("clinician", "PROG:STAG profile,2000,10000,600,3600,6,127,0,250000,127"),
    ],
)
def test_arguments_that_come_together_are_missed_together(role, text):
    desk = Desk(start=False)
    session = desk.open(role)
    facts = desk.facts()
    assert session.ask(text).startswith("ERR -109")
    assert desk.facts() == facts


@pytest.mark.parametrize("order", [("CLOCK_LOST", "SUPPLY_LOW"), ("SUPPLY_LOW", "CLOCK_LOST")])
def test_alarms_are_acknowledged_by_name_each_of_several(order):
    desk = Desk()
    for code in (faults.CLOCK_LOST, faults.SUPPLY_LOW, faults.BUTTON_STUCK):
        desk.pump.raise_fault(code)
    assert desk.open("service").ask(f"ALAR:ACK {','.join(order)}".lower()) == "OK"
    assert sorted(desk.names("ALARM_ACKED")[-2:]) == ["CLOCK_LOST", "SUPPLY_LOW"]
    assert desk.pump.alarms.present >> faults.BUTTON_STUCK & 1
    assert not desk.pump.alarms.acked >> faults.BUTTON_STUCK & 1
