"""T06: failures to prove a key close the door for a while; the pump delivers as ever."""

import pytest

from host_tests.kit.desk import SECOND_US, Desk, digest16, framed

WRONG = b"not the key of any role at all.."
ATTEMPTS = 5


def guess(desk: Desk, role: str = "clinician") -> str:
    """Try to open a session without the key."""
    hello = desk.ask(f"AUTH:HELL {role},{'0' * 32}")
    if hello.startswith("ERR"):
        return hello
    return desk.ask(f"AUTH:PROV {hello.partition(',')[0]},{'0' * 32}")


def fail(desk: Desk, times: int = ATTEMPTS) -> None:
    """Fail so often in a row."""
    for _ in range(times):
        assert "wrong key" in guess(desk)


@pytest.mark.req("T06")
def test_the_fifth_failure_closes_the_door_for_a_minute_to_the_microsecond():
    desk = Desk()
    fail(desk, 4)
    assert desk.read("AUTH?")["barred_s"] == 0
    begun_us = desk.now_us
    fail(desk, 1)
    assert desk.read("AUTH?")["barred_s"] == 60
    assert guess(desk) == 'ERR -203,"Command protected; too many failures; wait 60 s"'
    for at_us, barred in ((59 * SECOND_US, 1), (60 * SECOND_US - 1, 1), (60 * SECOND_US, 0)):
        desk.run_until_pump(begun_us + at_us)
        assert desk.read("AUTH?")["barred_s"] == barred
        assert ("too many failures" in guess(desk)) == bool(barred)


@pytest.mark.req("T06")
def test_even_the_right_key_waits():
    desk = Desk()
    name, key = desk.hello("clinician")
    fail(desk)
    assert "too many failures" in desk.ask(f"AUTH:PROV {name},{digest16(key, b'host')}")
    desk.run(60)
    desk.open("clinician")


@pytest.mark.req("T06")
def test_the_wait_doubles_up_to_an_hour():
    desk = Desk()
    waits = []
    for _ in range(9):
        fail(desk)
        begun_us, wait_s = desk.now_us, desk.read("AUTH?")["barred_s"]
        waits.append(wait_s)
        desk.run_until_pump(begun_us + wait_s * SECOND_US - 1)
        assert "too many failures" in guess(desk)
        desk.run_until_pump(begun_us + wait_s * SECOND_US)
    assert waits == [60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]


@pytest.mark.req("T06")
def test_a_success_starts_counting_anew():
    desk = Desk()
    fail(desk)
    desk.run(60)
    fail(desk, 4)
    desk.open("patient")
    fail(desk, 4)
    desk.open("patient")
    fail(desk)
    assert desk.read("AUTH?")["barred_s"] == 60


@pytest.mark.req("T06")
def test_a_wrong_mac_in_an_open_session_counts_too():
    desk = Desk()
    clinician = desk.open("clinician")
    facts = desk.facts()
    for times in range(1, 8):
        signed = f"#t1 DEL:STOP @{clinician.name},{times}"
        reply = desk.ask(framed(f"{signed},{digest16(WRONG, b'C' + signed.encode())}"))
        assert ("wrong MAC" if times <= ATTEMPTS else "too many failures") in reply
        assert desk.facts() == facts
    assert desk.read("AUTH?")["barred_s"] == 60
    assert "too many failures" in guess(desk)
    assert desk.read("SYST:LINK?")["wrong_macs"] == ATTEMPTS


@pytest.mark.req("T06")
def test_whoever_is_inside_stays_and_works_on():
    desk = Desk()
    clinician, service = desk.open("clinician"), desk.open("service")
    staged = clinician.stage("BOL:STAG 5000,60")
    fail(desk)
    assert service.ask("ALAR:PAUS 5") == "OK"
    desk.press()
    assert clinician.commit(staged) == "OK"
    assert desk.mode == "BOLUS"
    assert desk.read("AUTH?")["barred_s"] > 0


@pytest.mark.req("T06")
def test_failures_are_logged_and_do_not_flood_the_log():
    """A day of guessing as fast as the pump lets one."""
    desk = Desk()
    before = desk.pump.log.sequence
    guesses = 0
    end_us = desk.now_us + 86_400 * SECOND_US
    fail(desk, 1)
    assert desk.names("AUTH_FAILED") == ["clinician 1 in a row"]
    while desk.now_us < end_us:
        guesses += 1
        if "too many failures" in guess(desk):
            desk.run(desk.read("AUTH?")["barred_s"])
    failed = desk.names("AUTH_FAILED")
    assert failed[:3] == ["clinician 1 in a row", "clinician 5 in a row", "clinician 1 in a row"]
    assert len(failed) == desk.pump.log.sequence - before
    assert len(failed) <= 2 * (7 + 24)
    assert guesses > 150


@pytest.mark.req("T06")
def test_lines_that_prove_nothing_and_try_nothing_are_not_logged():
    desk = Desk()
    before = desk.pump.log.sequence
    proof = "AUTH:PROV 0000," + "0" * 32
    for line in ("DEL:STOP", framed("#t1 DEL:STOP"), proof, "AUTH:HELL x,y"):
        for _ in range(10):
            assert "ERR" in desk.ask(line)
    assert desk.pump.log.sequence == before
    assert desk.read("AUTH?")["barred_s"] == 0


def _steps(attack: bool) -> list[tuple[int, int]]:
    """When the motor stepped in an hour with a bolus in it: (true time, pulses then)."""
    desk = Desk(dose_ug_per_day=700, full_rate=True)
    steps: list[tuple[int, int]] = []
    stepper = desk.rig.hal.stepper
    pulse = stepper.pulse

    def note() -> None:
        pulse()
        steps.append((desk.rig.now_us, desk.rig.plant.pulses))

    stepper.pulse = note  # type: ignore[method-assign]
    desk.run(100)
    desk.press()
    for _ in range(600):
        if attack:
            guess(desk)
            desk.ask(framed(f"#t1 DEL:STOP @0000,1,{'0' * 32}"))
            desk.rig.send(b"\xff\x00garbage" * 20 + b"\n")
        desk.run(5.5)
    assert desk.names("BOLUS_ENDED") == ["complete 5000 nL delivered"]
    if attack:
        assert len(desk.names("AUTH_FAILED")) >= 8
    return steps


@pytest.mark.req("T06")
def test_the_motor_steps_as_it_would_without_the_attack():
    quiet, attacked = _steps(attack=False), _steps(attack=True)
    assert len(quiet) > 200
    assert attacked == quiet
