"""Units convert exactly; the check that every input passes refuses what is not a whole number."""

from fractions import Fraction
from math import pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.base import units
from cisterna.base.settings import Limits
from cisterna.base.units import LimitError, check_int
from cisterna_sim.rig_board import default_calibration

STRENGTHS = st.integers(50, 4000)
NOT_WHOLE = [float("nan"), float("inf"), 1.0, 1.5, True, False, "1", "", None, b"1", [1], 1j]


def _half_up(value: Fraction) -> int:
    return (value + Fraction(1, 2)).__floor__()


def test_one_step_of_the_default_rig_is_89819_pl():
    assert units.step_volume_pl(19_130, 1_000, 200, 16) == 89_819
    assert default_calibration().step_pl == 89_819


@given(
    st.integers(5_000, 40_000),
    st.integers(500, 8_000),
    st.sampled_from([20, 48, 200, 400]),
    st.sampled_from([1, 2, 4, 8, 16, 32, 64, 256]),
)
def test_a_steps_volume_is_that_of_the_bore_and_lead(bore_um, lead_um, steps, microsteps):
    exact_pl = pi / 4 * bore_um**2 * lead_um / (steps * microsteps) / 1000
    found_pl = units.step_volume_pl(bore_um, lead_um, steps, microsteps)
    assert abs(found_pl - exact_pl) <= 0.5 + exact_pl * 1e-7


def test_programmed_volume_has_a_unit_in_which_it_is_exact():
    day_pl = 1000  # 1 nL/day for a day
    assert day_pl * units.UNITS_PER_PL == units.US_PER_DAY == units.UNITS_PER_NL
    assert units.US_PER_DAY == 24 * units.US_PER_HOUR
    assert units.US_PER_DAY == units.S_PER_DAY * units.US_PER_S


@pytest.mark.req("I02")
@given(st.integers(0, 100_000_000), STRENGTHS)
def test_a_dose_rate_becomes_the_nearest_whole_rate(dose_ng, strength):
    # 1 ug/mL is 1 pg/nL.
    assert units.rate_from_dose(dose_ng, strength) == _half_up(Fraction(dose_ng * 1000, strength))


@given(st.integers(0, 5_000_000), STRENGTHS)
def test_a_dose_becomes_a_volume_and_comes_back_to_within_half_a_nl_of_drug(dose_ng, strength):
    volume_nl = units.volume_from_dose(dose_ng, strength)
    assert volume_nl == _half_up(Fraction(dose_ng * 1000, strength))
    back_ng = units.dose_from_volume(volume_nl, strength)
    assert abs(back_ng - dose_ng) <= strength / 2000 + 1


@given(st.integers(0, 50_000_000), STRENGTHS)
def test_the_dose_in_a_volume_is_rounded_down(volume_nl, strength):
    assert units.dose_from_volume(volume_nl, strength) == volume_nl * strength // 1000


@pytest.mark.req("D03")
@pytest.mark.parametrize("value", NOT_WHOLE, ids=repr)
def test_what_is_not_a_whole_number_is_refused_not_converted(value):
    with pytest.raises(
        LimitError, match=r"dose = .* is not a whole number.*-5\.\.7 ng"
    ) as refusal:
        check_int("dose", value, -5, 7, "ng")
    assert repr(value) in str(refusal.value)


@pytest.mark.req("D03")
@given(st.integers())
def test_a_whole_number_passes_exactly_within_its_limits(value):
    if -5 <= value <= 7:
        assert check_int("dose", value, -5, 7, "ng") is value
    else:
        with pytest.raises(LimitError, match=rf"dose = {value} ng is outside -5\.\.7"):
            check_int("dose", value, -5, 7, "ng")


@pytest.mark.req("D03")
def test_no_limit_can_be_set_above_24_ml_a_day():
    with pytest.raises(LimitError, match=r"max_rate_nl_per_day = 24000001 .*48000\.\.24000000"):
        Limits({"max_rate_nl_per_day": 24_000_001})
    assert Limits().max_rate_nl_per_day == 24_000_000
    assert Limits().max_daily_dose_ng == 1_000_000


@pytest.mark.req("D03")
@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"low_nl": 2_000_000, "empty_nl": 2_000_000}, "low_nl = 2000000 nL is not above"),
        ({"min_rate_nl_per_day": 100_000, "max_rate_nl_per_day": 99_999}, "is above max_rate"),
        ({"max_rate": 1}, "unknown: max_rate; known: min_rate_nl_per_day"),
    ],
)
def test_limits_that_contradict_each_other_are_refused(values, text):
    with pytest.raises(LimitError, match=text):
        Limits(values)


@pytest.mark.parametrize("settings", [Limits(), default_calibration()])
def test_settings_of_another_size_are_refused(settings):
    with pytest.raises(LimitError, match="bytes are no"):
        settings.unpack(settings.pack() + b"\0")
