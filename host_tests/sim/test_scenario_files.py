"""Scenario files: those that ship are sound, and a bad one is refused before anything runs."""

import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.base import faults, settings
from cisterna_sim import scenario
from cisterna_sim.scenario.programs import Continuous
from cisterna_sim.scenario.values import DAYS, SPAN, Exact

FOLDER = Path(scenario.__file__).parent.parent / "scenarios"
NAMES = sorted(path.stem for path in FOLDER.glob("*.toml"))
DAY = (FOLDER / "day.toml").read_text(encoding="utf-8")
BODY = DAY[DAY.index("title =") :]


def refusal(folder: Path, text: str) -> list[str]:
    """What is said of a file with that text, without the file's name."""
    path = folder / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(scenario.ScenarioError) as caught:
        scenario.load(path)
    assert all("\n" not in line and line.startswith(f"{path}: ") for line in caught.value.lines)
    return [line.removeprefix(f"{path}: ") for line in caught.value.lines]


def changed(old: str, new: str) -> str:
    """The default scenario with its first ``old`` replaced."""
    assert old in BODY
    return BODY.replace(old, new, 1)


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_scenario_loads_and_says_what_to_look_for(name):
    plan = scenario.load(name)
    assert plan.name == name
    assert plan.text.startswith("# ")
    assert "# What to look for:" in plan.text
    plan.core_program().check_against(plan.core_limits())


def test_the_scenarios_of_the_issue_are_all_there():
    assert {
        "day",
        "clean-180",
        "slow-occlusion",
        "catheter-disconnected",
        "motor-stall",
        "empty-reservoir",
        "power-lost-in-bolus",
        "dead-pressure-sensor",
        "stuck-button",
        "free-flow",
        "clock-change",
    } <= set(NAMES)
    assert scenario.available() == [(name, scenario.load(name).title) for name in NAMES]


def test_the_default_day_programs_300_ug_and_crosses_low_at_15_00():
    plan = scenario.load()
    program, limits = plan.core_program(), plan.core_limits()
    assert program.day_total(0, limits) == 1440 * 150_000
    by_three_nl = (6 * 120_000 + 6 * 165_000 + 3 * 150_000) // 24 + 2 * program.bolus_nl()
    assert plan.reservoir.fill_nl - by_three_nl == limits.low_nl


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("= 2000", "= 20", ["drug.concentration_ug_per_ml = 20: allowed: 50 to 2000 ug/mL, "
                            "a whole number"]),
        ("= 2000", "= 2000.5", ["drug.concentration_ug_per_ml = 2000.5: allowed: 50 to 2000 "
                                "ug/mL, a whole number"]),
        ("days = 1", "days = nan", ["days = NaN: allowed: 0.01 to 3650 days"]),
        ("days = 1", "days = -inf", ["days = -Infinity: allowed: 0.01 to 3650 days"]),
        ("days = 1", "days = 1e99999999999999999999", ["days = NaN: allowed: 0.01 to 3650 days"]),
        ("days = 1", "days = true", ["days = true: allowed: 0.01 to 3650 days"]),
        ("days = 1", 'days = "1"', ['days = "1": allowed: 0.01 to 3650 days']),
        ("seed = 1", "seed = -1", ["seed = -1: allowed: 0 to 2147483648, a whole number"]),
        ("= 240", "= 240.0001", ["program.segments#1.dose_ug_per_day = 240.0001: allowed: "
                                 "0.001 to 100000 ug/day, at most 3 decimals"]),
        ("= 240", "= -240", ["program.segments#1.dose_ug_per_day = -240: allowed: "
                             "0.001 to 100000 ug/day, at most 3 decimals"]),
        ("fill_ml = 4.1", "fill_ml = 20.1", ["reservoir.fill_ml = 20.1: allowed: 0.1 to 20 mL, "
                                             "at most 6 decimals"]),
        ("fill_ml = 4.1", "", ["reservoir.fill_ml is missing: give 0.1 to 20 mL, "
                               "at most 6 decimals"]),
        ("seed = 1", "seed = 1\nsede = 1", ["sede = 1 is not a known key: did you mean seed?"]),
        ("[reservoir]", "[reservoirs]", ["reservoir is missing: give a table with fill_ml",
                                         "reservoirs = a table is not a known key: "
                                         "did you mean reservoir?"]),
        ('"profile"', '"profle"', ['program.kind = "profle": did you mean profile?']),
        ('kind = "profile"', "", ["program.kind is missing: known: stopped, minimum, continuous, "
                                  "profile"]),
        ('do = "occlude"', 'do = "oclude"', ['event#4.do = "oclude": did you mean occlude?']),
        ('do = "occlude"', 'do = "occlude"\nfraction = 1.1', ["event#4.fraction = 1.1: allowed: "
                                                              "0.01 to 1"]),
        ('do = "release"', 'do = "release"\nfraction = 1', ["event#5.fraction = 1 is not a known "
                                                            "key: known: at, when, after_s, do"]),
        ('at = "17:15"', 'at = "24:15"', ['event#4.at = "24:15": allowed: time since the start, '
                                          '"HH:MM", "2d HH:MM" or "2d HH:MM:SS"']),
        ('at = "17:15"', 'at = "1d 00:00"', ["event#4.at = 1d 00:00:00: allowed: before the end "
                                             "of the run, 1d 00:00:00"]),
        ('at = "17:15"', "", ["event#4 = a table: allowed: either at or when, and one of them"]),
        ('at = "17:15"', 'when = { alarm = "OCCLUSON" }', ['event#4.when.alarm = "OCCLUSON": '
                                                           "allowed: the name of a fault; "
                                                           "did you mean OCCLUSION?"]),
        ('at = "17:15"', "when = {}", ["event#4.when = a table: allowed: one of alarm, "
                                       "alarm_gone, bolus, remaining_below_ml"]),
        ("seed", "start = 2026-06-01T00:00:00Z\nseed", ["start = 2026-06-01 00:00:00+00:00: "
                                                        "allowed: a local time without offset, "
                                                        "from 2000 to 2099"]),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_key_value_and_range(tmp_path, old, new, says):
    assert refusal(tmp_path, changed(old, new)) == says


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"06:00"', '"13:00"', "program: .* out of order"),
        ('"06:00"', '"00:00"', "program: .* none twice"),
        ('start = "00:00"', 'start = "00:01"', "program: .* no segment at 00:00"),
        ("= 330", "= 99000", "program: rate of the segment at minute 360"),
        ("= 330", "= 3", "program: rate of the segment at minute 360"),
        ("[reservoir]", "[limits]\nmax_daily_dose_ug = 200\n[reservoir]", "program: dose of the"),
        ("[reservoir]", "[limits]\nlow_ml = 2\nempty_ml = 2\n[reservoir]", "limits: low_nl"),
        ('do = "release"', 'do = "set_program"\nprogram = { kind = "continuous", '
         "dose_ug_per_day = 5000 }", r"event#5\.program: dose of the highest 24 h"),
    ],
)  # fmt: skip
def test_what_the_pump_itself_would_refuse_is_refused_before_the_run(tmp_path, old, new, says):
    (line,) = refusal(tmp_path, changed(old, new))
    assert re.match(says, line)


def test_25_segments_a_day_are_refused(tmp_path):
    rows = [
        f'{{ start = "{n // 2:02}:{n % 2 * 30:02}", dose_ug_per_day = 300 }}' for n in range(25)
    ]
    text = re.sub(r"segments = \[.*?\n\]", f"segments = [{', '.join(rows)}]", BODY, flags=re.S)
    assert "at most 24" in refusal(tmp_path, text)[0]


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    text = changed("= 2000", "= 1").replace("seed = 1", "seed = 1.5").replace("= 10\n", "= 0\n", 1)
    assert len(refusal(tmp_path, text)) == 3


@pytest.mark.parametrize(
    "text", ["x", "x = " + "[" * 5000, "seed = " + "9" * 5000, "\0", "days = 1\ndays = 2"]
)
def test_what_is_not_toml_is_refused_in_one_line(tmp_path, text):
    (line,) = refusal(tmp_path, text)
    assert line.startswith("not valid TOML: ")


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.toml", tmp_path, binary):
        with pytest.raises(scenario.ScenarioError, match=r"cannot be read|not valid TOML"):
            scenario.load(path)
    with pytest.raises(scenario.ScenarioError, match="did you mean day"):
        scenario.load("dya")


@given(st.decimals(Decimal("0.001"), 100_000, places=3))
def test_a_dose_of_three_decimals_becomes_the_exact_ng(dose_ug):
    kind = Exact(0.001, 100_000, "ug/day")
    assert kind.check(dose_ug) == int(dose_ug * 1000)
    assert kind.check(float(dose_ug)) == int(dose_ug * 1000)


def test_a_dose_in_a_file_is_exact(tmp_path):
    path = tmp_path / "exact.toml"
    path.write_text(changed("= 240", "= 240.007"), encoding="utf-8")
    assert scenario.load(path).core_program().segments[0] == (0x7F, 0, 240_007)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("18:30", 66_600), ("2d 18:30", 239_400), ("2d 18:30:15", 239_415), ("00:00", 0)],
)
def test_event_times_count_from_the_start(text, seconds):
    assert SPAN.check(text) == seconds


@pytest.mark.parametrize(
    ("text", "mask"), [("mon", 1), ("mon tue", 3), ("mon-fri", 31), ("sat-mon wed", 0b1100101)]
)
def test_weekdays_are_words_or_spans(text, mask):
    assert DAYS.check(text) == mask


def test_limits_left_out_are_the_pumps_own_defaults():
    own, plan = settings.Limits(), scenario.load("clean-180")
    for name, *_ in settings.LIMIT_FIELDS:
        assert getattr(plan.core_limits(), name) == getattr(own, name)


def test_every_fault_can_be_waited_for_and_acknowledged(tmp_path):
    path = tmp_path / "each.toml"
    for row in faults.FAULTS:
        text = changed('at = "17:15"', f'when = {{ alarm_gone = "{row[0]}" }}\nafter_s = 5')
        path.write_text(text.replace('"OCCLUSION"\n', f'"{row[0]}"\n'), encoding="utf-8")
        waiting, acknowledging = (scenario.load(path).events[n].model_dump() for n in (3, 5))
        assert waiting["when"]["alarm_gone"] == acknowledging["alarm"] == row[0]


@pytest.mark.parametrize(
    ("days", "sample_s"), [(0.01, 60), (1, 60), (3, 60), (30, 130), (180, 778), (3650, 15_768)]
)
def test_samples_are_a_minute_apart_and_20_000_at_most(days, sample_s):
    plan = scenario.load(days=days)
    assert plan.sample_s == sample_s
    assert plan.duration_s / sample_s <= 20_000


def test_shorter_days_leave_later_events_unreached_and_a_bad_option_is_refused():
    plan = scenario.load(days=0.5, seed=7)
    assert (plan.days, plan.seed, len(plan.events), scenario.unreached(plan)) == (0.5, 7, 7, 4)
    with pytest.raises(scenario.ScenarioError, match=r"days = nan: allowed: 0\.01"):
        scenario.load(days=float("nan"))


def test_a_scenario_cannot_be_changed_after_its_checks():
    plan = scenario.load()
    assert plan.start == datetime(2026, 6, 1)
    with pytest.raises(ValueError, match="frozen"):
        setattr(plan, "days", 2)  # noqa: B010


def test_a_program_of_one_rate_is_the_pumps_own():
    plan = scenario.load("clean-180")
    assert isinstance(plan.program, Continuous)
    assert plan.core_program().segments == ((0x7F, 0, 300_000),)
