"""The encoder's driver, on a bus that plays the chip: no jitter looks like lost steps."""

from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.parts.motion import LOST_STEPS

# By name: mypy sees the boards' files with the boards' stubs.
as5600: Any = import_module("hal.as5600")
TURN_STEPS, COUNTS = 3_200, 4_096
FOUND = 0x20


class Chip:
    """Answers on the bus; ``angle`` is what it says, ``silent`` if it does not."""

    def __init__(self) -> None:
        self.angle = 0
        self.status = FOUND
        self.silent = False

    def readfrom_mem_into(self, address: int, register: int, buffer: bytearray) -> None:
        if self.silent or address != 0x36:
            raise OSError(5)
        values = {0x0B: [self.status], 0x0C: [self.angle >> 8, self.angle & 0xFF]}
        buffer[:] = bytes(values[register])

    def turn_to(self, steps: float, jitter: int = 0) -> None:
        self.angle = (round(steps * COUNTS / TURN_STEPS) + jitter) % COUNTS


jitters = st.integers(-1, 1)


@given(
    st.integers(0, 10 * TURN_STEPS),
    jitters,
    st.lists(st.tuples(st.integers(-400, 400), jitters), min_size=1, max_size=40),
    st.booleans(),
)
def test_a_rotor_that_follows_never_seems_to_have_lost_steps(origin, jitter, moves, reverse):
    chip = Chip()
    encoder = as5600.AS5600(chip, TURN_STEPS, reverse)
    sign = -1 if reverse else 1
    chip.turn_to(sign * origin, jitter)
    first = encoder.position()
    place = origin
    for move, jitter in moves:
        place += move
        chip.turn_to(sign * place, jitter)
        assert abs(encoder.position() - first - (place - origin)) < LOST_STEPS


def test_it_counts_whole_turns_both_ways():
    chip = Chip()
    encoder = as5600.AS5600(chip, TURN_STEPS)
    for steps in (*range(0, 4 * TURN_STEPS, 1_000), *range(4 * TURN_STEPS, -TURN_STEPS, -1_000)):
        chip.turn_to(steps)
        assert encoder.position() == pytest.approx(steps, abs=1)


def test_no_answer_and_no_magnet_are_no_position():
    chip = Chip()
    encoder = as5600.AS5600(chip, TURN_STEPS)
    assert encoder.position() == 0
    assert encoder.status == FOUND
    chip.status = as5600.MAGNET_TOO_WEAK
    assert encoder.position() is None
    chip.status = FOUND | as5600.MAGNET_TOO_WEAK
    assert encoder.position() == 0
    chip.silent = True
    assert encoder.position() is None
    assert encoder.status == 0
