"""Records that outlive a torn write, and the chained event log."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.base.journal import (
    CORRUPT,
    DEGRADED,
    ENTRY_SIZE,
    GOOD,
    MIN_ENTRIES,
    MISSING,
    EventLog,
    Record,
    decode_entry,
    first_break,
)
from cisterna_sim.store import RING_ENTRIES, DictStore, PowerCut
from host_tests.kit.bench import Bench


def _saved(*data: bytes) -> DictStore:
    store = DictStore()
    record = Record(store, "state")
    record.load()
    for each in data:
        record.save(each)
    return store


def _load(store: DictStore) -> tuple[int, bytes]:
    return Record(store, "state").load()


@pytest.mark.req("R07")
@given(st.lists(st.tuples(st.binary(max_size=40), st.integers(-1, 70)), max_size=12))
def test_a_record_is_always_the_last_that_was_stored_whole(saves):
    """Each save is torn after so many bytes, or done (-1); every load is by a new boot."""
    store = DictStore()
    expected = None
    for data, kept in saves:
        record = Record(store, "state")
        status, found = record.load()
        assert found == (expected or b"")
        assert (status in (GOOD, DEGRADED)) == (expected is not None)
        before = dict(store.records)
        record.save(data)
        (name,) = [n for n in store.records if store.records[n] != before.get(n)]
        raw = store.records[name]
        if 0 <= kept < len(raw):
            store.records[name] = raw[:kept]
        else:
            expected = data
    assert _load(store)[1] == (expected or b"")


@pytest.mark.req("I01", "R08")
@pytest.mark.parametrize("newest", [True, False])
def test_every_flipped_bit_of_a_slot_is_found_and_the_other_slot_read(newest):
    store = _saved(b"older data", b"newer data")
    name = "state.a" if newest else "state.b"
    raw = store.records[name]
    for bit in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        store.records[name] = bytes(flipped)
        assert _load(store) == (DEGRADED, b"older data" if newest else b"newer data")


def test_records_tell_what_they_found():
    assert _load(DictStore()) == (MISSING, b"")
    store = _saved(b"one")
    assert _load(store) == (GOOD, b"one")
    store = _saved(b"one", b"two", b"three")
    assert _load(store) == (GOOD, b"three")
    del store.records["state.b"]
    assert _load(store) == (DEGRADED, b"two"), "a slot that has vanished is not as it should be"
    store.records["state.a"] = b""
    assert _load(store) == (CORRUPT, b"")


def test_a_save_after_a_torn_one_leaves_the_good_slot_alone():
    store = _saved(b"one", b"two", b"three")
    store.records["state.b"] = b"torn"
    record = Record(store, "state")
    record.load()
    good = store.records["state.a"]
    record.save(b"four")
    assert store.records["state.a"] == good
    assert _load(store) == (GOOD, b"four")


def _filled(entries: int) -> DictStore:
    store = DictStore()
    log = EventLog(store)
    for number in range(entries):
        log.add(number * 10_000, 2, number % 30, number - 7)
    return store


@pytest.mark.req("I04")
def test_the_log_keeps_a_thousand_entries_and_drops_the_oldest_first():
    entries = list(_filled(RING_ENTRIES + 900).entries())
    assert len(entries) >= 1000
    assert MIN_ENTRIES >= 1000
    sequences = [decode_entry(raw)[0] for raw in entries]
    last = RING_ENTRIES + 899
    assert sequences == list(range(last - len(entries) + 1, last + 1))
    assert first_break(iter(entries)) == -1


@pytest.mark.req("I04")
@given(
    now_us=st.integers(0, 1 << 60), event=st.integers(0, 255), subject=st.integers(0, 255),
    value=st.integers(-(1 << 40), 1 << 40),
)  # fmt: skip
def test_an_entry_reads_as_it_was_written_with_its_time_to_10_ms(now_us, event, subject, value):
    store = DictStore()
    EventLog(store).add(now_us, event, subject, value)
    (raw,) = store.entries()
    stamp = decode_entry(raw)[1]
    assert decode_entry(raw)[2:4] == (event, subject)
    assert decode_entry(raw)[4] == min(max(value, -(1 << 31)), (1 << 31) - 1)
    assert 0 <= now_us - stamp * 10_000 < 10_000


@pytest.mark.req("I04")
def test_the_logs_times_are_those_of_the_events_and_go_on_after_a_power_loss():
    bench = Bench()
    for seconds in (1.234567, 70.999, 3600.25):
        bench.run(seconds)
        bench.order("stop")
        bench.order("start")
    stamps = [decode_entry(raw)[1] for raw in bench.rig.store.entries()]
    assert [round(e.true_s * 100 - s - 0.5) for e, s in zip(bench.log, stamps, strict=True)] == [
        0
    ] * len(stamps)
    bench.rig.power_down()
    bench.rig.power_up(1)
    bench.run(10)
    stamps = [decode_entry(raw)[1] for raw in bench.rig.store.entries()]
    assert stamps == sorted(stamps)


@st.composite
def _tampered(draw, oldest: int) -> tuple[list[bytes], list[bytes]]:
    """(a log whose oldest entry is number ``oldest``, the same after something was done to it)."""
    store = DictStore()
    log = EventLog(store)
    for number in range(oldest + draw(st.integers(3, 12))):
        log.add(number, 2, 3, number)
    entries = list(store.entries())[oldest:]
    changed = list(entries)
    how = draw(st.sampled_from(["flip", "remove", "swap", "repeat", "cut"]))
    # Where older entries were dropped, the oldest cannot be checked; dropping it is no fault.
    first = 1 if oldest or how == "remove" else 0
    place = draw(st.integers(first, len(entries) - 2))
    match how:
        case "flip":
            raw = bytearray(entries[place])
            bit = draw(st.integers(0, 8 * ENTRY_SIZE - 1))
            raw[bit // 8] ^= 1 << bit % 8
            changed[place] = bytes(raw)
        case "remove":
            del changed[place]
        case "swap":
            changed[place], changed[place + 1] = changed[place + 1], changed[place]
        case "repeat":
            changed.insert(place, entries[place])
        case _:
            changed[place] = entries[place][: draw(st.integers(0, ENTRY_SIZE - 1))]
    return entries, changed


@pytest.mark.req("I04")
@pytest.mark.parametrize("oldest", [0, 5])
@given(data=st.data())
def test_an_entry_changed_removed_repeated_or_out_of_order_is_found(oldest, data):
    entries, changed = data.draw(_tampered(oldest))
    assert first_break(iter(entries)) == -1
    differs = next(i for i, (a, b) in enumerate(zip(entries, changed, strict=False)) if a != b)
    assert differs <= first_break(iter(changed)) <= differs + 1


@pytest.mark.req("I04")
@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_torn_entries_do_not_break_the_log_after_the_next_boot(torn):
    store = DictStore()
    log = EventLog(store)
    whole = 0
    for number, tear in enumerate(torn):
        if tear:
            store.cut_at = store.writes + 1
            with pytest.raises(PowerCut):
                log.add(number, 1, 1, number)
            log = EventLog(store)  # the boot after
        else:
            log.add(number, 1, 1, number)
            whole += 1
    entries = [raw for raw in store.entries() if len(raw) == ENTRY_SIZE]
    assert len(entries) == whole
    assert first_break(iter(entries)) == -1
    assert [decode_entry(raw)[0] for raw in entries] == list(range(whole))
    if any(torn):
        assert first_break(store.entries()) == torn.index(True)


def test_stamps_on_a_pump_that_lost_its_state_still_chain():
    bench = Bench()
    bench.run(3600)
    bench.rig.power_down()
    bench.rig.store.records.clear()
    bench.rig.power_up(1)
    bench.run(10)
    entries = list(bench.rig.store.entries())
    assert first_break(iter(entries)) == -1
    numbers = [struct.unpack("<I", raw[:4])[0] for raw in entries]
    assert all(b - a == 1 for a, b in pairwise(numbers))
