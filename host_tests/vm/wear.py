"""Write a taped day to a board's LittleFS again and again, and count erases of each block.

    micropython wear.py <folder of the tape> <days>

Flash and file system are a Pico's: 352 blocks of 4 kB. Prints figures for those days, and the
worst block's erases in ten years if every stretch of that length were like the worst of them.
"""

import gc
import sys

from cisterna_sim import tape_ops as ops
from hal.files import FilesStore
from host_tests.vm.facts import tell
from host_tests.vm.flash import mounted
from host_tests.vm.reel import Tape

_BLOCKS = 352
_TEN_YEARS_DAYS = 3_653


def _writes(folder):
    """The day's writes in order: (name, record), and (None, entry) for an event."""
    tape, writes = Tape(folder + "/tape.bin"), []
    op, fields = tape.next()
    while op != ops.END:
        tape.answer(op)
        if op == ops.WRITE:
            writes.append((fields[0].decode(), fields[1]))
        elif op == ops.APPEND:
            writes.append((None, fields[0]))
        op, fields = tape.next()
    return writes


def main(folder, days):
    flash = mounted("/lfs", _BLOCKS)
    store = FilesStore("/lfs/state")
    days, writes = int(days), _writes(folder)
    for _ in range(days):
        for name, data in writes:
            if name is None:
                store.append(data)
            else:
                store.write(name, data)
        gc.collect()
    figures = flash.summary()
    figures["days"] = days
    figures["writes_a_day"] = len(writes)
    figures["ten_years"] = max(flash.erases) * _TEN_YEARS_DAYS // days
    tell(figures)


main(*sys.argv[1:])
