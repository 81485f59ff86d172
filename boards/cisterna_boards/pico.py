"""Raspberry Pi Pico with a TMC2209 and a 20 mL syringe: the default bench rig.

Plain data; the wiring is in README.md. Pins are GPIO numbers.
"""

NAME = "pico"
PORT = "rp2"

PINS = {
    "sda": 0,
    "scl": 1,
    "step": 2,
    "dir": 3,
    "enable": 4,  # low is on; pulled up in hardware, so the driver is off until the pump says so
    "count": 5,  # wired to step: an independent count of its pulses
    "button": 14,  # to ground
    "buzzer": 15,
    "lamp_high": 16,
    "lamp_medium": 17,
    "lamp_low": 18,
    "service": 22,  # to ground: no watchdog, stay at the prompt
    "pressure": 26,
    "level": 27,
    "supply": 28,
}

# 89.8 nL a microstep.
MECHANICS = {
    "bore_um": 19_130,
    "lead_um": 1_000,
    "steps_per_turn": 200,
    "microsteps": 16,
}

# One turn a second when priming. The TMC2209 itself takes far more; the motor does not.
DRIVER = {
    "max_steps_per_s": 20_000,
    "fastest_steps_per_s": 3_200,
}

# Of the sensors' data sheets and dividers; measured compliance of the line.
SENSORS = {
    "capacity_nl": 20_000_000,
    "compliance_nl_per_kpa": 1_000,
    "pressure_zero_raw": 13_107,
    "pressure_pa_per_256": 855,
    "level_zero_raw": 3_277,
    "level_nl_per_16": 6_104,
    "supply_raw_per_mv": 10,
}
