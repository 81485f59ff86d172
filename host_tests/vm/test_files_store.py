"""Memory as files: the same contract as the simulator's dictionary, torn tails, clear errors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cisterna.base.journal import ENTRY_SIZE, MIN_ENTRIES, EventLog, decode_entry, first_break
from cisterna_sim.store import DictStore
from hal.files import SEGMENT_ENTRIES, FilesStore, StoreError

Opened = Callable[[], Any]


@pytest.fixture(params=["dict", "files"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Opens the store, as each boot does; what was stored before is there."""
    if request.param == "files":
        return lambda: FilesStore(str(tmp_path / "state"))
    store = DictStore()
    return lambda: store


def _entry(number: int) -> bytes:
    return number.to_bytes(4, "little") * 6 + b"ab"


def _numbers(store: Any) -> list[int]:
    return [int.from_bytes(entry[:4], "little") for entry in store.entries()]


def test_a_record_is_there_until_it_is_replaced(opened):
    assert opened().read("state.a") is None
    opened().write("state.a", b"one")
    opened().write("state.b", b"two")
    assert opened().read("state.a") == b"one"
    opened().write("state.a", b"a longer one")
    opened().write("state.a", b"1")
    assert (opened().read("state.a"), opened().read("state.b")) == (b"1", b"two")


def test_entries_come_oldest_first_and_outlive_a_boot(opened):
    assert list(opened().entries()) == []
    for number in range(3 * SEGMENT_ENTRIES // 2):
        if number % 50 == 0:
            store = opened()
        store.append(_entry(number))
    assert _numbers(store) == _numbers(opened()) == list(range(3 * SEGMENT_ENTRIES // 2))


@pytest.mark.req("I04")
def test_the_last_thousand_events_are_always_kept_and_their_number_is_bounded(opened):
    store = opened()
    for number in range(4000):
        store.append(_entry(number))
        if number % 97 == 0 or number % SEGMENT_ENTRIES < 2:
            kept = _numbers(store)
            assert kept == list(range(number + 1 - len(kept), number + 1))
            assert len(kept) >= min(number + 1, MIN_ENTRIES)
            assert len(kept) <= 2048
    assert _numbers(opened()) == _numbers(store)


@pytest.mark.req("I04")
def test_the_event_log_keeps_its_chain_over_boots_and_dropped_segments(opened):
    for boot in range(30):
        log = EventLog(opened())
        for number in range(101):
            log.add(number * 10_000, 1, boot, number)
    assert first_break(opened().entries()) == -1
    assert decode_entry(list(opened().entries())[-1])[0] == 30 * 101 - 1


def test_what_is_no_file_of_the_store_is_left_alone(tmp_path):
    for name in ("events.txt", "main.py", "events."):
        (tmp_path / name).write_bytes(b"mine")
    store = FilesStore(str(tmp_path))
    for number in range(6 * SEGMENT_ENTRIES):
        store.append(_entry(number))
    for name in ("events.txt", "main.py", "events."):
        assert (tmp_path / name).read_bytes() == b"mine"
    assert len(list(tmp_path.iterdir())) == 3 + 5


@pytest.mark.parametrize("torn", range(ENTRY_SIZE))
def test_a_torn_entry_is_passed_over_and_the_chain_goes_on(tmp_path, torn):
    folder = tmp_path / "state"
    log = EventLog(FilesStore(str(folder)))
    for number in range(5):
        log.add(number, 1, 0, number)
    segment = next(folder.iterdir())
    with segment.open("ab") as file:
        file.write(b"x" * torn)
    for expected in (6, 7):
        EventLog(FilesStore(str(folder))).add(9, 2, 0, 0)
        entries = list(FilesStore(str(folder)).entries())
        assert len(entries) == expected
        assert first_break(iter(entries)) == -1


def test_a_file_that_was_only_begun_counts_as_none(tmp_path):
    store = FilesStore(str(tmp_path))
    (tmp_path / "state.a").touch()
    assert store.read("state.a") is None


def test_a_record_that_cannot_be_read_counts_as_damaged(tmp_path):
    store = FilesStore(str(tmp_path))
    (tmp_path / "state.a").mkdir()
    assert store.read("state.a") == b""


def test_the_log_can_be_read_while_it_grows(tmp_path):
    store = FilesStore(str(tmp_path), segment_entries=4, min_entries=8)
    for number in range(12):
        store.append(_entry(number))
    read = []
    for entry in store.entries():
        read.append(int.from_bytes(entry[:4], "little"))
        store.append(_entry(100 + len(read)))
    assert read == sorted(read)
    assert set(read) <= set(range(12))


def test_a_missing_file_system_is_named(tmp_path):
    with pytest.raises(StoreError, match="state cannot be opened: error 2; check that a file"):
        FilesStore(str(tmp_path / "nothing" / "state"))


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "state").touch()
    with pytest.raises(StoreError, match=r"state cannot be opened"):
        FilesStore(str(tmp_path / "state"))


def test_a_write_that_fails_is_named_and_the_ring_goes_on(tmp_path):
    store = FilesStore(str(tmp_path))
    store.append(_entry(0))
    (tmp_path / "state.a").mkdir()
    with pytest.raises(StoreError, match=r"state\.a cannot be written: error \d+; check"):
        store.write("state.a", b"data")
    segment = next(path for path in tmp_path.iterdir() if path.name.startswith("events"))
    aside = segment.rename(tmp_path / "aside")
    segment.mkdir()
    with pytest.raises(StoreError, match=r"events\.\d+ cannot be written"):
        store.append(_entry(1))
    segment.rmdir()
    aside.rename(segment)
    store.append(_entry(2))
    assert _numbers(store) == [0, 2]
