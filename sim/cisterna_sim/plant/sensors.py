"""Sensors that turn a true value into raw counts, with noise that depends on time alone.

A reading belongs to a sample of 250 ms and its noise to (seed, sample), so a run that looks four
times a second and one that jumps from event to event read the same figures at the same times.
"""

import functools
import math
import random

from cisterna_boards.pico import SENSORS

from .config import PlantConfig

SAMPLE_US = 250_000
NOISE_LIMIT_SIGMA = 4.5
FULL_SCALE_RAW = 65_535
ADC_LSB_RAW = 16
"""A 12-bit converter whose result is shifted left to 16 bits."""

ENCODER_COUNTS = 4_096
"""Counts a turn of an AS5600."""

STATES = ("ok", "dead", "open", "stuck")
ENCODER_STATES = ("ok", "dead", "stuck")

_DAY_US = 86_400_000_000
_TABLE_BITS = 16
_WORD = 0xFFFF_FFFF


@functools.cache
def _gaussians() -> tuple[float, ...]:
    draw = random.Random("sensor noise")
    table: list[float] = []
    while len(table) < 1 << _TABLE_BITS:
        value = draw.gauss(0.0, 1.0)
        if abs(value) <= NOISE_LIMIT_SIGMA:
            table.append(value)
    return tuple(table)


def noise(seed: int, t_us: int) -> float:
    """Noise in sigmas, within +-4.5, of the sample that ``t_us`` lies in.

    Two multiplications and a fold, so that neighbouring samples and seeds share no pattern.
    """
    word = ((t_us // SAMPLE_US + seed * 0x9E37_79B9) * 0x85EB_CA6B) & _WORD
    word = ((word ^ (word >> 15)) * 0xC2B2_AE35) & _WORD
    return _gaussians()[word >> (32 - _TABLE_BITS)]


def _checked(state: str, known: tuple[str, ...]) -> str:
    if state not in known:
        raise ValueError(f"{state!r} is no state of this sensor; one of {', '.join(known)}")
    return state


class AnalogSensor:
    """An analogue channel: raw = zero + gain * (value + offset + drift + temperature) + noise.

    ``offset`` and ``drift_per_day`` are in units of the value and may be set at any time (a faulty
    sensor). Drift counts from ``start_us`` and ends at ``+-drift_limit``; temperature swings once
    a day by ``+-temperature``, highest at 18:00.
    """

    def __init__(
        self,
        *,
        raw_per_unit: float,
        zero_raw: float,
        sigma: float,
        seed: int,
        lsb_raw: int = ADC_LSB_RAW,
        offset: float = 0.0,
        drift_per_day: float = 0.0,
        drift_limit: float = math.inf,
        temperature: float = 0.0,
        start_us: int = 0,
        midnight_us: int = 0,
    ) -> None:
        self.offset = offset
        self.drift_per_day = drift_per_day
        self.state = "ok"
        self._raw_per_unit = raw_per_unit
        self._zero_raw = zero_raw
        self._sigma_raw = sigma * raw_per_unit
        self._seed = seed
        self._lsb_raw = lsb_raw
        self._drift_limit = drift_limit
        self._temperature = temperature
        self._start_us = start_us
        self._midnight_us = midnight_us
        self._stuck_raw = 0

    @property
    def bound_raw(self) -> float:
        """The most that a reading in state ok differs from ``clean``, ends of the scale apart."""
        return NOISE_LIMIT_SIGMA * self._sigma_raw + self._lsb_raw / 2

    def clean(self, value: float, t_us: int) -> float:
        """Raw without noise, rounding and ends of the scale; with offset, drift, temperature."""
        limit = self._drift_limit
        drift = self.drift_per_day * ((t_us - self._start_us) / _DAY_US)
        error = self.offset + min(limit, max(-limit, drift))
        if self._temperature:
            phase = (t_us - self._midnight_us) % _DAY_US / _DAY_US
            error -= self._temperature * math.sin(2 * math.pi * phase)
        return self._zero_raw + self._raw_per_unit * (value + error)

    def read(self, value: float, t_us: int) -> int:
        """Raw reading, 0..65535, of a true value at that time."""
        if self.state != "ok":
            return {"dead": 0, "open": FULL_SCALE_RAW, "stuck": self._stuck_raw}[self.state]
        lsb = self._lsb_raw
        raw = self.clean(value, t_us) + self._sigma_raw * noise(self._seed, t_us)
        return min(FULL_SCALE_RAW // lsb * lsb, max(0, round(raw / lsb) * lsb))

    def set_state(self, state: str, value: float, t_us: int) -> None:
        """Break or mend the sensor; a stuck one repeats what it read of ``value`` at ``t_us``.

        ValueError if there is no such state.
        """
        _checked(state, STATES)
        self._stuck_raw = self.read(value, t_us)
        self.state = state


class Encoder:
    """Absolute encoder on the lead screw: microsteps turned, in steps of one count, +-1 count."""

    def __init__(self, *, turn_steps: int, seed: int) -> None:
        self.state = "ok"
        self._turn_steps = turn_steps
        self._seed = seed
        self._stuck_counts: int | None = None

    @property
    def bound_steps(self) -> int:
        """The most that a reading in state ok differs from the rotor, in microsteps."""
        return math.ceil(1.5 * self._turn_steps / ENCODER_COUNTS + 0.5)

    def read(self, rotor_steps: int, t_us: int) -> int | None:
        """Position in microsteps over all turns; None if the encoder is dead."""
        counts = self.counts(rotor_steps, t_us)
        return None if counts is None else round(counts * self._turn_steps / ENCODER_COUNTS)

    def counts(self, rotor_steps: int, t_us: int) -> int | None:
        """Position in counts, 4096 a turn, over all turns; None if the encoder is dead."""
        if self.state != "ok":
            return self._stuck_counts if self.state == "stuck" else None
        jitter = max(-1, min(1, round(noise(self._seed, t_us) * 0.5)))
        return round(rotor_steps * ENCODER_COUNTS / self._turn_steps) + jitter

    def set_state(self, state: str, rotor_steps: int, t_us: int) -> None:
        """Break or mend the encoder; a stuck one repeats what it read at ``t_us``.

        ValueError if there is no such state.
        """
        _checked(state, ENCODER_STATES)
        self._stuck_counts = self.counts(rotor_steps, t_us)
        self.state = state


def pressure_sensor(config: PlantConfig, start_us: int) -> AnalogSensor:
    """Line pressure in Pa, as the default rig's board file has it."""
    return AnalogSensor(
        raw_per_unit=256 / SENSORS["pressure_pa_per_256"],
        zero_raw=SENSORS["pressure_zero_raw"],
        sigma=config.pressure_sigma_pa,
        offset=config.pressure_offset_pa,
        drift_per_day=config.pressure_drift_pa_per_day,
        drift_limit=config.pressure_drift_limit_pa,
        temperature=config.pressure_temperature_pa,
        start_us=start_us,
        midnight_us=config.midnight_us,
        seed=config.seed * 4,
    )


def level_sensor(config: PlantConfig) -> AnalogSensor:
    """Plunger position as nL of nominal bore, as the default rig's board file has it."""
    return AnalogSensor(
        raw_per_unit=16 / SENSORS["level_nl_per_16"],
        zero_raw=SENSORS["level_zero_raw"],
        sigma=config.level_sigma_nl,
        seed=config.seed * 4 + 1,
    )


def supply_sensor(config: PlantConfig) -> AnalogSensor:
    """Supply in mV."""
    return AnalogSensor(
        raw_per_unit=SENSORS["supply_raw_per_mv"],
        zero_raw=0,
        sigma=config.supply_sigma_mv,
        seed=config.seed * 4 + 2,
    )


def encoder(config: PlantConfig) -> Encoder:
    """The encoder of the default rig."""
    return Encoder(turn_steps=config.turn_steps, seed=config.seed * 4 + 3)
