"""ESP32 development kit (WROOM-32) with a TMC2209 and a 20 mL syringe.

Plain data; the wiring is in README.md. Pins are GPIO numbers.
"""

NAME = "esp32_devkit"
PORT = "esp32"

PINS = {
    "sda": 21,
    "scl": 22,
    "step": 25,
    "dir": 26,
    "enable": 27,  # low is on; pulled up in hardware, so the driver is off until the pump says so
    "count": 14,  # wired to step: an independent count of its pulses
    "button": 13,  # to ground
    "buzzer": 18,
    "lamp_high": 19,
    "lamp_medium": 23,
    "lamp_low": 4,
    "service": 33,  # to ground: no watchdog, stay at the prompt
    "pressure": 34,
    "level": 35,
    "supply": 32,
}

# 89.8 nL a microstep.
MECHANICS = {
    "bore_um": 19_130,
    "lead_um": 1_000,
    "steps_per_turn": 200,
    "microsteps": 16,
}

DRIVER = {
    "max_steps_per_s": 20_000,
    "fastest_steps_per_s": 3_200,
}

SENSORS = {
    "capacity_nl": 20_000_000,
    "compliance_nl_per_kpa": 1_000,
    "pressure_zero_raw": 13_107,
    "pressure_pa_per_256": 855,
    "level_zero_raw": 3_277,
    "level_nl_per_16": 6_104,
    "supply_raw_per_mv": 10,
}
