"""The verbs that change something: asked first, shown, confirmed by the button, done once."""

import json
import os
import pty
import re
import select
import time
from datetime import datetime
from pathlib import Path

import pytest

from host_tests.kit.served import Home, Served, wait_until

PROFILE = """
[drug]
concentration_ug_per_ml = 2000
[program]
kind = "profile"
segments = [
    { start = "00:00", dose_ug_per_day = 240 },
    { start = "06:00", dose_ug_per_day = 330.5 },
]
"""


@pytest.fixture
def profile(tmp_path: Path) -> str:
    path = tmp_path / "profile.toml"
    path.write_text(PROFILE, encoding="utf-8")
    return str(path)


def dose(pump: Served) -> int:
    return int(pump("program", "show", "--json").json["mean_ng_per_day"])


def test_a_program_is_compared_set_and_taken_back(pump: Served, profile: str) -> None:
    said = pump("program", "set", profile, "--yes", "--press", "--json")
    assert said.code == 0
    assert said.json["new_mean_ng_per_day"] == 307_874
    assert said.json["change_permille"] == 26
    for word in ("330.5 ug/day", "300 ug/day", "+2.6 %", "refill in"):
        assert word in said.err
    assert dose(pump) == 307_874
    assert pump.do("program", "revert").json["new_mean_ng_per_day"] == 300_000
    assert dose(pump) == 300_000
    assert pump("program", "show", "--json").json["bolus_dose_ng"] == 10_000


def test_stage_and_commit_are_two_commands(pump: Served, profile: str) -> None:
    staged = pump("program", "stage", profile, "--json").json
    assert pump("staged", "show", "--json").json["echo"] == staged["echo"]
    assert dose(pump) == 300_000
    assert pump.do("program", "commit").json["id"] == staged["id"]
    assert dose(pump) == 307_874
    assert pump.do("program", "revert").json["new_mean_ng_per_day"] == 300_000
    again = pump("program", "commit", "--yes", "--press")
    assert again.code == 7
    assert "nothing is staged" in again.err


def test_a_commit_counts_down_from_when_it_was_staged(pump: Served, profile: str) -> None:
    pump("program", "stage", profile)
    wait_until(lambda: pump("staged", "show", "--json").json["left_s"] < 57)
    commit = pump.home.start("--port", pump.tcp, "program", "commit", "--yes")
    assert commit.stderr is not None
    asked = next(line for line in commit.stderr if line.startswith("Press the pump's button: "))
    assert 40 < int(asked.split()[4]) < 57
    pump.press()
    commit.communicate(timeout=20)
    assert commit.returncode == 0


def test_what_another_verb_staged_is_no_program_to_commit(pump: Served) -> None:
    first = pump.home.start("--port", pump.tcp, "bolus", "--dose", "5", "--minutes", "10", "--yes")
    wait_until(lambda: pump("staged", "show", "--json").json)
    assert "waits for the button" in pump("staged", "show").out
    said = pump("program", "commit", "--yes", "--press")
    assert said.code == 7
    assert "BOL is staged, no program" in said.err
    pump.press()
    _, err = first.communicate(timeout=20)
    assert first.returncode == 0, err


def test_what_is_staged_can_be_dropped(pump: Served, profile: str) -> None:
    pump("program", "stage", profile)
    pump.do("staged", "drop")
    assert pump("staged", "show", "--json").json == {}
    assert dose(pump) == 300_000


def test_nothing_changes_without_the_button(pump: Served, profile: str) -> None:
    pump.args = ("--speed", "20")
    pump.down()
    pump.up()
    said = pump("program", "set", profile, "--yes")
    assert said.code == 7
    assert "button was not pressed" in said.err
    # In a script's log, once.
    assert said.err.count("Press the pump's button: ") == 1
    assert dose(pump) == 300_000


def test_no_is_an_answer_and_leaves_nothing_staged(pump: Served, profile: str) -> None:
    for answer, hint in (("n\n", "nothing was changed"), ("", "give --yes")):
        said = pump("program", "set", profile, input=answer)
        assert said.code == 7
        assert hint in said.err
    assert pump("staged", "show", "--json").json == {}
    assert dose(pump) == 300_000


def test_questions_stay_off_standard_output(pump: Served) -> None:
    said = pump("stop", "--json", input="y\n")
    assert said.code == 0
    assert said.out == '{"mode": "STOPPED", "rate_nl_per_day": 0}\n'
    assert "Stop a bolus that runs" in said.err


def test_start_stop_suspend_resume_and_a_bolus(pump: Served) -> None:
    assert pump.do("suspend").json["mode"] == "SUSPENDED"
    assert pump.do("resume").json["mode"] == "BASAL"
    bolus = pump.do("bolus", "--dose", "2.5", "--minutes", "10").json
    assert (bolus["dose_ng"], bolus["volume_nl"]) == (2_500, 1_250)
    assert pump.status()["mode"] == "BOLUS"
    assert pump.do("stop").json == {"mode": "STOPPED", "rate_nl_per_day": 0}
    pump.do("start")
    assert pump.status()["mode"] == "BASAL"


def test_the_patient_asks_for_a_bolus_once_the_lockout_is_over(pump: Served) -> None:
    early = pump("bolus", "--patient", "--yes")
    assert early.code == 5
    assert "lockout" in early.err
    pump.args = ("--speed", "600")
    pump.down()
    pump.up()

    def locked() -> bool:
        return '"lockout_s":0' not in pump("term", input="BOL?\n").out

    wait_until(lambda: not locked())
    assert pump.do("bolus", "--patient").json["running"] == "patient"
    again = pump("bolus", "--patient", "--yes")
    assert again.code == 5
    assert "the bolus is refused" in again.err


def test_a_second_role_confirms_limits_from_another_host(pump: Served) -> None:
    pump.do("stop")
    keys = pump.home.keys.read_text(encoding="utf-8")
    alone = pump.home.folder / "service.toml"
    alone.write_text(re.sub(r"clinician = .*\n", "", keys), encoding="utf-8")
    alone.chmod(0o600)
    first = pump.home.start(
        "--port", pump.tcp, "--keys", str(alone), "--yes", "--press", "limits", "set",
        "occlusion_pa=60000",
    )  # fmt: skip
    try:
        wait_until(lambda: pump("staged", "show", "--json").json)
        shown = pump("staged", "confirm", "--yes")
        assert shown.code == 0
        assert re.search(r"occlusion +│ 69 kPa +│ 60 kPa", shown.err)
        assert "Staged by the service; waits for the button and a second role" in shown.err
        _, err = first.communicate(timeout=30)
    finally:
        first.close()
    assert first.returncode == 0, err
    assert "clinician must confirm" in err
    assert pump("limits", "show", "--json").json["occlusion_pa"] == 60_000


def test_both_roles_in_one_keys_file_are_asked_one_after_the_other(pump: Served) -> None:
    pump.do("stop")
    words = ("limits", "set", "occlusion_pa=60000", "--press")
    assert pump(*words, input="y\nn\n").code == 7
    said = pump(*words, input="y\ny\n")
    assert said.code == 0
    assert "A second person must agree. Confirm it as clinician?" in said.err
    assert "Confirmed as clinician." in said.err


def test_a_refill_of_another_strength_needs_a_new_program(pump: Served, tmp_path: Path) -> None:
    pump.do("stop")
    pump.do("refill", "--volume", "19.5", "--concentration", "1000", "--residual", "17.99")
    refused = pump("start", "--yes", "--press")
    assert refused.code == 5
    assert "the reservoir holds 1000 ug/mL" in refused.err
    path = tmp_path / "weaker.toml"
    path.write_text(
        "[drug]\nconcentration_ug_per_ml = 1000\n"
        '[program]\nkind = "continuous"\ndose_ug_per_day = 300\n',
        encoding="utf-8",
    )
    pump.do("program", "set", str(path))
    pump.do("start")
    status = pump.status()
    assert (status["rate_nl_per_day"], status["alarms"]) == (300_000, [])
    assert abs(status["level_nl"] - 19_500_000) < 300_000


def standing(pump: Served) -> dict[str, bool]:
    """The alarms that stand, and whether each is acknowledged."""
    rows = pump("alarms", "list", "--json").json["alarms"]
    return {row["name"]: row["acknowledged"] for row in rows}


def test_alarms_are_tried_seen_silenced_and_acknowledged(pump: Served) -> None:
    pump.do("alarms", "test")
    wait_until(lambda: "ALARM_TEST" in pump("log", "show", "--last", "3").out)
    pump.do("refill", "--volume", "1.5", "--concentration", "2000")
    wait_until(lambda: standing(pump))
    (name,) = standing(pump)
    assert name in pump("alarms", "list").out
    assert pump.do("alarms", "pause", "--seconds", "30").json == {"paused_s": 30}
    pump.do("alarms", "ack", name.lower())
    assert standing(pump) == {name: True}
    refused = pump("alarms", "service", "occlusion", "--yes", "--press")
    assert refused.code == 5
    assert "needs no service" in refused.err


NEARLY_EMPTY = """
title = "The reservoir is nearly empty, and a minute later a sensor breaks"
days = 1
seed = 1
drug.concentration_ug_per_ml = 2000
program = { kind = "continuous", dose_ug_per_day = 300 }
reservoir.fill_ml = 1.5
[[event]]
at = "00:01"
do = "pressure_dead"
"""


def test_only_alarms_that_were_shown_are_acknowledged(tmp_path: Path) -> None:
    plan = tmp_path / "nearly-empty.toml"
    plan.write_text(NEARLY_EMPTY, encoding="utf-8")
    pump = Served(Home(tmp_path), "--scenario", str(plan), "--speed", "10")
    try:
        wait_until(lambda: standing(pump))
        with pump.home.start("--port", pump.tcp, "alarms", "ack", "--json") as ack:
            assert ack.stderr is not None
            shown = ack.stderr.readline()
            wait_until(lambda: any(name not in shown for name in standing(pump)))
            out, err = ack.communicate("y\n", timeout=20)
        assert ack.returncode == 0, err
        left = {row["name"]: row["acknowledged"] for row in json.loads(out)["alarms"]}
        assert any(name not in shown for name in left)
        assert all(done == (name in shown) for name, done in left.items())
    finally:
        assert pump.down() == 0


def test_the_clock_takes_this_hosts_time_and_tells_the_shift(pump: Served) -> None:
    assert (
        pump.do("clock", "set", "--to", "2026-01-02T03:04:05")
        .json["wall"]
        .startswith("2026-01-02T03:04:0")
    )
    assert abs(pump("clock", "show", "--json").json["ahead_of_host_s"]) > 3_600
    said = pump("clock", "set", "--yes", "--json")
    assert said.json["shifted_s"] != 0
    assert "now" not in said.out
    set_to = datetime.fromisoformat(said.json["wall"])
    assert abs((datetime.now() - set_to).total_seconds()) < 5


def test_a_rotated_key_works_and_the_old_one_does_not(pump: Served) -> None:
    old = pump.home.folder / "old.toml"
    old.write_bytes(pump.home.keys.read_bytes())
    old.chmod(0o600)
    pump.do("keys", "rotate", "clinician")
    assert pump.do("suspend").json["mode"] == "SUSPENDED"
    stale = pump("--keys", str(old), "resume", "--yes")
    assert stale.code == 6
    assert "wrong key" in stale.err


def test_a_blank_pump_gets_keys_once_and_no_key_is_shown(tmp_path: Path) -> None:
    pump = Served(Home(tmp_path), "--blank")
    try:
        said = pump("keys", "provision", "--yes", "--press")
        assert said.code == 0, said.err
        keys = re.findall(r"[0-9a-f]{64}", pump.home.keys.read_text(encoding="utf-8"))
        assert len(set(keys)) == 4
        assert not any(key in said.out + said.err for key in keys)
        assert pump.home.keys.stat().st_mode & 0o777 == 0o600
        assert pump("keys", "provision", "--yes", "--press").code == 6
        assert pump("keys", "wipe", "--yes").code == 6
    finally:
        assert pump.down() == 0


def test_a_person_at_a_terminal_is_asked_and_presses_enter_for_the_button(
    pump: Served, profile: str
) -> None:
    """All prompts on a real terminal: the change, then the offer to press."""
    master, slave = pty.openpty()
    process = pump.home.start("--port", pump.tcp, "program", "set", profile, terminal=slave)
    os.close(slave)
    try:
        _expect(master, "Make this change?")
        os.write(master, b"y\n")
        _expect(master, "Press its button now?")
        os.write(master, b"\n")
        _expect(master, "Done.")
        assert process.wait(20) == 0
    finally:
        process.close()
        os.close(master)
    assert dose(pump) == 307_874


def _expect(master: int, text: str, at_most_s: float = 20.0) -> None:
    said = b""
    end_s = time.monotonic() + at_most_s
    while text not in said.decode(errors="replace"):
        assert time.monotonic() < end_s, said
        if select.select([master], [], [], 0.1)[0]:
            said += os.read(master, 4_096)
