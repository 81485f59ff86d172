"""Program, limits and calibration: every flipped bit is found, in memory and in the store."""

import re
import struct
from collections.abc import Callable
from typing import Any

import pytest

from cisterna.base import faults, settings
from cisterna.base.sealed import Sealed
from cisterna.base.settings import Limits
from cisterna.memory import Memory
from cisterna.parts import program
from cisterna.parts.calendar import ALL_DAYS
from cisterna.parts.program import KIND_PROFILE, Program
from cisterna_sim.rig_board import default_calibration
from cisterna_sim.store import DictStore
from host_tests.kit.bench import ALL, Bench, simple

PROFILE = Program(
    KIND_PROFILE,
    2000,
    ((ALL_DAYS, 0, 200_000), (0x1F, 480, 400_000), (0x60, 600, 300_000)),
    10_000,
)
SEALED: dict[str, Callable[[], Sealed]] = {
    "program": lambda: Program.unpack(PROFILE.pack()),
    "limits": Limits,
    "calibration": default_calibration,
}
FAULTS = {
    "program": "PROGRAM_CORRUPT",
    "limits": "LIMITS_CORRUPT",
    "calibration": "CALIBRATION_CORRUPT",
}
# A small integer on a 32-bit board has 31 bits.
BITS = 31


class _BoardStruct:
    """MicroPython packs what does not fit its field without a word, and cuts it."""

    calcsize = staticmethod(struct.calcsize)
    unpack = staticmethod(struct.unpack)

    @staticmethod
    def pack(layout: str, *values: int) -> bytes:
        letters = "".join(c * int(n or 1) for n, c in re.findall(r"(\d*)([A-Z])", layout))
        packed = b""
        for letter, value in zip(letters, values, strict=True):
            size = struct.calcsize("<" + letter)
            packed += (value % (1 << 8 * size)).to_bytes(size, "little")
        return packed

    @staticmethod
    def pack_into(layout: str, data: bytearray, place: int, *values: int) -> None:
        packed = _BoardStruct.pack(layout, *values)
        data[place : place + len(packed)] = packed


def _flips(sealed: Any) -> list[tuple[str, Callable[[], None]]]:
    """(what, do it) for each single-bit flip of each attribute; doing it twice undoes it."""
    flips: list[tuple[str, Callable[[], None]]] = []
    for name, value in vars(sealed).items():
        if isinstance(value, int):
            for bit in range(32 if name == "crc" else BITS):
                flips.append((f"{name} bit {bit}", _flip_of(sealed, name, 1 << bit)))
            continue
        assert name == "segments", f"{name} is not flipped by this test"
        for i, segment in enumerate(value):
            for j in range(len(segment)):
                for bit in range(BITS):
                    act = _flip_in_segment(sealed, i, j, 1 << bit)
                    flips.append((f"segment {i}[{j}] bit {bit}", act))
    return flips


def _flip_of(sealed: Any, name: str, mask: int) -> Callable[[], None]:
    return lambda: setattr(sealed, name, getattr(sealed, name) ^ mask)


def _flip_in_segment(program: Any, i: int, j: int, mask: int) -> Callable[[], None]:
    def act() -> None:
        rows = [list(row) for row in program.segments]
        rows[i][j] ^= mask
        program.segments = tuple(tuple(row) for row in rows)

    return act


@pytest.mark.req("I01")
@pytest.mark.parametrize("board", [False, True])
@pytest.mark.parametrize("kind", SEALED)
def test_every_flipped_bit_of_every_value_is_found_in_memory(kind, board, monkeypatch):
    if board:
        monkeypatch.setattr(program, "struct", _BoardStruct)
        monkeypatch.setattr(settings, "struct", _BoardStruct)
    sealed = SEALED[kind]()
    assert sealed.intact()
    flips = _flips(sealed)
    assert len(flips) >= BITS * 7
    for what, flip in flips:
        flip()
        assert not sealed.intact(), what
        flip()
        assert sealed.intact(), what


def _running() -> Bench:
    return Bench(program=simple(300_000, lockout_s=300), limits={"restarts": 1})


@pytest.mark.req("I01")
@pytest.mark.parametrize(
    ("kind", "name"),
    [("program", name) for name in vars(PROFILE)]
    + [("limits", name) for name in vars(Limits())]
    + [("calibration", name) for name in vars(default_calibration())],
)
def test_a_flip_in_a_running_pump_stops_it_and_says_which(kind, name):
    bench = _running()
    bench.run(3700)
    sealed = getattr(bench.pump.memory, kind)
    bit = 3 if name not in ("crc", "segments") else 17
    flip = _flip_in_segment(sealed, 0, 2, 1 << bit)
    if name != "segments":
        flip = _flip_of(sealed, name, 1 << bit)
    moved = bench.plant.rotor_steps
    flip()
    # The rate was worked out before; the seal is looked at with every allowance of 16 steps.
    bench.run_until(lambda: bench.mode == "HALTED", 16 * 89.9 / 150_000 * 86_400, 10)
    assert bench.plant.rotor_steps - moved <= 16
    assert [n for n in bench.raised() if n.endswith("CORRUPT")] == [FAULTS[kind]]
    assert bench.rig.hal.signal.priority == faults.HIGH
    moved = bench.plant.rotor_steps
    bench.run(86_400)
    assert bench.plant.rotor_steps == moved


@pytest.mark.req("I01")
@pytest.mark.parametrize("kind", SEALED)
def test_a_flip_is_found_before_a_bolus_uses_what_was_flipped(kind):
    bench = _running()
    bench.run(3700)
    sealed = getattr(bench.pump.memory, kind)
    name = {"program": "bolus_dose_ng", "limits": "max_daily_dose_ng", "calibration": "step_pl"}
    _flip_of(sealed, name[kind], 1 << 16)()
    moved = bench.plant.rotor_steps
    bench.press()
    bench.run(60)
    assert bench.plant.rotor_steps == moved
    assert bench.mode == "HALTED"
    assert bench.present(FAULTS[kind])


@pytest.mark.req("I01")
@pytest.mark.parametrize(
    ("kind", "order", "value"),
    [
        ("program", "set_program", simple(300_000)),
        ("limits", "set_limits", Limits()),
    ],
)
def test_what_was_corrupt_is_set_again_and_the_pump_goes_on(kind, order, value):
    bench = _running()
    bench.run(3700)
    sealed = getattr(bench.pump.memory, kind)
    sealed.crc ^= 1
    bench.run(1000)
    assert bench.mode == "HALTED"
    bench.order("acknowledge", ALL)
    assert bench.present(FAULTS[kind])
    bench.order(order, value)
    assert not bench.present(FAULTS[kind])
    bench.order("resume")
    moved = bench.plant.rotor_steps
    bench.run(3600)
    assert bench.plant.rotor_steps - moved == pytest.approx(150_000 / 24 / 89.8, abs=1)


def _stopped_store() -> dict[str, bytes]:
    bench = _running()
    bench.run(600)
    bench.rig.power_down()
    return dict(bench.rig.store.records)


def _flipped(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.req("I01")
@pytest.mark.parametrize("kind", SEALED)
def test_every_flipped_bit_of_the_stored_record_is_found(kind):
    records = _stopped_store()
    slots = [name for name in records if name.startswith(kind + ".")]
    assert len(slots) == 2, "a setting is stored twice, so that no older one can come back"
    code = faults.code_of(FAULTS[kind])
    whole = getattr(_memory(records), kind).pack()
    for bit in range(8 * len(records[slots[0]])):
        one = dict(records)
        for slot in slots:
            # One slot: the other holds the very same. It is said, and mended.
            store = DictStore()
            store.records = {**records, slot: _flipped(records[slot], bit)}
            memory = Memory(store, default_calibration())
            assert memory.found == [faults.MEMORY_DEGRADED]
            assert getattr(memory, kind).pack() == whole
            assert _memory(store.records).found == []
            one[slot] = _flipped(records[slot], bit)
        assert code in _memory(one).found


def _memory(records: dict[str, bytes]) -> Memory:
    store = DictStore()
    store.records = dict(records)
    return Memory(store, default_calibration())


@pytest.mark.req("I01")
@pytest.mark.parametrize("kind", SEALED)
@pytest.mark.parametrize("how", ["flipped", "missing", "foreign"])
def test_a_boot_on_a_corrupt_record_stops_and_says_which(kind, how):
    bench = _running()
    bench.run(600)
    bench.rig.power_down()
    records = bench.rig.store.records
    for slot in [name for name in records if name.startswith(kind + ".")]:
        if how == "missing":
            del records[slot]
        elif how == "foreign":
            other = "limits" if kind == "calibration" else "calibration"
            records[slot] = records[other + slot[-2:]]
        else:
            records[slot] = _flipped(records[slot], 100)
    moved = bench.plant.rotor_steps
    bench.rig.power_up(1)
    bench.run(86_400)
    assert bench.plant.rotor_steps == moved
    assert bench.mode == "HALTED"
    assert [n for n in bench.raised() if n.endswith("CORRUPT")] == [FAULTS[kind]]
    assert bench.rig.hal.signal.priority == faults.HIGH
    bench.order("acknowledge", ALL)
    assert bench.present(FAULTS[kind]), "the condition still holds"


@pytest.mark.req("I01")
@pytest.mark.parametrize("kind", SEALED)
def test_a_flip_during_the_self_test_fails_it(kind):
    bench = _running()
    bench.rig.power_down()
    bench.rig.power_up(1)
    getattr(bench.pump.memory, kind).crc ^= 1 << 5
    moved = bench.plant.rotor_steps
    bench.run(3600)
    assert bench.plant.rotor_steps == moved
    assert bench.mode == "HALTED"
