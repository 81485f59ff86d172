"""The plant's share of a long run: a figure to read, since a machine's speed proves nothing."""

import time

from cisterna_sim.plant import Plant, PlantConfig

STEPS = 60_000
INTERVAL_US = 51_750_000  # 0.15 mL/day in microsteps of 89.8 nL


def test_speed_is_printed(capsys):
    cases = {"clean": {}, "leak": {"leak": 0.3}, "free flow": {"free_flow": 0.001}}
    for name, faults in cases.items():
        plant = Plant(PlantConfig(fill_ml=20.0), 0)
        plant.enable(True)
        for fault, value in faults.items():
            getattr(plant, fault)(value)
        began = time.perf_counter()
        for index in range(1, STEPS + 1):
            plant.advance(index * INTERVAL_US)
            plant.step(1)
        spent = time.perf_counter() - began
        with capsys.disabled():
            print(f"\nplant, {name}: {spent / STEPS * 1e6:.2f} us a step and advance")
        assert plant.pulses == STEPS
