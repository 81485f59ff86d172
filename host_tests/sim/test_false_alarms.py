"""Half a year in which nothing goes wrong, and nothing is alarmed.

Noise of the pressure sensor 150 Pa sigma, cut at 4.5 (so +-675 Pa), offset and drift of up to
1.5 kPa at 20 Pa/day, +-100 Pa with the temperature of the day; posture moves the spinal fluid
between 1.2 and 4.0 kPa some ten times a day. Level 15 uL sigma, supply 5 mV sigma, encoder +-1
count. All of it PlantConfig's.
"""

import pytest

from host_tests.kit.bench import Bench

# ug/day at 2000 ug/mL, and what is not as PlantConfig has it.
LINES = [
    pytest.param(400, {"seed": 11}, id="0.2 mL/day"),
    pytest.param(96, {"seed": 16}, id="0.048 mL/day"),
    pytest.param(
        400,
        {"seed": 12, "pressure_drift_pa_per_day": -20.0, "pressure_offset_pa": 1_500.0},
        id="drift down",
    ),
    pytest.param(
        300,
        {"seed": 13, "compliance_ul_per_kpa": 0.1, "pressure_offset_pa": -1_500.0},
        id="stiff line",
    ),
    pytest.param(
        300, {"seed": 14, "compliance_ul_per_kpa": 10.0, "oscillator_ppm": 50}, id="soft line"
    ),
    pytest.param(
        300, {"seed": 15, "pitch_error_um": 5.0, "stiction_nl": 1_000.0}, id="rough drive"
    ),
]


@pytest.mark.slow
@pytest.mark.req("F05")
@pytest.mark.parametrize(("dose", "line"), LINES)
def test_180_clean_days_raise_no_alarm(dose, line):
    bench = Bench(dose_ug_per_day=dose, fill_ml=20.0, **line)
    for day in range(180):
        if day in (75, 150):
            bench.plant.withdraw()
            bench.plant.refill(20.0, 2000)
            bench.order("refill", 20_000_000, 2000)
        bench.run(86_400)
    assert bench.raised() == []
    programmed = dose * 500 * 180 / 89.819 * (1 + line.get("oscillator_ppm", 0) * 1e-6)
    assert bench.plant.rotor_steps == pytest.approx(programmed, abs=1.01)
    assert abs(bench.plant.unaccounted_nl) < 1e-3


@pytest.mark.slow
@pytest.mark.req("F05")
@pytest.mark.parametrize("compliance", [0.1, 1.0, 10.0])
def test_boluses_and_the_fastest_rate_raise_no_alarm(compliance):
    """24 mL/day for half a day; then four weeks of a profile's worth of boluses."""
    fast = Bench(
        dose_ug_per_day=2400,
        concentration_ug_per_ml=100,
        fill_ml=20.0,
        compliance_ul_per_kpa=compliance,
        limits={"max_daily_dose_ng": 5_000_000},
    )
    fast.run(40_000)
    # Three days of such a program are more than the reservoir holds.
    assert fast.raised() == ["RESERVOIR_LOW"]
    bench = Bench(fill_ml=20.0, compliance_ul_per_kpa=compliance, seed=5)
    for _ in range(28 * 4):
        bench.run(6 * 3600)
        bench.press()
    assert len(bench.names("BOLUS_GRANTED")) == 28 * 4
    assert bench.raised() == []
