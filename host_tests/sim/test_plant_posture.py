"""Pressure of the spinal fluid over the day."""

import itertools

import pytest

from cisterna_sim.plant import Plant, PlantConfig
from cisterna_sim.plant.posture import Posture

MIN = 60_000_000
DAY = 86_400_000_000


def spells(seed: int, days: int, start_us: int = 0) -> list[tuple[float, float]]:
    posture = Posture(PlantConfig(seed=seed), start_us)
    found = []
    while posture.next_us < days * DAY:
        at_us = posture.next_us
        posture.change()
        found.append((at_us, posture.csf_pa))
    return found


def test_nights_are_spent_lying():
    posture = Posture(PlantConfig(seed=9), 0)
    for minute in range(3 * 1_440):
        while posture.next_us <= minute * MIN:
            posture.change()
        if not 390 <= minute % 1_440 < 1_350:
            assert posture.csf_pa == 1_200.0


def test_days_alternate_in_spells_of_15_to_120_min_with_both_pressures():
    found = [spell for spell in spells(4, 30) if 390 <= spell[0] % DAY / MIN < 1_350]
    pressures = [pressure for _, pressure in found]
    assert all(p == 1_200.0 or 3_000.0 <= p <= 4_000.0 for p in pressures)
    assert 0.1 < pressures.count(1_200.0) / len(pressures) < 0.6
    for (start, _), (end, _) in itertools.pairwise(found):
        if start // DAY == end // DAY:
            assert 15 <= (end - start) / MIN <= 120


def test_the_pattern_depends_on_the_seed_and_not_on_the_start():
    assert spells(1, 3) == spells(1, 3) != spells(2, 3)
    late = spells(1, 3, start_us=DAY + 9 * 60 * MIN)
    assert late == spells(1, 3)[-len(late) :]


@pytest.mark.parametrize("start_us", [0, 6 * 60 * MIN + 30 * MIN, 12 * 60 * MIN, -1])
def test_a_plant_may_start_at_any_time_of_day(start_us):
    plant = Plant(PlantConfig(), start_us)
    assert plant.next_event_us > start_us
    assert plant.pressure_pa == pytest.approx(1_000.0 + plant.csf_pa)


def test_a_posture_change_is_an_event_at_its_own_time():
    plant = Plant(PlantConfig(), 0)
    assert plant.next_event_us == 390 * MIN or plant.next_event_us < 450 * MIN
    assert plant.csf_pa == 1_200.0
    plant.advance(12 * 60 * MIN)
    at_once = plant.tip_nl, plant.csf_pa
    other = Plant(PlantConfig(), 0)
    while other.next_event_us <= 12 * 60 * MIN:
        other.advance(int(other.next_event_us))
    other.advance(12 * 60 * MIN)
    assert (other.tip_nl, other.csf_pa) == pytest.approx(at_once)


def test_the_line_follows_the_spinal_fluid_once_dosing_refills_it():
    plant = Plant(PlantConfig(), 0)
    plant.enable(True)
    for index in range(1, 200):
        rest_pa = plant.pressure_pa
        plant.advance(index * 10 * MIN)
        if plant.csf_pa > rest_pa - 1_000.0:
            assert plant.pressure_pa == pytest.approx(rest_pa)
        for _ in range(60):
            plant.step(1)
        plant.advance(index * 10 * MIN + MIN)
        assert plant.pressure_pa == pytest.approx(1_000.0 + plant.csf_pa, abs=1.0)


def test_without_posture_nothing_changes_by_itself():
    plant = Plant(PlantConfig(posture=False), 0)
    assert plant.next_event_us == float("inf")
    assert plant.csf_pa == 1_200.0
