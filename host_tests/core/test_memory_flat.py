"""Steady dosing leaves nothing behind in memory (the board's part of I06 is measured there)."""

import gc
import tracemalloc

import pytest

from host_tests.kit.bench import Bench


def _grown_bytes(bench: Bench, warm_up_s: float, seconds: float) -> int:
    # From the start on: what is replaced later is to be taken off, too.
    tracemalloc.start()
    try:
        bench.run(warm_up_s)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        bench.run(seconds)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


# Integers of another size, a record of another length: anything that lasts a tick and stays is
# at least 28 bytes times the 62 steps of an hour.
@pytest.mark.req("I06")
@pytest.mark.parametrize(
    ("warm_up_s", "seconds", "most_bytes"), [(3600, 3600, 1024), (90_000, 30 * 86_400, 4096)]
)
def test_steady_dosing_keeps_no_memory(warm_up_s, seconds, most_bytes):
    bench = Bench(dose_ug_per_day=300)
    assert _grown_bytes(bench, warm_up_s, seconds) <= most_bytes
    assert bench.pump.ledger.forward > seconds / 60


@pytest.mark.req("I06")
def test_steady_dosing_logs_nothing():
    bench = Bench(dose_ug_per_day=300)
    bench.run(3600)
    logged, slots = len(bench.log), set(bench.rig.store.records)
    bench.run(30 * 86_400)
    assert len(bench.log) == logged
    assert set(bench.rig.store.records) == slots
