"""Readings: scale, noise that depends on time alone, bounds, and broken sensors."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna_sim.plant import Plant, PlantConfig
from cisterna_sim.plant.sensors import (
    AnalogSensor,
    encoder,
    level_sensor,
    noise,
    pressure_sensor,
    supply_sensor,
)

SAMPLE = 250_000
DAY = 86_400_000_000
CONFIG = PlantConfig(seed=3)


def test_scales_are_those_of_the_boards():
    quiet = PlantConfig(pressure_drift_pa_per_day=0.0, pressure_temperature_pa=0.0)
    assert pressure_sensor(quiet, 0).clean(0.0, 0) == 13_107
    assert pressure_sensor(quiet, 0).clean(855.0, 0) == pytest.approx(13_363)
    assert level_sensor(quiet).clean(6_104 * 1_000, 0) == pytest.approx(3_277 + 16_000)
    assert supply_sensor(quiet).clean(5_000.0, 0) == 50_000


@given(st.floats(-20_000, 120_000), st.integers(0, 200 * DAY), st.integers(0, 2**31))
def test_a_reading_stays_within_its_bound_of_the_clean_value(pressure, t_us, seed):
    sensor = pressure_sensor(PlantConfig(seed=seed), 0)
    raw = sensor.read(pressure, t_us)
    assert abs(raw - sensor.clean(pressure, t_us)) <= sensor.bound_raw
    assert raw % 16 == 0


def test_a_reading_depends_on_its_sample_and_not_on_what_was_read_before():
    one, two = pressure_sensor(CONFIG, 0), pressure_sensor(CONFIG, 0)
    every = [one.read(5_000.0, t) for t in range(0, 400 * SAMPLE, SAMPLE)]
    assert [two.read(5_000.0, t) for t in range(0, 400 * SAMPLE, 40 * SAMPLE)] == every[::40]
    assert two.read(5_000.0, 7 * SAMPLE + 249_999) == two.read(5_000.0, 7 * SAMPLE)


def test_noise_is_gaussian_white_cut_at_4_5_and_different_for_each_seed():
    draws = [noise(5, index * SAMPLE) for index in range(60_000)]
    assert statistics.fmean(draws) == pytest.approx(0.0, abs=0.02)
    assert statistics.pstdev(draws) == pytest.approx(1.0, abs=0.02)
    assert max(map(abs, draws)) <= 4.5
    for lag in (1, 2, 3, 5, 8, 240, 345_600 % 60_000):
        assert abs(statistics.correlation(draws[:-lag], draws[lag:])) < 0.02
    other = [noise(6, index * SAMPLE) for index in range(60_000)]
    assert abs(statistics.correlation(draws, other)) < 0.02


def test_drift_grows_to_its_limit_and_temperature_swings_daily():
    sensor = pressure_sensor(PlantConfig(pressure_temperature_pa=0.0), 0)
    pascals = [(sensor.clean(0.0, day * DAY) - 13_107) * 855 / 256 for day in (0, 10, 75, 180)]
    assert pascals == pytest.approx([0.0, 200.0, 1_500.0, 1_500.0])
    swinging = pressure_sensor(PlantConfig(pressure_drift_pa_per_day=0.0), 0)
    hours = [swinging.clean(0.0, hour * DAY // 24) for hour in range(25)]
    assert max(hours) == hours[18]
    assert hours[18] - 13_107 == pytest.approx(100 * 256 / 855)
    assert hours[24] == pytest.approx(hours[0])


@pytest.mark.parametrize(("state", "raw"), [("dead", 0), ("open", 65_535)])
def test_a_broken_sensor_reads_the_end_of_its_scale(state, raw):
    plant = Plant(CONFIG, 0)
    plant.instruments.set_state("pressure", state)
    assert plant.instruments.read_pressure() == raw
    plant.instruments.set_state("pressure", "ok")
    assert plant.instruments.read_pressure() not in (0, 65_535)


def test_a_stuck_sensor_repeats_what_it_read_when_it_stuck():
    plant = Plant(CONFIG, 0)
    plant.advance(10 * SAMPLE)
    last = plant.instruments.read_level()
    plant.instruments.set_state("level", "stuck")
    plant.withdraw()
    plant.advance(500 * SAMPLE)
    assert plant.instruments.read_level() == last


def test_an_offset_shifts_the_clean_value():
    sensor = AnalogSensor(raw_per_unit=2.0, zero_raw=100, sigma=0.0, seed=0, lsb_raw=1)
    sensor.offset = 7.0
    assert sensor.read(10.0, 0) == 134


@given(st.integers(-100_000, 100_000), st.integers(0, DAY))
def test_the_encoder_stays_within_its_bound(rotor_steps, t_us):
    reader = encoder(CONFIG)
    position = reader.read(rotor_steps, t_us)
    assert position is not None
    assert abs(position - rotor_steps) <= reader.bound_steps


def test_the_encoder_follows_the_rotor_and_not_the_pulses():
    plant = Plant(CONFIG, 0)
    plant.enable(True)
    for _ in range(320):
        plant.step(1)
    plant.stall(True)
    for _ in range(320):
        plant.step(1)
    assert plant.instruments.read_position() == pytest.approx(320, abs=2)
    plant.instruments.set_state("encoder", "dead")
    assert plant.instruments.read_position() is None


def test_a_stuck_encoder_repeats_its_position():
    plant = Plant(CONFIG, 0)
    plant.enable(True)
    before = plant.instruments.read_position()
    plant.instruments.set_state("encoder", "stuck")
    for _ in range(320):
        plant.step(1)
    assert plant.instruments.read_position() == before


@pytest.mark.parametrize(
    ("name", "state"), [("pressure", "odd"), ("encoder", "open"), ("thermometer", "ok")]
)
def test_an_unknown_sensor_or_state_is_refused(name, state):
    with pytest.raises(ValueError, match="one of"):
        Plant(CONFIG, 0).instruments.set_state(name, state)


def test_the_level_sees_the_plunger_and_cannot_see_a_bore_error():
    plant = Plant(PlantConfig(bore_error_ppm=10_000.0, fill_ml=10.0), 0)
    assert plant.level_nl == pytest.approx(10e6 / 1.01**2)
