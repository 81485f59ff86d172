"""Rung 3: the client talks to a pump on an emulated board, over its USB console.

Figures are printed: make test ARGS='host_tests/emulated/test_telemetry.py -n 0 -rP'.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from cisterna.parts.calendar import ALL_DAYS
from cisterna.parts.program import KIND_CONTINUOUS, Program
from cisterna_sim.emulated import board_rig, probe
from cisterna_sim.emulated.board_rig import BoardRig
from cisterna_sim.emulated.cable import Cable
from cisterna_sim.emulated.session import REPLY_S
from host_tests.kit.boards import BOOT_S, copied, in_a_copy
from pumpctl import KeyRing, Pump, StagedChange
from pumpctl.framing import parse_reply

pytestmark = [pytest.mark.slow, pytest.mark.long]

PROGRAM = Program(KIND_CONTINUOUS, 2_000, ((ALL_DAYS, 0, 300_000),), 20_000, 600, 3_600, 6)
BASAL_NL_PER_DAY = 150_000
FILL_NL, CONCENTRATION = 18_000_000, 2_000
BOLUS_S = 60
STEP_PL = 89_819
TELEMETRY_MS = 100
# One of them is as long as answers are.
QUESTIONS = ("STAT?", "RES:VOL?", "SYST:HELP?", "PROG?", "LOG? 0,16")
# What is typed ahead of the answers.
AHEAD = 3
# How many steps of a bolus are watched: a flood is slow to emulate, and for 2 s telemetry that
# nobody reads fits where it waits.
FLOODED_STEPS, DEAF_STEPS = 6, 10
# A step waits for the answer being made, at most a page of the log's (190 ms), for a telemetry
# line (30 ms) and for a collection of garbage (19 ms), all on the emulated clock.
FLOODED_US = 240_000
# For the last two of them.
DEAF_US = 50_000
FLAT_BYTES = 256


class Run(NamedTuple):
    """The beginning of a bolus: when its steps came, and the heap in use at its end."""

    steps_us: list[int]
    used: int

    def end_us(self, steps: int) -> int:
        """Halfway between the last of so many steps and the next."""
        return (self.steps_us[steps - 1] + self.steps_us[steps]) // 2


def _do(rig: BoardRig, change: StagedChange, second: Pump | None = None) -> None:
    """Make a staged change: the button, the second role if it takes one, the commit."""
    rig.press()
    change.wait_for_press()
    assert change.needs_second == (second is not None)
    if second is not None:
        change.confirm(second)
    change.commit()


@pytest.fixture(scope="module")
def ready(image: None, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A board that came without memory, given keys and a therapy by the client, delivering.

    ``rig``, ``link``; ``pump`` without a session, ``clinician`` with one; ``turned``: steps that
    the motor had made before.
    """
    rig = board_rig.deliver(PROGRAM, files=probe.QUIET, state=False)
    rig.run_until(lambda: "running" in rig.said, BOOT_S)
    rig.run(0.5)
    ring = KeyRing(Path(tmp_path_factory.mktemp("host")) / "keys.toml")
    pump = Pump.over(Cable(rig), keys=ring, timeout_s=REPLY_S)

    def hold(left_s: float) -> None:
        rig.wiring.press(True)
        rig.run(0.3)

    pump.provision(tell=hold)
    rig.wiring.press(False)
    rig.run(0.3)
    clinician, service = pump.as_role("clinician"), pump.as_role("service")
    _do(rig, clinician.stage_refill(FILL_NL, CONCENTRATION), service)
    clinician.acknowledge()
    _do(rig, clinician.stage_program(PROGRAM))
    _do(rig, clinician.stage_start())
    return SimpleNamespace(
        rig=rig, link=pump.link, pump=pump, clinician=clinician, turned=rig.plant.pulses
    )


@in_a_copy
def test_a_client_sets_a_pump_up_and_its_bolus_is_exact(ready):
    rig, clinician = ready.rig, ready.clinician
    assert (ready.pump.identity.maker, ready.pump.identity.board) == ("Cisterna", "pico")
    assert ready.pump.program().program().pack() == PROGRAM.pack()
    status = clinician.status()
    assert (status.mode, status.rate_nl_per_day) == ("BASAL", BASAL_NL_PER_DAY)
    assert (status.remaining_nl, status.delivered_nl, status.alarms) == (FILL_NL, 0, [])
    assert not rig.pulses
    _do(rig, clinician.stage_bolus(5_000, BOLUS_S))
    rig.run(BOLUS_S + 2)
    volume_nl = 5_000 // 2
    ended = rig.events()[-2:]
    assert ended == [("BOLUS_ENDED", f"complete {volume_nl} nL delivered"), ("MODE", "BASAL")]
    status = clinician.status()
    print(f"{len(rig.pulses)} pulses for {volume_nl} nL in {BOLUS_S} s and the basal beside it")
    due_nl = volume_nl + BASAL_NL_PER_DAY * BOLUS_S / 86_400
    assert abs(len(rig.pulses) - due_nl * 1_000 / STEP_PL) < 1
    assert rig.counted() == rig.plant.pulses - ready.turned == len(rig.pulses)
    assert status.mode == "BASAL"
    # The last step is settled by the tick after it.
    steps = range(len(rig.pulses) - 1, len(rig.pulses) + 1)
    assert status.delivered_nl in [count * STEP_PL // 1_000 for count in steps]
    assert status.remaining_nl == FILL_NL - status.delivered_nl


# -- T09: who talks or does not listen, and what that does to steps -----------------------------


@pytest.fixture(scope="module")
def dosing(ready: SimpleNamespace) -> SimpleNamespace:
    """``ready`` in a bolus of three steps a second."""
    _do(ready.rig, ready.clinician.stage_bolus(32_000, BOLUS_S))
    return ready


def _first_steps(rig: BoardRig, end_us: int) -> Run:
    """Run up to ``end_us``."""
    rig.run((end_us - rig.now_us) / 1e6)
    return Run([t for t, _ in rig.pulses], probe.reports(rig.said)[-1].used)


@pytest.fixture(scope="module")
def untroubled(dosing: SimpleNamespace) -> Run:
    """The bolus's first steps while nobody is on the line."""
    rig = dosing.rig

    def watch() -> Run:
        rig.run_until(lambda: len(rig.pulses) > DEAF_STEPS, 10)
        return _first_steps(rig, rig.now_us)

    return copied(watch)


def _worst_shift_us(untroubled: Run, troubled: Run, steps: int) -> int:
    """How far the same steps lie apart; all must be there, and no other."""
    pairs = zip(untroubled.steps_us[:steps], troubled.steps_us, strict=True)
    return max(abs(a - b) for a, b in pairs)


@pytest.mark.req("T09")
@in_a_copy
def test_a_flood_of_questions_loses_no_step(dosing, untroubled):
    """As many as it answers, some typed ahead, with telemetry at 10 Hz."""
    rig, link = dosing.rig, dosing.link
    dosing.pump.query("TEL:PER", TELEMETRY_MS)
    for question in QUESTIONS[:AHEAD]:
        link.send(question)
    replies: list[bytes | None] = []
    end_us = untroubled.end_us(FLOODED_STEPS)
    while rig.now_us < end_us - 500_000:
        link.send(QUESTIONS[(AHEAD + len(replies)) % len(QUESTIONS)])
        replies.append(link.reply(REPLY_S))
    replies += [link.reply(REPLY_S) for _ in range(AHEAD)]
    flooded = _first_steps(rig, end_us)
    shift_us = _worst_shift_us(untroubled, flooded, FLOODED_STEPS)
    samples = _samples(dosing)
    print(f"{len(replies)} answers, {len(samples)} telemetry lines; ", end="")
    more = flooded.used - untroubled.used
    print(f"worst shift of {FLOODED_STEPS} steps {shift_us} us; heap {more:+} bytes")
    assert all(reply and not reply.startswith(b"ERR") for reply in replies)
    assert [sample["seq"] for sample in samples] == list(range(len(samples)))
    assert samples[-1]["dropped"] == 0
    assert shift_us < FLOODED_US
    assert more < FLAT_BYTES
    assert rig.counted() == rig.plant.pulses - dosing.turned == len(rig.pulses)


@pytest.mark.req("T09")
@in_a_copy
def test_a_host_that_stops_reading_telemetry_delays_no_step(dosing, untroubled):
    rig = dosing.rig
    dosing.pump.query("TEL:PER", TELEMETRY_MS)
    rig.chip.console.reading = False
    deaf = _first_steps(rig, untroubled.end_us(DEAF_STEPS))
    rig.chip.console.reading = True
    rig.run(1)
    shift_us, samples = _worst_shift_us(untroubled, deaf, DEAF_STEPS), _samples(dosing)
    lost = samples[-1]["seq"] + 1 - len(samples)
    print(f"worst shift of {DEAF_STEPS} steps {shift_us} us; {lost} telemetry lines dropped")
    assert shift_us < DEAF_US
    assert 0 < lost <= samples[-1]["dropped"]  # which counts the probe's lines, too


def _samples(dosing: SimpleNamespace) -> list[dict]:
    """The telemetry lines that have come."""
    lines = []
    while (line := dosing.link.telemetry(0)) is not None:
        if line.startswith(b"~{"):
            lines.append(json.loads(line[1:]))
    return lines


# -- a reset in between -------------------------------------------------------------------


@pytest.mark.req("T02")
@in_a_copy
def test_a_watchdog_reset_ends_sessions_and_keeps_the_counter(dosing):
    rig, pump, clinician = dosing.rig, dosing.pump, dosing.clinician
    sent: list[bytes] = []
    dosing.link.tap = lambda ours, data: sent.append(data) if ours else None
    clinician.acknowledge()
    line = sent[-1].decode().strip()
    assert " ALAR:ACK ALL @" in line
    counter = json.loads(pump.query("AUTH?"))["counter"]
    rig.chip.hang()
    rig.run_until(lambda: rig.chip.resets, 9, 0.1)
    rig.run_until(lambda: rig.wiring.enabled_us is not None, BOOT_S)
    while dosing.link.reply(0) is not None:
        pass
    # Nothing is left of the session, and its line is worth nothing, then and in a new session.
    kept = json.loads(pump.query("AUTH?"))
    assert (kept["sessions"], kept["counter"]) == ([], counter)
    for _ in range(2):
        commands = [event for event in rig.events() if event[0] == "COMMAND"]
        assert _payload(dosing, line).startswith("ERR -203,")
        assert [event for event in rig.events() if event[0] == "COMMAND"] == commands
        last = pump.last_change()
        assert last.counter == json.loads(pump.query("AUTH?"))["counter"]
        clinician.acknowledge()
        assert pump.last_change().counter > last.counter >= counter
        assert pump.last_change().result == "done"


def _payload(ready: SimpleNamespace, line: str) -> str:
    """What a line is answered with, its tag and proofs apart."""
    ready.link.send(line)
    return parse_reply(ready.link.reply(REPLY_S)).payload
