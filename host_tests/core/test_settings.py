"""Limits and calibration: ranges, cross-checks, storage, conversions."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.base.settings import (
    CALIBRATION_FIELDS,
    LIMIT_FIELDS,
    TOLERANCE_NL,
    Calibration,
    Limits,
    Settings,
)
from cisterna.base.units import LimitError
from cisterna_sim.rig_board import default_calibration

KINDS = (Limits, Calibration)
FIELDS = [(Limits, *row) for row in LIMIT_FIELDS] + [
    (Calibration, *row) for row in CALIBRATION_FIELDS
]
WRONG = (None, "1000", b"1", True, 1000.0, float("nan"), float("inf"), 1.5, [1000])


def _made(kind: type[Settings], values: dict) -> Settings:
    """Of that kind, with the default rig's figures where the firmware has no defaults."""
    return default_calibration(**values) if kind is Calibration else kind(values)


def _message(kind: type[Settings], values: dict) -> str:
    with pytest.raises(LimitError) as caught:
        _made(kind, values)
    return str(caught.value)


@pytest.mark.req("D03")
@pytest.mark.parametrize(
    ("kind", "name", "low", "high", "default", "unit"), FIELDS, ids=[f[1] for f in FIELDS]
)
def test_each_setting_is_held_to_its_range_and_says_so(kind, name, low, high, default, unit):
    assert default is None or getattr(kind(), name) == default
    for value in (low - 1, high + 1, -high, *WRONG):
        message = _message(kind, {name: value})
        assert name in message
        assert f"{low}..{high}" in message
    for value in (low, high):
        fitting = {"low_nl": 20_000_000} if name == "empty_nl" else {}
        if name == "low_nl" and value == low:
            fitting = {"empty_nl": low - 1}
        assert getattr(_made(kind, {**fitting, name: value}), name) == value


@pytest.mark.parametrize("row", CALIBRATION_FIELDS, ids=[row[0] for row in CALIBRATION_FIELDS])
def test_a_figure_of_the_calibration_has_no_default(row):
    name, low, high, _, unit = row
    figures = {field[0]: field[1] for field in CALIBRATION_FIELDS if field[0] != name}
    with pytest.raises(LimitError) as refusal:
        Calibration(figures)
    assert str(refusal.value) == f"{name} is not given; give {low}..{high} {unit}"


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_setting_is_refused_with_the_known_ones(kind):
    message = _message(kind, {"max_rate": 1})
    assert "unknown: max_rate" in message
    assert all(field[0] in message for field in kind.FIELDS)


def test_limits_that_contradict_each_other_are_refused():
    assert "low_nl" in _message(Limits, {"low_nl": 2_000_000, "empty_nl": 2_000_000})
    assert "min_rate" in _message(
        Limits, {"min_rate_nl_per_day": 50_000, "max_rate_nl_per_day": 49_999}
    )


@pytest.mark.req("R03", "R04")
def test_low_is_settable_from_2_ml_and_empty_always_above_the_measurement_tolerance():
    low = {row[0]: row for row in LIMIT_FIELDS}
    assert low["low_nl"][1] >= 2_000_000
    assert Limits().low_nl == 4_000_000
    assert Limits().empty_nl == 1_000_000
    assert TOLERANCE_NL <= 500_000
    assert low["empty_nl"][1] > TOLERANCE_NL


def _any(kind: type[Settings]) -> st.SearchStrategy:
    fields = {row[0]: st.integers(row[1], row[2]) for row in kind.FIELDS}

    def made(values: dict) -> Settings | None:
        try:
            return kind(values)
        except LimitError:
            return None

    return st.fixed_dictionaries(fields).map(made).filter(lambda found: found is not None)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_settings_read_back_as_they_were_stored(kind, data):
    settings = data.draw(_any(kind))
    again = kind.unpack(settings.pack())
    assert vars(again) == vars(settings)
    assert again.intact()


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.binary(max_size=60))
def test_bytes_that_are_no_settings_are_refused(kind, data):
    try:
        found = kind.unpack(data)
    except LimitError:
        return
    assert found.pack() == data


@given(calibration=_any(Calibration), volume_nl=st.integers(0, 50_000_000))
def test_steps_and_volumes_convert_within_a_step(calibration, volume_nl):
    step_nl = Fraction(calibration.step_pl, 1000)
    steps = calibration.steps_in(volume_nl)
    assert steps * step_nl <= volume_nl < (steps + 1) * step_nl
    assert 0 <= steps * step_nl - calibration.volume_nl(steps) < 1


@given(calibration=_any(Calibration), pa=st.integers(-20_000, 140_000), raw=st.integers(0, 65_535))
def test_pressures_convert_within_a_count(calibration, pa, raw):
    per_raw = Fraction(calibration.pressure_pa_per_256, 256)
    true_pa = (raw - calibration.pressure_zero_raw) * per_raw
    assert 0 <= true_pa - calibration.pressure_pa(raw) < 1
    true_raw = calibration.pressure_zero_raw + Fraction(pa) / per_raw
    assert 0 <= true_raw - calibration.pressure_raw(pa) < 1


@given(calibration=_any(Calibration), nl=st.integers(-500_000, 50_000_000))
def test_levels_convert_within_a_count(calibration, nl):
    per_raw = Fraction(calibration.level_nl_per_16, 16)
    raw = calibration.level_raw(nl)
    assert 0 <= calibration.level_zero_raw + Fraction(nl) / per_raw - raw < 1
    assert 0 <= (raw - calibration.level_zero_raw) * per_raw - calibration.level_nl(raw) < 1
