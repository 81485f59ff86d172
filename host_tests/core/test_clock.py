"""The pump's time has no end, never goes back, and a counter that wraps does not show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.base.clock import TICKS_PERIOD, TicksClock


class Counter:
    def __init__(self, start: int) -> None:
        self.true_us = start

    def __call__(self) -> int:
        return self.true_us % TICKS_PERIOD


@given(st.integers(0, TICKS_PERIOD - 1), st.lists(st.integers(0, TICKS_PERIOD - 1)))
def test_time_is_what_has_passed_whatever_the_counter_shows(start, passes):
    counter = Counter(start)
    clock = TicksClock(counter)
    now_us = 0
    assert clock.now_us() == 0
    for passed in passes:
        counter.true_us += passed
        now_us += passed
        assert clock.now_us() == now_us
        assert clock.now_us() == now_us


@pytest.mark.parametrize("before", [1, 2, TICKS_PERIOD - 1])
def test_a_wrap_is_passed_without_a_jump(before):
    counter = Counter(TICKS_PERIOD - before)
    clock = TicksClock(counter)
    times = []
    for _ in range(4):
        counter.true_us += 1
        times.append(clock.now_us())
    assert times == [1, 2, 3, 4]


def test_a_year_of_wraps_loses_nothing():
    counter = Counter(12_345)
    clock = TicksClock(counter)
    step_us = TICKS_PERIOD - 1
    turns = 365 * 86_400_000_000 // step_us
    for _ in range(turns):
        counter.true_us += step_us
        clock.now_us()
    assert clock.now_us() == turns * step_us
