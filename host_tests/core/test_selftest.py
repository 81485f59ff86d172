"""Nothing moves before the power-on self-test has passed."""

from collections.abc import Callable
from typing import Any

import pytest

from cisterna import selftest
from cisterna.base import faults
from cisterna.base.journal import Record
from cisterna.base.units import LimitError
from cisterna.orders import Refused
from cisterna.selftest import CHECKS, SETTLE_US
from host_tests.kit.bench import ALL, MIDNIGHT_US, Bench, simple

US_PER_S = 1_000_000


def reboot(bench: Bench, off_s: float = 1.0, cause: int = 1) -> int:
    """Cut the power and boot again; returns the pulses so far."""
    bench.rig.power_down()
    bench.run(off_s)
    pulses = int(bench.plant.pulses)
    bench.rig.power_up(cause)
    return pulses


def try_everything(bench: Bench) -> None:
    """Give every order that could make a pump move; refusals are right."""
    for name, *arguments in (
        ("set_program", simple(900_000)),
        ("refill", 18_000_000, 2000),
        ("start",),
        ("resume",),
        ("patient_bolus",),
        ("single_bolus", 50_000, 60),
        ("acknowledge", ALL),
        ("suspend",),
        ("stop",),
        ("start",),
        ("test_alarms",),
        ("set_clock", MIDNIGHT_US),
    ):
        try:
            bench.order(str(name), *arguments)
        except (Refused, LimitError):
            continue
    bench.press()


@pytest.mark.req("B09")
@pytest.mark.parametrize("bolus", [False, True])
def test_nothing_is_delivered_before_the_self_test_has_passed(bolus: bool) -> None:
    bench = Bench()
    bench.run(1000)
    if bolus:
        bench.order("single_bolus", 200_000, 600)
        bench.run(100)
    pulses = reboot(bench)
    booted_us = bench.rig.now_us
    assert bench.mode == "SELFTEST"
    bench.rig.run_until(booted_us + SETTLE_US - 1)
    assert (bench.mode, bench.plant.pulses) == ("SELFTEST", pulses)
    bench.rig.run_until(booted_us + SETTLE_US)
    assert bench.mode == "BASAL"
    bench.run(600)
    assert bench.plant.pulses > pulses


@pytest.mark.req("B09")
def test_no_order_and_no_button_moves_a_pump_in_its_self_test() -> None:
    bench = Bench()
    bench.run(1000)
    pulses = reboot(bench)
    assert SETTLE_US >= 1_500_000
    try_everything(bench)
    assert bench.mode == "SELFTEST"
    bench.run(0.9)
    assert bench.plant.pulses == pulses


@pytest.mark.req("B09")
def test_an_order_in_the_self_test_sets_no_rate_however_fast_the_program() -> None:
    # 20 mL/day: a pulse every 0.39 s, so several would fall into the self-test.
    bench = Bench(program=simple(1_000_000, 50, bolus_dose_ng=0), concentration_ug_per_ml=50)
    bench.run(100)
    pulses = reboot(bench)
    for _ in range(9):
        bench.order("acknowledge", 0)
        bench.run(0.2)
        assert bench.mode == "SELFTEST"
        assert bench.pump.dosing.rate_nl_per_day == 0
    assert bench.plant.pulses == pulses
    bench.run(2)
    assert bench.plant.pulses > pulses


def _flip(name: str) -> Callable[[Bench], None]:
    def flip(bench: Bench) -> None:
        sealed = getattr(bench.pump.memory, name)
        sealed.crc ^= 1

    return flip


def _pulse(bench: Bench) -> None:
    bench.plant.step(1)


BREAKS: dict[str, Callable[[Bench], None]] = {
    "limits": _flip("limits"),
    "calibration": _flip("calibration"),
    "program": _flip("program"),
    "motor still": _pulse,
}


@pytest.mark.req("B09")
@pytest.mark.parametrize("name", [name for name, _ in CHECKS])
def test_a_pump_that_fails_its_self_test_moves_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench()
    bench.run(1000)
    pulses = reboot(bench)
    bench.run(1)
    if name in BREAKS:
        BREAKS[name](bench)
        pulses += name == "motor still"
    else:
        broken = tuple(
            (row[0], row[1] if row[0] != name else lambda pump: False) for row in CHECKS
        )
        monkeypatch.setattr(selftest, "CHECKS", broken)
    bench.run(2)
    assert bench.mode == "HALTED"
    assert bench.active("SELFTEST_FAILED")
    assert bench.rig.hal.signal.priority == faults.HIGH
    try_everything(bench)
    bench.run(86_400)
    assert bench.plant.pulses == pulses
    assert bench.mode in ("HALTED", "STOPPED")
    assert bench.present("SELFTEST_FAILED")


@pytest.mark.req("B09")
def test_a_restart_that_passes_ends_a_failed_self_test_once_acknowledged() -> None:
    bench = Bench()
    bench.run(1000)
    reboot(bench)
    bench.plant.step(1)
    bench.run(3)
    assert bench.active("SELFTEST_FAILED")
    pulses = reboot(bench)
    bench.run(600)
    assert (bench.mode, bench.plant.pulses) == ("HALTED", pulses)
    with pytest.raises(Refused, match="SELFTEST_FAILED"):
        bench.order("resume")
    bench.order("acknowledge", ALL)
    bench.order("resume")
    bench.run(600)
    assert bench.mode == "BASAL"
    assert bench.plant.pulses > pulses


@pytest.mark.req("B09")
@pytest.mark.parametrize("at_s", [0.0, 0.5, 1.999999])
def test_power_that_fails_in_the_self_test_begins_it_anew(at_s: float) -> None:
    bench = Bench()
    bench.run(1000)
    pulses = reboot(bench)
    for _ in range(3):
        bench.run(at_s)
        assert reboot(bench) == pulses
    booted_us = bench.rig.now_us
    bench.rig.run_until(booted_us + SETTLE_US - 1)
    assert (bench.mode, bench.plant.pulses) == ("SELFTEST", pulses)
    bench.rig.run_until(booted_us + SETTLE_US)
    assert bench.mode == "BASAL"


@pytest.mark.req("B09")
def test_a_pump_in_its_self_test_has_its_motor_driver_off() -> None:
    bench = Bench()
    bench.run(1000)
    reboot(bench)
    rotor = bench.plant.rotor_steps
    bench.plant.step(1)
    assert bench.plant.rotor_steps == rotor


@pytest.mark.parametrize("place", range(len(CHECKS)))
def test_the_first_check_that_fails_is_named(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def verdict(at: int) -> Callable[[Any], bool]:
        return lambda pump: at < place

    broken = tuple((row[0], verdict(at)) for at, row in enumerate(CHECKS))
    pump = Bench(start=False).pump
    assert selftest.failed(pump) == -1
    monkeypatch.setattr(selftest, "CHECKS", broken)
    assert selftest.failed(pump) == place


@pytest.mark.req("B09")
def test_a_stored_record_that_is_corrupt_keeps_the_pump_at_zero() -> None:
    for name in ("program", "limits", "calibration"):
        bench = Bench()
        bench.run(1000)
        for slot in (".a", ".b"):
            if name + slot in bench.rig.store.records:
                bench.rig.store.records[name + slot] = b"\xff" * 40
        pulses = reboot(bench)
        bench.run(3600)
        assert bench.plant.pulses == pulses
        assert bench.present(name.upper() + "_CORRUPT")
        # What the board file knows is stored anew, for the next start.
        assert (Record(bench.rig.store, name).load()[0] == 1) == (name == "calibration")
