"""Programs as files and side by side; amounts as people read them. No pump needed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.parts.calendar import ALL_DAYS
from cisterna.parts.program import KIND_CONTINUOUS, KIND_PROFILE, Program, continuous
from pumpctl import BadValue, program_file
from pumpctl.cli.out import percent, scaled, span
from pumpctl.cli.units import amount, label
from pumpctl.cli.watch import sparkline
from pumpctl.difference import compare

doses = st.integers(1, 100_000_000)
boluses = st.tuples(
    st.integers(1, 1_000_000), st.integers(1, 240), st.integers(5, 1_440), st.integers(0, 24)
)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Any program that a file can say."""
    kind = draw(st.integers(0, 3))
    segments: tuple[tuple[int, int, int], ...] = ()
    if kind == KIND_CONTINUOUS:
        segments = ((ALL_DAYS, 0, draw(doses)),)
    elif kind == KIND_PROFILE:
        starts = sorted(draw(st.sets(st.integers(1, 1_439), max_size=5)))
        weekend = draw(st.booleans())
        segments = tuple((ALL_DAYS, start, draw(doses)) for start in (0, *starts))
        if weekend:
            segments = tuple(
                (mask, start, draw(doses)) for start in (0, *starts) for mask in (0x1F, 0x60)
            )
    bolus = draw(st.none() | boluses)
    strength = draw(st.integers(50, 2_000))
    if bolus is None:
        return Program(kind, strength, segments)
    dose_ng, minutes, lockout_min, cap = bolus
    return Program(kind, strength, segments, dose_ng, minutes * 60, lockout_min * 60, cap)


@given(program=programs())
def test_a_program_goes_through_its_file_unchanged(
    tmp_path_factory: pytest.TempPathFactory, program: Program
) -> None:
    path = tmp_path_factory.mktemp("programs") / "program.toml"
    path.write_text(program_file.dump(program), encoding="utf-8")
    assert program_file.load(path).pack() == program.pack()


HEAD = "[drug]\nconcentration_ug_per_ml = 2000\n"
WRONG = {
    "an unknown key": (HEAD + '[program]\nkind = "stopped"\nspeed = 1\n', "program.speed = 1"),
    "a strength out of range": (
        '[drug]\nconcentration_ug_per_ml = 20\n[program]\nkind = "stopped"\n',
        "drug.concentration_ug_per_ml = 20",
    ),
    "an unknown kind": (HEAD + '[program]\nkind = "contionuous"\n', "did you mean continuous?"),
    "a dose finer than a ng": (
        HEAD + '[program]\nkind = "continuous"\ndose_ug_per_day = 0.0001\n',
        "at most 3 decimals",
    ),
    "no program": (HEAD, "program is missing"),
    "no midnight": (
        HEAD + '[program]\nkind = "profile"\nsegments = '
        '[{ start = "06:00", dose_ug_per_day = 300 }]\n',
        "no segment at 00:00",
    ),
    "no TOML": ("[drug\n", "not valid TOML"),
}


@pytest.mark.parametrize(("text", "hint"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused_with_key_and_what_is_allowed(
    tmp_path: Path, text: str, hint: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadValue) as refused:
        program_file.load(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert hint in str(refused.value)


def test_what_a_file_cannot_say_is_refused() -> None:
    odd = Program(KIND_CONTINUOUS, 2_000, ((ALL_DAYS, 0, 1_000),), 1_000, 90)
    with pytest.raises(BadValue, match="90 s"):
        program_file.dump(odd)


def test_only_what_differs_is_told_as_changed() -> None:
    old = continuous(2_000, 300_000)
    new = Program(
        KIND_PROFILE, 2_000, ((ALL_DAYS, 0, 240_000), (ALL_DAYS, 360, 330_500)), 5_000, 600
    )
    rows = {line.name: (line.old, line.new) for line in compare(old, new) if line.changed}
    assert rows == {
        "kind": ("continuous", "profile"),
        "dose": ("300 ug/day", None),
        "from 00:00": (None, "240 ug/day"),
        "from 06:00": (None, "330.5 ug/day"),
        "patient bolus": ("none", "5 ug in 10 min"),
        "lockout": (None, "60 min"),
        "daily cap": (None, "6 in 24 h"),
    }
    assert not any(line.changed for line in compare(old, old))


@given(value=st.integers(-(10**15), 10**15), thousands=st.integers(0, 2))
def test_an_amount_in_a_larger_unit_is_still_exact(value: int, thousands: int) -> None:
    from decimal import Decimal

    number, unit = scaled(value, thousands, "mL").split(" ")
    assert unit == "mL"
    assert Decimal(number) * 1_000**thousands == value


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("volume_nl", 19_500_000, "19.5 mL"),
        ("rate_nl_per_day", 150_000, "0.15 mL/day"),
        ("dose_ng", 10_000, "10 ug"),
        ("mean_ng_per_day", 300_000, "300 ug/day"),
        ("pressure_pa", 69_000, "69 kPa"),
        ("concentration_ug_per_ml", 2_000, "2000 ug/mL"),
        ("remaining_nl", None, "unknown"),
        ("discrepancy", 1, "yes"),
        ("refill_in_s", 8_160_000, "94d 10h"),
        ("kind", "profile", "profile"),
        ("restarts", 3, "3"),
    ],
)
def test_amounts_have_their_units(name: str, value: object, shown: str) -> None:
    assert amount(name, value) == shown


def test_labels_have_none() -> None:
    names = ("old_dose_24h_ng", "mean_nl_per_day", "duration_s")
    assert [label(name) for name in names] == ["old dose 24h", "mean", "duration"]


def test_spans_and_percents_read_well() -> None:
    spans = (7, 250, 11_100, 90_000, None)
    assert [span(seconds) for seconds in spans] == [
        "7s", "4min 10s", "3h 05min", "1d 1h", "unknown",
    ]  # fmt: skip
    assert [percent(value) for value in (26, -92, 0, 1_000, None)] == [
        "+2.6 %", "-9.2 %", "+0.0 %", "+100.0 %", "new",
    ]  # fmt: skip


def test_a_sparkline_has_a_bar_a_value_from_0_to_the_highest() -> None:
    assert sparkline([]) == ""
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([0, 50, 100]) == "▁▄█"
