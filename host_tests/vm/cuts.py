"""Cut the power in every program and erase of a script of saves and events, on a real LittleFS.

    micropython cuts.py

After each cut the flash is mounted again. Every record must then load as it was before the save
that was cut or as that save would have left it, the event chain must hold up to the last event
that was answered or the one after it, and both must take more. It is done on a new file system
and on a worn one, where LittleFS moves the folder to other blocks within the script.
"""

import gc

import vfs  # type: ignore[import-not-found]

from cisterna.base.journal import GOOD, MISSING, EventLog, Record, decode_entry, first_break
from hal.files import FilesStore, StoreError
from host_tests.vm.facts import tell
from host_tests.vm.flash import PROGRAM, RamFlash, mounted, remounted

BLOCKS = 32
# A segment outgrows the 512 bytes that LittleFS keeps inside a folder's own blocks.
SEGMENT, KEPT = 24, 30
NAMES = ("state", "program")
SCRIPT = "sespseeseeps" * 15  # s: save state, p: save program, e: add an event


def _data(name, number):
    """A record's content: as long as a real one, and told apart from any other."""
    size = 110 if name == "state" else 70
    return bytes([(number * 7 + i * len(name)) & 255 for i in range(size)])


def _store():
    return FilesStore("/cut/state", SEGMENT, KEPT)


class Script:
    """Plays SCRIPT; knows what was answered and what was under way."""

    def __init__(self):
        store = _store()
        self._records = {name: Record(store, name) for name in NAMES}
        self._log = EventLog(store)
        self.events = self._log.sequence
        self.saved = {}
        for name in NAMES:
            self.saved[name] = self._records[name].load()[1]
        self.under_way = None

    def play(self):
        for number, act in enumerate(SCRIPT):
            if act == "e":
                self._log.add(number * 1_000_000, 1, number & 15, number)
                self.events += 1
                continue
            name = "state" if act == "s" else "program"
            data = _data(name, number)
            self.under_way = name, data
            self._records[name].save(data)
            self.saved[name] = data
            self.under_way = None


def _check(script):
    """Raise AssertionError if what is stored is not what ``script`` left, or takes no more."""
    store = _store()
    for name in NAMES:
        record = Record(store, name)
        status, data = record.load()
        known = [script.saved[name]]
        if script.under_way and script.under_way[0] == name:
            known.append(script.under_way[1])
        assert data in known, (name, status, data)
        assert status == (GOOD if data else MISSING), (name, status)
        record.save(b"after")
        assert Record(store, name).load() == (GOOD, b"after")
    entries = list(store.entries())
    assert first_break(iter(entries)) == -1
    stored = decode_entry(entries[-1])[0] + 1 if entries else 0
    assert stored - script.events in (0, 1), (stored, script.events)
    assert len(entries) >= min(KEPT, stored)
    EventLog(store).add(0, 2, 0, 0)
    entries = list(_store().entries())
    assert first_break(iter(entries)) == -1
    assert decode_entry(entries[-1])[:3] == (stored, 0, 2)


def _age(flash):
    """Save until the folder's blocks have been moved once; return the image just before that."""
    record = Record(_store(), "state")
    record.load()
    images: list = []
    number = 0
    while True:
        if number % 10 == 0:
            images = images[-2:] + [bytes(flash.data)]  # noqa: RUF005 - not on MicroPython
        before = [n for n, count in enumerate(flash.erases) if count]
        record.save(_data("state", number))
        used = [n for n, count in enumerate(flash.erases) if count]
        if number > 100 and len(used) > len(before):
            return number, images[0]
        number += 1


def _cut_everywhere(image):
    """Cut at every operation of the script on ``image``; return (cuts, erases of the script)."""
    cut_at = 0
    while True:
        gc.collect()
        flash = remounted("/cut", RamFlash(BLOCKS, bytearray(image)))
        script = Script()
        flash.operations, flash.cut_at = 0, cut_at
        try:
            script.play()
            cut = False
        except StoreError:
            cut = True
        if not cut and cut_at:
            return cut_at - 1, sum(flash.erases)
        remounted("/cut", flash)
        try:
            _check(script)
        except AssertionError:
            print("cut at operation", cut_at)
            raise
        cut_at += 1


def _read_only(flash):
    """What a store says on a file system that is mounted for reading only, and on none."""
    said = []
    vfs.umount("/cut")
    vfs.mount(vfs.VfsLfs2(flash, progsize=PROGRAM), "/cut", readonly=True)
    try:
        _store().write("state.a", b"data")
    except StoreError as error:
        said.append(str(error))
    vfs.umount("/cut")
    try:
        _store()
    except StoreError as error:
        said.append(str(error))
    return said


def main():
    flash = mounted("/cut", BLOCKS)
    new = _cut_everywhere(bytes(flash.data))
    vfs.umount("/cut")
    flash = mounted("/cut", BLOCKS)
    age, image = _age(flash)
    worn = _cut_everywhere(image)
    said = _read_only(RamFlash(BLOCKS, bytearray(image)))
    tell({"new": new, "age": age, "worn": worn, "read_only": said[0], "missing": said[1]})


main()
