"""The bolus rules over the line: what is granted, and what is refused with its reason."""

import pytest

from cisterna.base import faults
from host_tests.kit.bench import simple
from host_tests.kit.desk import SECOND_US, Desk

GRANTED = "OK"
LOCKOUT_S = 3_600


def asked(desk: Desk) -> str:
    """A patient asks over the line, in a session of this moment."""
    return desk.open("patient").ask("BOL:PAT")


def refused(desk: Desk, reason: str) -> None:
    """The bolus is refused for that reason, logged, and basal goes on."""
    granted, mode, rate = desk.names("BOLUS_GRANTED"), desk.mode, desk.pump.dosing.rate_nl_per_day
    reply = asked(desk)
    assert reply == f'ERR -221,"Settings conflict; the bolus is refused: {reason}"'
    assert desk.names("BOLUS_REFUSED")[-1].startswith(reason.partition(",")[0])
    assert desk.names("BOLUS_GRANTED") == granted
    assert (desk.mode, desk.pump.dosing.rate_nl_per_day) == (mode, rate)


@pytest.mark.req("B02")
@pytest.mark.parametrize(("short_us", "left_s"), [(1_000, 1), (1, 1), (0, 0)])
def test_the_lockout_ends_to_the_microsecond(short_us, left_s):
    desk = Desk()
    begun_us = desk.now_us
    assert asked(desk) == GRANTED
    desk.run_until_pump(begun_us + LOCKOUT_S * SECOND_US - short_us)
    assert desk.read("BOL?")["lockout_s"] == left_s
    if short_us:
        refused(desk, f"lockout, {left_s} s left")
    else:
        assert asked(desk) == GRANTED


@pytest.mark.req("B02")
def test_button_and_line_share_one_lockout():
    desk = Desk()
    desk.press()
    assert desk.names("BOLUS_GRANTED") == ["patient 5000 nL"]
    desk.run(1_300)
    refused(desk, f"lockout, {desk.read('BOL?')['lockout_s']} s left")


@pytest.mark.req("B01")
def test_a_clinician_asking_for_the_patients_bolus_is_held_to_the_patients_rules():
    desk = Desk()
    clinician = desk.open("clinician")
    assert clinician.ask("BOL:PAT") == GRANTED
    desk.run(100)
    assert "refused: running" in clinician.ask("BOL:PAT")
    desk.run(1_300)
    assert "refused: lockout" in desk.open("clinician").ask("BOL:PAT")


@pytest.mark.req("B01")
def test_the_daily_cap_holds_for_24_h():
    program = simple(300_000, bolus_dose_ng=2_000, bolus_s=60, lockout_s=300, daily_cap=3)
    desk = Desk(program=program)
    desk.run(1)
    for _ in range(3):
        assert asked(desk) == GRANTED
        desk.run(300)
    refused(desk, "daily cap")
    first_end_us = desk.pump.history._given[0][0]
    desk.run_until_pump(first_end_us + 86_400 * SECOND_US - 1)
    refused(desk, "daily cap")
    desk.run_until_pump(first_end_us + 86_400 * SECOND_US)
    assert asked(desk) == GRANTED


@pytest.mark.req("B01")
@pytest.mark.parametrize("code", range(len(faults.FAULTS)))
def test_alarms_of_medium_priority_and_above_bar_the_patients_bolus(code):
    desk = Desk()
    patient = desk.open("patient")
    desk.pump.raise_fault(code)
    reply = patient.ask("BOL:PAT")
    if faults.priority(code) >= faults.MEDIUM or code in faults.NO_BOLUS_CODES:
        assert "the bolus is refused: alarm" in reply
        assert desk.names("BOLUS_GRANTED") == []
    else:
        assert reply == GRANTED


@pytest.mark.req("B01")
@pytest.mark.parametrize(
    ("act", "reason"),
    [
        ("stop", "mode"),
        ("suspend", "mode"),
        ("unset", "mode"),
        ("none programmed", "none programmed"),
        ("running", "running"),
        ("low", "alarm"),
        ("daily dose", "daily dose"),
    ],
)
def test_a_refusal_carries_its_reason(act, reason):
    programs = {"none programmed": simple(300_000, bolus_dose_ng=0)}
    desk = Desk(program=programs.get(act), fill_ml=0 if act == "unset" else 18)
    if act in ("stop", "suspend"):
        desk.order(act)
    elif act == "running":
        assert asked(desk) == GRANTED
        desk.run(5)
    elif act == "low":
        desk.pump.raise_fault(faults.RESERVOIR_LOW)
    elif act == "daily dose":
        desk.pump.history.record(desk.now_us, 690_001, 1)
    refused(desk, reason)


@pytest.mark.req("B08")
@pytest.mark.parametrize("start", [True, False])
def test_a_single_bolus_returns_to_what_it_interrupted(start):
    desk = Desk(start=start)
    mode = desk.mode
    assert desk.open("clinician").change("BOL:STAG 5000,60") == GRANTED
    assert desk.mode == "BOLUS"
    desk.run(61)
    assert desk.mode == mode == ("BASAL" if start else "IDLE")
    assert desk.names("BOLUS_ENDED") == ["complete 2500 nL delivered"]
    assert desk.read("BOL?")["dose_24h_ng"] == 5_000


@pytest.mark.req("B03", "B04")
@pytest.mark.parametrize("text", ["DEL:SUSP", "DEL:STOP"])
def test_an_interrupted_bolus_counts_for_what_was_given_and_starts_the_lockout_anew(text):
    desk = Desk()
    assert asked(desk) == GRANTED
    desk.run(150)  # a quarter of its 600 s
    clinician = desk.open("clinician")
    interrupted_us = desk.now_us
    assert clinician.ask(text) == GRANTED
    assert desk.names("BOLUS_ENDED") == ["interrupted 1250 nL delivered"]
    told = desk.read("BOL?")
    assert told["running"] is None
    assert told["dose_24h_ng"] == 2_500
    assert told["patient_count_24h"] == 1
    assert told["lockout_s"] == LOCKOUT_S
    if text == "DEL:STOP":
        assert clinician.change("DEL:STAR:STAG") == GRANTED
    desk.run_until_pump(interrupted_us + LOCKOUT_S * SECOND_US - 1)
    assert desk.mode == "BASAL"  # and the rest of the bolus never came
    refused(desk, "lockout, 1 s left")
    desk.run_until_pump(interrupted_us + LOCKOUT_S * SECOND_US)
    assert asked(desk) == GRANTED


@pytest.mark.req("B04")
def test_a_bolus_is_told_while_it_runs():
    desk = Desk()
    assert asked(desk) == GRANTED
    desk.run(300)
    told = desk.read("BOL?")
    assert (told["running"], told["volume_nl"], told["delivered_nl"]) == ("patient", 5_000, 2_500)
    assert told["lockout_s"] == LOCKOUT_S - 300
    assert (told["patient_dose_ng"], told["daily_cap"]) == (10_000, 6)
    status = desk.read("STAT?")
    assert (status["mode"], status["bolus"]) == ("BOLUS", "patient")
    assert status["rate_nl_per_day"] == 150_000 + 720_000
