"""The verbs that only look: what they print, as text and as JSON, over TCP and over a pty."""

import json
import time
import tomllib
from itertools import pairwise

import pytest

from cisterna.base.settings import LIMIT_FIELDS
from host_tests.kit.served import Home, Served
from pumpctl.cli import log
from pumpctl.log import Entry, Log

READS = {
    "list": ["list"],
    "info": ["info"],
    "status": ["status"],
    "watch": ["watch", "--once"],
    "program show": ["program", "show"],
    "limits show": ["limits", "show"],
    "alarms list": ["alarms", "list"],
    "log show": ["log", "show"],
    "clock show": ["clock", "show"],
    "staged show": ["staged", "show"],
    "keys list": ["keys", "list"],
    "doctor": ["doctor"],
}


@pytest.mark.parametrize("verb", READS.values(), ids=READS)
def test_json_is_all_that_stands_on_standard_output(bench: Served, verb: list[str]) -> None:
    said = bench(*verb, "--json")
    assert (said.code, said.err) == (0, "")
    assert said.lines


@pytest.mark.parametrize("verb", READS.values(), ids=READS)
def test_every_verb_that_looks_speaks_to_people_over_the_pty(
    bench: Served, verb: list[str]
) -> None:
    said = bench.home.run("--port", bench.pty, *verb)
    assert (said.code, said.err) == (0, "")
    assert not said.out.startswith(("{", "["))
    assert said.out.strip()


def test_an_option_of_every_verb_may_stand_before_it(bench: Served) -> None:
    assert bench("--json", "program", "show").json == bench("program", "show", "--json").json


def test_status_says_what_the_pump_says(bench: Served) -> None:
    status = bench.status()
    assert (status["mode"], status["rate_nl_per_day"]) == ("BASAL", 150_000)
    text = bench("status").out
    assert "0.15 mL/day" in text
    assert "No alarm." in text


def test_the_program_shown_is_a_file_that_means_the_same(bench: Served) -> None:
    table = tomllib.loads(bench("program", "show", "--toml").out)
    assert table["program"] == {"kind": "continuous", "dose_ug_per_day": 300}
    assert table["drug"] == {"concentration_ug_per_ml": 2000}
    assert table["patient_bolus"]["dose_ug"] == 10
    assert bench("program", "show", "--json").json["mean_ng_per_day"] == 300_000


def test_limits_come_with_their_ranges(bench: Served) -> None:
    assert bench("limits", "show", "--json").json == {row[0]: row[3] for row in LIMIT_FIELDS}
    assert "69000" in bench("limits", "show").out


def test_the_log_is_whole_and_exported_in_three_forms(bench: Served) -> None:
    shown = bench("log", "show", "--json", "--last", "3").json
    assert (len(shown["entries"]), shown["broken_at"]) == (3, None)
    assert len(bench("log", "show", "--json", "--last", "9999").json["entries"]) > 10
    for name, first in (("a.csv", "sequence,"), ("a.json", "{"), ("a.txt", "     0  0d")):
        path = bench.home.folder / name
        said = bench("log", "export", str(path), "--json")
        assert said.json["entries"] > 10
        assert path.read_text(encoding="utf-8").startswith(first)
    exported = json.loads((bench.home.folder / "a.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in exported["entries"]][:2] == ["BOOT", "MODE"]


def test_a_log_that_was_tampered_with_is_said_to_be(
    bench: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = bench("log", "show", "--json").json["entries"]
    entries = [Entry.decode(bytes.fromhex(row["raw"])) for row in rows]
    log._verdict(Log(entries))
    assert capsys.readouterr().err == ""
    log._verdict(Log(entries[:4] + entries[5:]))
    assert f"the chain breaks at entry {entries[5].sequence}" in capsys.readouterr().err


def test_the_pumps_clock_is_told_with_what_follows_from_it(bench: Served) -> None:
    told = bench("clock", "show", "--json").json
    assert (told["known"], told["mean"]) == (True, False)
    assert abs(told["ahead_of_host_s"]) < 3_600
    assert "by the hour" in bench("clock", "show").out


def test_watch_draws_flow_reservoir_and_alarms(bench: Served) -> None:
    frame = bench("watch", "--once").out
    for word in ("BASAL", "0.15 mL/day", "█", "remaining", "━", "kPa", "none"):
        assert word in frame


def test_watch_gives_samples_at_the_period_and_leaves_telemetry_off(bench: Served) -> None:
    said = bench("watch", "--json", "--period", "0.2", "--seconds", "1.5")
    samples = [line for line in said.lines if "mode" in line]
    assert 5 <= len(samples) <= 9
    gaps_ms = {b["t_ms"] - a["t_ms"] for a, b in pairwise(samples)}
    assert gaps_ms == {200}
    assert bench("term", input="TEL?\n").out.split() == ["0"]


def test_watch_ends_in_time_though_no_sample_comes(bench: Served) -> None:
    began_s = time.monotonic()
    said = bench("watch", "--json", "--period", "100", "--seconds", "2")
    assert (said.code, len(said.lines)) == (0, 1)
    assert time.monotonic() - began_s < 20
    assert bench("term", input="TEL?\n").out.split() == ["0"]


def test_list_shows_what_is_served_and_who_it_is(bench: Served) -> None:
    row = next(row for row in bench("list", "--json").json if row["port"] == bench.tcp)
    assert (row["serial"], row["state"]) == ("SIM0001", "BASAL")


def test_a_port_in_a_list_can_be_copied_from_a_narrow_terminal(bench: Served) -> None:
    home = Home(bench.home.folder)
    home.env["COLUMNS"] = "60"
    assert f"│ {bench.tcp} │" in home.run("list").out


def test_the_port_may_come_from_the_environment(bench: Served) -> None:
    home = Home(bench.home.folder)
    home.env["PUMPCTL_PORT"] = bench.tcp
    assert home.run("status", "--json").json["mode"] == "BASAL"
    wrong = "socket://127.0.0.1:1"
    assert home.run("--port", wrong, "status").code == 4
    assert home.run("status", "--port", wrong).code == 4


def test_sim_means_the_pump_that_is_served(bench: Served) -> None:
    said = bench.home.run("--port", "sim", "status", "--json")
    assert (said.code, said.err) == (0, "")
    assert said.json["pump_s"] >= bench.status()["pump_s"] - 60


def test_a_role_proves_replies_and_wants_its_key(bench: Served) -> None:
    assert bench("--role", "observer", "status", "--json").json["mode"] == "BASAL"
    strange = bench("--role", "observer", "--keys", str(bench.home.folder / "none.toml"), "status")
    assert strange.code == 6
    assert "no observer key of pump SIM0001" in strange.err


def test_doctor_finds_a_well_pump_well(bench: Served) -> None:
    found = {row["check"]: row["state"] for row in bench("doctor", "--json").json}
    assert set(found.values()) == {"ok"}
    assert {"port", "firmware", "protocol", "clock", "pressure sensor"} <= set(found)


def test_doctor_warns_of_noise_of_the_clock_and_of_keys_that_are_not_here(pump: Served) -> None:
    pump.do("clock", "set", "--to", "2026-01-02")
    pump("term", input="#t1 STAT? *00000000\n")
    said = pump("--keys", str(pump.home.folder / "none.toml"), "doctor", "--json")
    assert said.code == 0
    found = {row["check"]: (row["state"], row["text"]) for row in said.json}
    assert found["line"] == ("warning", "1 corrupt: look at cable and ground")
    assert found["clock"][0] == found["keys"][0] == "warning"
    assert "off this host's: pumpctl clock set" in found["clock"][1]
    assert "pumpctl keys provision" in found["keys"][1]
