"""Pressure of the spinal fluid at the catheter tip as a person lies, sits and stands.

Lying from 22:30 to 06:30; by day spells of 15 to 120 min sitting, standing or lying. Lumbar
pressure about 1.2 kPa lying and 3.0 to 4.0 kPa upright (recall); the pattern of the day is the
project's choice. Coughs, strains and the pulse last seconds and move no volume to speak of through
a catheter of this resistance, so none of them is modelled one by one.
"""

import math
import random

from .config import PlantConfig

LYING_PA = 1_200.0
UPRIGHT_PA = (3_000.0, 4_000.0)

_DAY_US = 86_400_000_000
_MIN_US = 60_000_000
_RISE_US = (6 * 60 + 30) * _MIN_US
_BED_US = (22 * 60 + 30) * _MIN_US
_SPELL_MIN = (15, 120)
_POSTURES = ("lying", "sitting", "standing")


class Posture:
    """The spell that holds now and when it ends.

    A day's spells depend on the seed and the day alone, not on when they are asked for.
    """

    __slots__ = ("_day", "_midnight_us", "_seed", "_spells", "csf_pa", "next_us")

    def __init__(self, config: PlantConfig, now_us: int) -> None:
        self.csf_pa = LYING_PA
        self.next_us: float = math.inf
        self._seed = config.seed
        self._midnight_us = config.midnight_us
        self._day = (now_us - config.midnight_us) // _DAY_US
        self._spells: list[tuple[int, float]] = []
        if config.posture:
            self.next_us = self._midnight_us + self._day * _DAY_US
            while self.next_us <= now_us:
                self.change()

    def change(self) -> None:
        """Enter the spell that starts at ``next_us``."""
        if not self._spells:
            start_us = self._midnight_us + self._day * _DAY_US
            self._spells = [(start_us + at, pa) for at, pa in _day_of(self._seed, self._day)]
            self._spells.reverse()
            self._day += 1
        self.csf_pa = self._spells.pop()[1]
        following = self._spells[-1][0] if self._spells else None
        self.next_us = self._midnight_us + self._day * _DAY_US if following is None else following


def _day_of(seed: int, day: int) -> list[tuple[int, float]]:
    """Spells of one day: start after midnight in us, pressure in Pa; the first is at midnight."""
    draw = random.Random(f"posture {seed} {day}")
    spells = [(0, LYING_PA)]
    at_us, posture = _RISE_US, "lying"
    while at_us < _BED_US:
        posture = draw.choice([other for other in _POSTURES if other != posture])
        spells.append((at_us, LYING_PA if posture == "lying" else draw.uniform(*UPRIGHT_PA)))
        at_us += draw.randint(*_SPELL_MIN) * _MIN_US
    spells.append((_BED_US, LYING_PA))
    return spells
