"""What 0.1.0 left on a pump's flash is read by today's firmware, and nothing of it is lost."""

import itertools
import struct
from binascii import crc32
from pathlib import Path

import pytest

from cisterna import events
from cisterna.base import journal
from cisterna.base.journal import ForeignRecord, decode_entry, first_break
from cisterna.base.roles import ROLES
from cisterna.events import BOOT_CAUSES
from cisterna.memory import Memory
from cisterna.telemetry.keys import Keys
from cisterna.telemetry.sessions import Counter
from cisterna_sim.plant import PlantConfig
from cisterna_sim.rig import Rig
from cisterna_sim.rig_board import default_calibration
from cisterna_sim.store import DictStore, PowerCut
from hal.files import FilesStore
from host_tests.kit.upgrade import FACTS, store

POWER_LOST = BOOT_CAUSES.index("power lost while delivering")
CONFIG = PlantConfig(fill_ml=15.9, concentration_ug_per_ml=FACTS["concentration_ug_per_ml"])
SETTLED = FACTS["forward"]
CHARGED = SETTLED + FACTS["unconfirmed_steps"]
# As 0.1.0 stored counter 1042 with the tag b7 after counter 41: the flash holds no counter.
COUNTER = {
    "counter.a": "57c101000200000010001204000000000000623700000000000030710c3f",
    "counter.b": "57c1010001000000100029000000000000006100000000000000724b80c4",
}


@pytest.fixture
def left(tmp_path: Path) -> DictStore:
    """The memory of a pump that 0.1.0 left delivering."""
    return store(tmp_path)


def boot(left: DictStore) -> Rig:
    """A rig that boots on it."""
    rig = Rig(CONFIG, default_calibration(), store=left)
    rig.run_for(3)
    return rig


def framed(raw: bytes, frame: int, layout: int) -> bytes:
    """A slot as firmware of another version would have written it."""
    body = raw[:2] + struct.pack("<BB", frame, layout) + raw[4:-4]
    return body + struct.pack("<I", crc32(body))


@pytest.mark.req("I07")
def test_every_record_of_0_1_0_is_read(left: DictStore) -> None:
    memory = Memory(left, default_calibration())
    state, ledger = memory.state, memory.state.ledger
    assert memory.found == []
    assert memory.state_known
    for name in ("pump_us", "resting", "first_stop", "open_steps", "interrupted_kind"):
        assert getattr(state, name) == FACTS[name], name
    assert (state.latched, FACTS["latched"]) == (1 << 25, ["POWER_LOST"])
    for name in ("fill_nl", "forward", "reversed", "unconfirmed_steps", "remaining_nl"):
        assert getattr(ledger, name) == FACTS[name], name
    assert state.history.locked_until_us == FACTS["locked_until_us"]
    assert [list(given) for given in state.history._given] == FACTS["history"]
    step_pg = -(-89_819 * FACTS["concentration_ug_per_ml"] // 1000)
    assert state.dose_window.most_pg(state.pump_us) == FACTS["window_steps"] * step_pg
    assert memory.program is not None
    assert memory.program.pack().hex() == FACTS["program"]
    assert memory.limits.pack().hex() == FACTS["limits"]
    assert memory.calibration.pack().hex() == FACTS["calibration"]
    keys = Keys(left)
    assert [keys.of(role).hex() for role in range(len(ROLES))] == [  # type: ignore[union-attr]
        FACTS["keys"][name] for name in ROLES
    ]
    assert Counter(left).value == 0
    assert SETTLED <= FACTS["true_pulses"] <= CHARGED


@pytest.mark.req("I07", "T02")
def test_the_counter_of_0_1_0_is_read_so_that_no_old_line_is_taken() -> None:
    left = DictStore()
    left.records = {name: bytes.fromhex(data) for name, data in COUNTER.items()}
    counter = Counter(left)
    assert (counter.value, counter.tag) == (1042, "b7")
    counter.persist(1043, "b8")
    assert Counter(left).value == 1043


@pytest.mark.req("I07")
def test_opening_the_files_removes_no_entries_of_firmware_that_keeps_more(tmp_path: Path) -> None:
    keeps_more = FilesStore(str(tmp_path), segment_entries=2, min_entries=8)
    for _ in range(12):
        keeps_more.append(bytes(journal.ENTRY_SIZE))
    before = sorted(path.name for path in tmp_path.iterdir())
    FilesStore(str(tmp_path), segment_entries=2, min_entries=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.req("I07")
def test_the_pump_goes_on_delivering_and_its_log_goes_on(left: DictStore) -> None:
    rig = boot(left)
    entries = list(left.entries())
    assert len(entries) > FACTS["entries"]
    assert decode_entry(entries[FACTS["entries"] - 1])[0] == FACTS["last"][0]
    assert first_break(iter(entries)) == -1
    new = [events.describe(*decode_entry(entry)[2:]) for entry in entries[FACTS["entries"] :]]
    assert new[:2] == [("BOOT", "power on 113 steps open"), ("MIGRATED", "0 layout before")]
    assert rig.pump.modes.mode == FACTS["resting"]
    assert rig.pump.dosing.rate_nl_per_day == 150_000
    # The bolus that was under way is booked for all that it can have given.
    assert rig.pump.history.patient_count(rig.pump_us) == 1
    before = rig.pump.ledger.forward
    rig.run_for(3_600)
    assert rig.pump.ledger.forward - before == pytest.approx(150_000 / 24 / 89.819, abs=2)
    for slot in ("state.a", "state.b"):
        assert left.records[slot][2:4] == bytes((2, 2))


@pytest.mark.req("I07", "R07")
def test_a_power_cut_in_any_write_of_the_first_ten_minutes_loses_nothing(tmp_path: Path) -> None:
    for cut_at in itertools.count(1):
        left = store(tmp_path)
        left.cut_at = cut_at
        try:
            boot(left).run_for(600)
        except PowerCut:
            left.cut_at = None
        else:
            break
        memory = Memory(left, default_calibration())
        ledger = memory.state.ledger
        assert memory.state_known
        assert memory.program is not None
        # Ten minutes take at most 12 steps of their own.
        assert SETTLED <= ledger.forward <= SETTLED + 12
        assert ledger.forward + ledger.unconfirmed_steps >= CHARGED
        rig = boot(left)
        assert rig.pump.dosing.rate_nl_per_day == 150_000
        assert rig.pump.history.patient_count(rig.pump_us) == 1
    assert cut_at > 6


@pytest.mark.req("I07")
@pytest.mark.parametrize("name", [row[0] for row in journal.LAYOUTS])
@pytest.mark.parametrize("newer", ["frame", "layout"])
@pytest.mark.parametrize("slots", ["a", "b", "ab"])
def test_a_record_of_newer_firmware_is_refused_by_name_and_nothing_is_changed(
    left: DictStore, name: str, newer: str, slots: str
) -> None:
    left.records.setdefault("counter.a", framed(left.records["keys.a"], 1, 0))
    left.records.setdefault("counter.b", framed(left.records["keys.b"], 1, 0))
    version = (3, 0) if newer == "frame" else (2, 1 + dict(journal.LAYOUTS)[name])
    for slot in slots:
        left.records[f"{name}.{slot}"] = framed(left.records[f"{name}.{slot}"], *version)
    before = dict(left.records), list(left.ring)
    with pytest.raises(ForeignRecord) as refusal:
        Rig(CONFIG, default_calibration(), store=left)
    for word in (f"{name}.{slots[0]}", f"version {version[0]}.{version[1]}", "flash the newer"):
        assert word in str(refusal.value)
    assert (dict(left.records), list(left.ring)) == before


@pytest.mark.req("I07", "I01")
def test_a_damaged_record_is_not_taken_for_a_newer_one(left: DictStore) -> None:
    """One flipped bit of the version byte, whichever it is, is damage: the check sum says so."""
    for bit in range(16):
        flipped = bytearray(left.records["state.a"])
        flipped[2 + bit // 8] ^= 1 << bit % 8
        damaged = DictStore()
        damaged.records = {**left.records, "state.a": bytes(flipped)}
        assert Memory(damaged, default_calibration()).state_known
