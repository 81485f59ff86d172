"""The patient model gives the figures that the design states."""

import pytest

from cisterna_sim.plant import Patient

HOUR = 3_600_000_000
DAILY_NG = 300_000.0


@pytest.mark.parametrize(("hours", "percent"), [(4.5, 75), (8.4, 50), (14.5, 25), (22.0, 10)])
def test_effect_after_a_stop_falls_as_the_design_says(hours, percent):
    patient = Patient(DAILY_NG, 0)
    patient.advance(round(hours * HOUR), 0.0)
    assert patient.effect_percent == pytest.approx(percent, abs=1.0)


def test_the_reference_dose_holds_the_steady_effect():
    patient = Patient(DAILY_NG, 0)
    for hour in range(1, 200):
        patient.advance(hour * HOUR, DAILY_NG * hour / 24)
    assert patient.effect_percent == pytest.approx(100.0)


def test_the_effect_is_proportional_to_the_dose_in_the_end():
    patient = Patient(DAILY_NG, 0, steady=False)
    patient.advance(1_000 * HOUR, 1.6 * DAILY_NG * 1_000 / 24)
    assert patient.effect_percent == pytest.approx(160.0)


def test_one_interval_equals_many():
    whole, pieces = Patient(DAILY_NG, 0), Patient(DAILY_NG, 0)
    whole.advance(10 * HOUR, 50_000.0)
    for piece in range(1, 1_001):
        pieces.advance(piece * HOUR // 100, 50.0 * piece)
    assert pieces.effect_percent == pytest.approx(whole.effect_percent, rel=1e-9)


def test_equal_rates_of_clearance_and_effect_are_no_singularity():
    near = [
        Patient(DAILY_NG, 0, volume_ml=100.0, clearance_ml_per_h=10.0, effect_per_h=rate)
        for rate in (0.1, 0.100001)
    ]
    for patient in near:
        patient.advance(7 * HOUR, 0.0)
    assert near[0].effect_percent == pytest.approx(near[1].effect_percent, rel=1e-4)


@pytest.mark.parametrize("volume_ml", [0.0, -1.0, float("nan"), float("inf")])
def test_a_parameter_that_is_not_above_0_is_refused(volume_ml):
    with pytest.raises(ValueError, match="volume_ml"):
        Patient(DAILY_NG, 0, volume_ml=volume_ml)
