"""T03: a staged change waits for the button, for a second role if need be, at most 60 s."""

import json

import pytest

from cisterna.base.roles import CLINICIAN, SERVICE
from cisterna.parts.button import ConfirmPress
from cisterna.telemetry.figures import members
from cisterna.telemetry.staging import Change, Staging
from cisterna.telemetry.wire import CommandError
from cisterna.telemetry.writes import permille
from host_tests.kit.desk import PROGRAM, SECOND_US, Desk, Session, refused, split

BOLUS = "BOL:STAG 5000,60"
STRONGER = "RES:REF:STAG 17000000,1000"  # another concentration: a second role confirms
LIMITS = "LIM:STAG low_nl,5000000"


def at_desk(start: bool = True) -> tuple[Desk, Session, Session]:
    """A pump, a clinician and a service technician in session."""
    desk = Desk(start=start)
    return desk, desk.open("clinician"), desk.open("service")


def committing(staged: dict) -> str:
    """The command that commits it."""
    return f"{staged['what']}:COMM {staged['id']},{staged['echo']}"


@pytest.mark.req("T03")
@pytest.mark.parametrize("text", [PROGRAM, BOLUS, "RES:REF:STAG 17000000,2000"])
def test_nothing_is_done_without_the_button(text):
    desk, clinician, _ = at_desk()
    staged = clinician.stage(text)
    refused(desk, clinician, committing(staged), "-203", "press the pump's button first")
    desk.press()
    assert clinician.commit(staged) == "OK"
    assert desk.ask("STAG?") == "{}"


@pytest.mark.req("T03")
def test_the_start_waits_for_the_button():
    desk, clinician, _ = at_desk(start=False)
    staged = clinician.stage("DEL:STAR:STAG")
    refused(desk, clinician, committing(staged), "button first")
    assert desk.mode == "IDLE"
    desk.press()
    assert clinician.commit(staged) == "OK"
    assert desk.mode == "BASAL"


@pytest.mark.req("T03")
def test_a_press_before_the_stage_does_not_count():
    desk, clinician, _ = at_desk(start=False)
    desk.press()
    staged = clinician.stage("DEL:STAR:STAG")
    refused(desk, clinician, committing(staged), "button first")


@pytest.mark.req("T03")
def test_a_button_held_since_before_does_not_count_until_it_is_pressed_anew():
    desk, clinician, _ = at_desk(start=False)
    desk.hold(4)
    staged = clinician.stage("DEL:STAR:STAG")
    desk.run(2)
    assert desk.rig.button.pressed()
    refused(desk, clinician, committing(staged), "button first")
    desk.run(3)
    assert not desk.rig.button.pressed()
    refused(desk, clinician, committing(staged), "button first")
    desk.press()
    assert clinician.commit(staged) == "OK"


@pytest.mark.req("T03")
@pytest.mark.parametrize("short_us", [1_000, 1, 0, -1])
def test_a_staged_change_is_gone_after_60_s_to_the_microsecond(short_us):
    desk, clinician, _ = at_desk()
    staged_us = desk.now_us
    staged = clinician.stage(BOLUS)
    desk.press()
    desk.run_until_pump(staged_us + 60 * SECOND_US - short_us)
    if short_us > 0:
        assert desk.read("STAG?")["left_s"] == 1
        assert clinician.commit(staged) == "OK"
        assert desk.mode == "BOLUS"
    else:
        assert desk.ask("STAG?") == "{}"
        refused(desk, clinician, committing(staged), "-221", "gone after 60 s")
        assert desk.mode == "BASAL"


@pytest.mark.req("T03")
def test_it_expires_without_a_tick_too():
    """A line may come before the tick that is due: it is judged by the clock."""
    desk, clinician, _ = at_desk()
    staged = clinician.stage(BOLUS)
    desk.press()
    line = clinician.frame(committing(staged))
    late_us = desk.rig.pump_us + 60 * SECOND_US
    for byte in b"STAG?\n" + line.encode() + b"\n":
        desk.rig.telemetry.receive(late_us, byte)
    replies = desk.rig.link.take().decode().splitlines()
    assert replies[-2] == "{}"
    assert "ERR -221" in replies[-1]


@pytest.mark.req("T03")
def test_the_second_roles_confirmation_must_come_within_the_60_s():
    desk, clinician, service = at_desk(start=False)
    staged_us = desk.now_us
    staged = clinician.stage(STRONGER)
    desk.press()
    desk.run_until_pump(staged_us + 60 * SECOND_US)
    refused(desk, service, f"CONF {staged['id']},{staged['echo']}", "-221", "gone after 60 s")
    refused(desk, clinician, committing(staged), "-221")


@pytest.mark.req("T03")
def test_a_renewed_session_does_not_renew_what_is_staged():
    desk, clinician, _ = at_desk()
    staged = clinician.stage(BOLUS)
    desk.press()
    for _ in range(3):
        desk.run(20)
        assert clinician.ask("STAT?").startswith("{")
    refused(desk, clinician, committing(staged), "-221")


@pytest.mark.req("T03")
@pytest.mark.parametrize("digit", range(8))
def test_every_digit_of_the_echo_counts(digit):
    desk, clinician, _ = at_desk()
    staged = clinician.stage(BOLUS)
    desk.press()
    echo = staged["echo"]
    other = echo[:digit] + ("0" if echo[digit] != "0" else "1") + echo[digit + 1 :]
    refused(desk, clinician, committing({**staged, "echo": other}), "-221", "echo")
    assert clinician.commit(staged) == "OK"


@pytest.mark.req("T03")
@pytest.mark.parametrize("off", [-1, 1])
def test_another_id_is_refused(off):
    desk, clinician, service = at_desk(start=False)
    staged = clinician.stage(STRONGER)
    desk.press()
    other = {**staged, "id": staged["id"] + off}
    refused(desk, service, f"CONF {other['id']},{other['echo']}", "-221", "nothing with id")
    refused(desk, clinician, committing(other), "-221", "nothing with id")


@pytest.mark.req("T03")
def test_a_wrong_echo_confirms_nothing():
    desk, clinician, service = at_desk(start=False)
    staged = clinician.stage(STRONGER)
    refused(desk, service, f"CONF {staged['id']},00000000", "-221", "echo")
    desk.press()
    refused(desk, clinician, committing(staged), "-203", "second role")


@pytest.mark.req("T03")
@pytest.mark.parametrize("text", [STRONGER, LIMITS])
@pytest.mark.parametrize("order", ["press first", "confirm first"])
def test_concentration_and_limits_need_the_other_role_too(text, order):
    desk, clinician, service = at_desk(start=False)
    one, other = (service, clinician) if text == LIMITS else (clinician, service)
    staged = one.stage(text)
    assert staged["confirm"] == 1
    refused(desk, one, committing(staged), "-203", "second role")
    if order == "press first":
        desk.press()
        refused(desk, one, committing(staged), "-203", "second role")
        assert other.confirm(staged) == "OK"
    else:
        assert other.confirm(staged) == "OK"
        refused(desk, one, committing(staged), "-203", "button first")
        desk.press()
    assert desk.read("STAG?")["confirmed"] == desk.read("STAG?")["pressed"] == 1
    assert one.commit(staged) == "OK"


@pytest.mark.req("T03")
def test_the_role_that_staged_cannot_confirm():
    desk, clinician, _ = at_desk(start=False)
    staged = clinician.stage(STRONGER)
    desk.press()
    refused(desk, clinician, f"CONF {staged['id']},{staged['echo']}", "-203", "another role")
    clinician = desk.open("clinician")  # nor in a new session
    refused(desk, clinician, f"CONF {staged['id']},{staged['echo']}", "-203", "another role")
    refused(desk, clinician, committing(staged), "second role")


@pytest.mark.req("T03")
def test_the_role_that_confirmed_cannot_commit():
    """Nor can any other than the one that staged; even one that may give the command."""
    desk, clinician, service = at_desk(start=False)
    staged = clinician.stage(STRONGER)
    desk.press()
    assert service.confirm(staged) == "OK"
    refused(desk, service, committing(staged), "-203", "may not RES:REF:COMM")
    desk.telemetry.sessions.open[1].role = 2  # as if a second role could give the command
    refused(desk, service, committing({**staged, "what": "LIM"}), "-203")
    assert clinician.commit(staged) == "OK"


@pytest.mark.req("T03")
def test_what_needs_no_second_role_takes_no_confirmation():
    desk, clinician, service = at_desk()
    staged = clinician.stage(BOLUS)
    assert staged["confirm"] == 0
    refused(desk, service, f"CONF {staged['id']},{staged['echo']}", "-221", "needs no second")


@pytest.mark.req("T03")
def test_a_change_is_committed_by_its_own_command():
    desk, clinician, _ = at_desk()
    staged = clinician.stage(BOLUS)
    desk.press()
    refused(desk, clinician, committing({**staged, "what": "PROG"}), "-221", "BOL is staged")
    refused(desk, clinician, committing({**staged, "what": "DEL:STAR"}), "-221", "BOL is staged")
    assert clinician.commit(staged) == "OK"


@pytest.mark.req("T03")
def test_a_change_is_committed_once():
    desk, clinician, _ = at_desk()
    staged = clinician.stage(BOLUS)
    desk.press()
    assert clinician.commit(staged) == "OK"
    desk.run(70)
    refused(desk, clinician, committing(staged), "-221", "nothing with id")
    assert desk.names("BOLUS_GRANTED") == ["single 2500 nL"]


@pytest.mark.req("T03")
def test_a_newer_stage_replaces_the_older_with_its_press_and_confirmation():
    desk, clinician, service = at_desk(start=False)
    first = clinician.stage(STRONGER)
    desk.press()
    assert service.confirm(first) == "OK"
    second = clinician.stage("RES:REF:STAG 16000000,1000")
    refused(desk, clinician, committing(first), "-221", "nothing with id")
    refused(desk, clinician, committing(second), "-203", "second role")
    refused(desk, service, f"CONF {first['id']},{first['echo']}", "-221")
    assert service.confirm(second) == "OK"
    refused(desk, clinician, committing(second), "-203", "button first")
    desk.press()
    assert clinician.commit(second) == "OK"
    assert desk.pump.ledger.fill_nl == 16_000_000


@pytest.mark.req("T03")
def test_a_refused_stage_leaves_what_was_staged():
    desk, clinician, _ = at_desk()
    staged = clinician.stage(BOLUS)
    desk.press()
    refused(desk, clinician, "BOL:STAG 5000,59", "-222")
    refused(desk, clinician, "BOL:STAG 900000,60", "-221", "daily dose")
    assert clinician.commit(staged) == "OK"


@pytest.mark.req("T03")
@pytest.mark.parametrize("dropper", ["clinician", "service"])
def test_a_dropped_change_is_gone_and_its_press_with_it(dropper):
    desk, clinician, service = at_desk()
    staged = clinician.stage(BOLUS)
    desk.press()
    assert {"clinician": clinician, "service": service}[dropper].ask("STAG:DROP") == "OK"
    assert desk.ask("STAG?") == "{}"
    refused(desk, clinician, committing(staged), "-221")
    staged = clinician.stage(BOLUS)
    refused(desk, clinician, committing(staged), "button first")


@pytest.mark.req("T03")
def test_a_press_while_something_is_staged_is_no_bolus_and_one_after_it_is():
    desk, clinician, _ = at_desk()
    staged = clinician.stage("PROG:STAG continuous,2000,10000,600,3600,6,127,0,280000")
    desk.press()
    desk.press()
    assert desk.names("BOLUS_GRANTED", "BOLUS_REFUSED") == []
    assert clinician.commit(staged) == "OK"
    desk.press()
    assert desk.names("BOLUS_GRANTED") == ["patient 5000 nL"]


@pytest.mark.req("T03")
@pytest.mark.parametrize("how", ["expired", "dropped"])
def test_a_press_is_a_bolus_again_once_nothing_is_staged(how):
    desk, clinician, _ = at_desk()
    clinician.stage(BOLUS)
    if how == "expired":
        desk.run(59)
        desk.press()  # ends well before the 60 s
        assert desk.names("BOLUS_GRANTED") == []
        desk.run(1)
    else:
        clinician.ask("STAG:DROP")
    desk.press()
    assert desk.names("BOLUS_GRANTED") == ["patient 5000 nL"]


@pytest.mark.req("T03")
def test_what_is_staged_does_not_survive_a_reboot():
    desk, clinician, _ = at_desk()
    staged = clinician.stage(BOLUS)
    desk.press()
    desk.rig.power_down()
    desk.rig.power_up(2)
    desk.run(3)
    assert desk.ask("STAG?") == "{}"
    refused(desk, desk.open("clinician"), committing(staged), "-221")


@pytest.mark.req("T03")
def test_the_echo_is_over_what_is_shown():
    """The same change at another time, by another id, has another echo."""
    desk, clinician, _ = at_desk()
    first, second = clinician.stage(BOLUS), clinician.stage(BOLUS)
    assert {k: v for k, v in first.items() if k not in ("id", "echo")} == {
        k: v for k, v in second.items() if k not in ("id", "echo")
    }
    assert first["id"] != second["id"]
    assert first["echo"] != second["echo"]
    shown = desk.read("STAG?")
    assert {key: shown[key] for key in second} == second
    assert (shown["pressed"], shown["confirmed"], shown["left_s"]) == (0, 1, 60)


@pytest.mark.req("T03")
def test_a_stage_shows_old_and_new():
    desk, clinician, service = at_desk(start=False)
    staged = clinician.stage("PROG:STAG continuous,2000,12000,600,3600,6,127,0,250000")
    assert staged["what"] == "PROG"
    assert staged["role"] == "clinician"
    assert (staged["old_mean_ng_per_day"], staged["new_mean_ng_per_day"]) == (300_000, 250_000)
    assert (staged["old_mean_nl_per_day"], staged["new_mean_nl_per_day"]) == (150_000, 125_000)
    assert staged["change_permille"] == -167
    assert (staged["old_bolus_dose_ng"], staged["new_bolus_dose_ng"]) == (10_000, 12_000)
    assert staged["new_refill_in_s"] > staged["old_refill_in_s"]
    staged = clinician.stage("RES:REF:STAG 17000000,1000,12000000")
    assert (staged["old_remaining_nl"], staged["new_volume_nl"]) == (18_000_000, 17_000_000)
    assert (staged["residual_nl"], staged["discrepancy"]) == (12_000_000, 1)
    assert staged["old_concentration_ug_per_ml"] == 2000
    assert staged["new_concentration_ug_per_ml"] == 1000
    staged = service.stage("LIM:STAG low_nl,5000000,restarts,3")
    assert (staged["old_low_nl"], staged["new_low_nl"]) == (4_000_000, 5_000_000)
    assert (staged["old_restarts"], staged["new_restarts"]) == (0, 3)
    refused(desk, service, "LIM:STAG low_nl,5000000,low_nl,6000000", "-224", "comes twice")


@pytest.mark.req("T03", "T05")
def test_only_the_role_that_staged_commits_even_if_the_table_let_another():
    """The table has one role a change; this holds by itself, too."""
    intent = ConfirmPress()
    staging = Staging(intent)
    change = Change("BOL", members([("dose_ng", 1)]), "single_bolus", (1, 60))
    echo = json.loads(staging.stage(0, change, 7, CLINICIAN))["echo"]
    assert intent.take()
    with pytest.raises(CommandError, match="clinician staged it and commits it"):
        staging.to_commit(0, "BOL", 7, echo, SERVICE)
    assert staging.to_commit(5, "BOL", 7, echo, CLINICIAN) is change


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (300, 400, 333),
        (300, 350, 167),
        (300, 200, -333),
        (300, 250, -167),
        (0, 5, None),
        (7, 7, 0),
    ],
)
def test_a_change_is_told_to_the_nearest_thousandth(old, new, change):
    assert permille(old, new) == change


@pytest.mark.req("T03")
@pytest.mark.parametrize("fill_ml", [0, 18])
def test_the_first_program_of_a_pump_sets_its_concentration_and_needs_the_other_role(fill_ml):
    desk = Desk(fill_ml=fill_ml, start=False)
    clinician = desk.open("clinician")
    staged = clinician.stage(PROGRAM)
    assert staged["confirm"] == (fill_ml == 0)
    desk.press()
    if staged["confirm"]:
        refused(desk, clinician, committing(staged), "a second role must confirm")
        assert desk.open("service").confirm(staged) == "OK"
    assert clinician.commit(staged) == "OK"


@pytest.mark.req("T09")
def test_a_long_program_is_weighed_between_the_pumps_turns():
    desk = Desk()
    clinician = desk.open("clinician")
    segments = [f"{1 << day},{60 * hour},{270_000 + 1_000 * hour}" for day in range(7)
                for hour in range(24)]  # fmt: skip
    line = clinician.frame("PROG:STAG profile,2000,20000,60,3600,6," + ",".join(segments))
    telemetry = desk.rig.telemetry
    desk.rig.link.take()
    for byte in line.encode() + b"\n":
        assert not telemetry.receive(desk.rig.pump_us, byte)
    pieces = 0
    while telemetry.busy:
        assert desk.rig.link.take() == b""
        telemetry.tick(desk.rig.pump_us)
        desk.run(0.01)
        telemetry.proceed(desk.rig.pump_us)
        pieces += 1
    assert pieces > 20
    staged = json.loads(split(desk.rig.link.take().decode().strip())[1])
    assert (staged["what"], staged["new_kind"]) == ("PROG", "profile")
    # Its minute begins when it is told, not when the line came.
    assert desk.read("STAG?")["left_s"] == 60
    # What is staged is an order by its name, and its arguments.
    change = desk.telemetry.staging._change
    assert change.order == "set_program"
    assert len(change.arguments[0].segments) == 168


@pytest.mark.req("T09")
def test_the_reply_to_a_long_program_that_is_refused_comes_as_one():
    desk = Desk()
    clinician = desk.open("clinician")
    rest = ",".join(f"127,{minute},9999999" for minute in range(0, 1440, 60))
    reply = clinician.ask("PROG:STAG profile,2000,20000,60,3600,6," + rest)
    assert reply.startswith("ERR -222")
    assert not desk.rig.telemetry.busy
