"""One table says what every fault is, does and needs; everything else reads it."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from cisterna import fault_conditions, orders, selftest
from cisterna.base import faults
from cisterna.base.faults import FAULTS
from cisterna.parts.alarms import TONES

ROOT = Path(__file__).parents[2]
NAMES = [row[0] for row in FAULTS]
PUMP = ROOT / "firmware" / "cisterna"
# Named by these words in a source, a fault is meant.
SOURCES = [*sorted((ROOT / "sim").rglob("*.py")), *sorted((ROOT / "host_tests").rglob("*.py"))]


@pytest.mark.req("A07")
def test_each_code_is_the_place_of_its_row() -> None:
    codes = {
        target.id: ast.literal_eval(node.value.args[0])
        for node in ast.parse((PUMP / "base" / "faults.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in NAMES
    }
    assert codes == {name: place for place, name in enumerate(NAMES)}
    assert len(set(NAMES)) == len(NAMES)
    for place, name in enumerate(NAMES):
        assert getattr(faults, name) == place
        assert faults.name(place) == name
        assert faults.code_of(name) == place


@pytest.mark.req("A07")
@pytest.mark.parametrize("row", FAULTS, ids=NAMES)
def test_every_row_is_whole(row: tuple[str, int, int, int, str, str]) -> None:
    name, priority, response, latch, text, clears = row
    assert re.fullmatch(r"[A-Z][A-Z_]*[A-Z]", name)
    assert priority in (faults.LOW, faults.MEDIUM, faults.HIGH)
    assert response in range(len(faults.RESPONSE_NAMES))
    assert latch in range(len(faults.LATCH_NAMES))
    assert re.fullmatch(r"[A-Z].*[^.\s]", text)
    assert re.fullmatch(r"[a-z].*[^.\s]", clears)
    assert (latch == faults.SERVICE) == (clears == "service")
    assert len([other for other in FAULTS if other[4] == text]) == 1


@pytest.mark.req("A07")
def test_only_a_high_fault_stops_the_pump() -> None:
    stopping = [row for row in FAULTS if row[2] == faults.STOP]
    assert {row[1] for row in stopping} == {faults.HIGH}
    # The design: under-delivery, a stall and a lost sensor never end basal.
    for name in ("UNDER_DELIVERY", "MOTOR_STALL", "PRESSURE_SENSOR", "RESERVOIR_LOW"):
        assert FAULTS[NAMES.index(name)][2] == faults.NO_BOLUS
    for name in ("CLOCK_LOST", "LEVEL_SENSOR", "SUPPLY_LOW", "POWER_LOST", "STOPPED_LONG"):
        assert FAULTS[NAMES.index(name)][2] == faults.NOTE


@pytest.mark.req("A07")
def test_the_sets_follow_from_the_table() -> None:
    def where(column: int, *values: int) -> set[int]:
        return {place for place, row in enumerate(FAULTS) if row[column] in values}

    assert where(2, faults.STOP) == set(faults.STOP_CODES)
    assert where(2, faults.STOP, faults.NO_BOLUS) == set(faults.NO_BOLUS_CODES)
    patient = where(1, faults.MEDIUM, faults.HIGH) | where(2, faults.STOP, faults.NO_BOLUS)
    assert patient == set(faults.NO_PATIENT_BOLUS_CODES)
    occlusions = {faults.OCCLUSION, faults.OCCLUSION_REPEATED}
    assert set(faults.STOP_CODES) - occlusions == set(faults.STOP_BUT_OCCLUSION)


@pytest.mark.req("A07")
def test_every_priority_has_its_name_and_tone() -> None:
    assert [row[0] for row in TONES] == list(faults.PRIORITY_NAMES)


@pytest.mark.req("A07")
def test_every_fault_can_be_raised() -> None:
    used: set[str] = set()
    for path in PUMP.rglob("*.py"):
        if path.name == "faults.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "faults":
                used.add(node.attr)
            elif isinstance(node, ast.Name):
                used.add(node.id)
    assert set(NAMES) - used == set()


@pytest.mark.req("A07")
def test_the_table_has_room() -> None:
    assert len(FAULTS) <= faults.MAX_FAULTS
    assert faults.MAX_FAULTS >= 60


@pytest.mark.req("A07")
def test_no_condition_is_in_two_tables() -> None:
    codes = [row[0] for row in fault_conditions.FOLLOWED + fault_conditions.RAISED]
    assert len(set(codes)) == len(codes)
    assert set(codes) <= set(range(len(FAULTS)))


@pytest.mark.req("A07")
def test_what_only_an_order_ends_has_that_order() -> None:
    """A fault that no tick ends is ended by a refill, by service or by new settings."""
    raised = {row[0] for row in fault_conditions.RAISED}
    assert raised <= set(orders._ENDED_BY_REFILL) | {
        code for code in range(len(FAULTS)) if FAULTS[code][3] == faults.SERVICE
    }
    for code in orders._ENDED_BY_REFILL:
        assert "refill" in FAULTS[code][5]


@pytest.mark.req("A07")
def test_scenarios_name_faults_of_the_table() -> None:
    found = set()
    for path in (ROOT / "sim" / "cisterna_sim" / "scenarios").glob("*.toml"):
        text = path.read_text(encoding="utf-8")
        tomllib.loads(text)
        found |= set(re.findall(r'alarm(?:_gone)?\s*=\s*"([A-Z_]+)"', text))
    assert found - {"ALL"} <= set(NAMES)
    assert found


@pytest.mark.req("A07")
def test_sources_keep_no_second_table_of_faults() -> None:
    """Texts, priorities and the like of a fault stand in faults.py alone."""
    texts = {row[4] for row in FAULTS}
    for path in [*SOURCES, *PUMP.glob("*.py")]:
        if path.name != "faults.py":
            source = path.read_text(encoding="utf-8")
            assert not [text for text in texts if text in source], path


@pytest.mark.req("A07")
def test_tests_and_tools_name_faults_of_the_table() -> None:
    named = re.compile(r'\b(?:present|active|code_of)\(\s*"([A-Z_]+)"')
    found = {name for path in SOURCES for name in named.findall(path.read_text(encoding="utf-8"))}
    assert found - {"NO_SUCH_FAULT"} <= set(NAMES)
    with pytest.raises(ValueError, match=r"NO_SUCH_FAULT.*known: RESERVOIR_UNKNOWN"):
        faults.code_of("NO_SUCH_FAULT")


def test_the_self_test_has_room_for_the_table() -> None:
    assert selftest.CHECKS[0][0] == "arithmetic"
    assert selftest.CHECKS[0][1](None)  # type: ignore[arg-type]
