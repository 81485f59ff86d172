"""State that cannot be read: the content is unknown, and nothing flows until a refill."""

import pytest

from cisterna.orders import Refused
from host_tests.kit.bench import ALL, Bench
from host_tests.kit.busy_day import POWER_LOST

STEP_NL = 89.819


@pytest.mark.req("R08")
@pytest.mark.parametrize("slots", ["missing", "blank", "zeros", "erased", "torn", "foreign"])
@pytest.mark.parametrize("others", [True, False])
def test_state_that_cannot_be_read_is_an_unknown_reservoir_and_no_delivery(slots, others):
    bench = Bench()
    bench.run(3600)
    bench.rig.power_down()
    records, moved = bench.rig.store.records, bench.plant.rotor_steps
    for name in [key for key in records if key.startswith("state") or not others]:
        raw = records[name]
        records[name] = {
            "missing": b"", "blank": b"", "zeros": bytes(len(raw)), "erased": b"\xff" * len(raw),
            "torn": raw[:-1], "foreign": raw[::-1],
        }[slots]  # fmt: skip
        if slots == "missing":
            del records[name]
    bench.rig.power_up(POWER_LOST)
    bench.run(86_400)
    assert bench.present("RESERVOIR_UNKNOWN")
    assert bench.rig.hal.signal.priority == 3
    assert not bench.pump.ledger.known
    assert bench.mode == "UNCONFIGURED"
    bench.order("acknowledge", ALL)
    for order in (("start",), ("resume",), ("single_bolus", 10_000, 600)):
        with pytest.raises(Refused):
            bench.order(*order)
    bench.press()
    assert bench.present("RESERVOIR_UNKNOWN")
    # Not even a second restart gets round it.
    bench.rig.power_down()
    bench.rig.power_up(POWER_LOST)
    bench.run(3600)
    assert bench.present("RESERVOIR_UNKNOWN")
    assert bench.plant.rotor_steps == moved


@pytest.mark.req("R08")
def test_after_a_lost_state_a_confirmed_refill_lets_the_pump_start():
    bench = Bench()
    bench.rig.power_down()
    for name in ("state.a", "state.b"):
        bench.rig.store.records.pop(name, None)
    bench.rig.power_up(POWER_LOST)
    bench.run(10)
    bench.order("refill", 18_000_000, 2000)
    bench.order("acknowledge", ALL)
    moved = bench.plant.rotor_steps
    bench.run(3600)
    assert bench.plant.rotor_steps == moved
    bench.order("start")
    bench.run(3600)
    assert bench.plant.rotor_steps - moved == pytest.approx(150_000 / 24 / STEP_NL, abs=1)
