"""What a tape holds: the table that tape.py writes by and host_tests/vm/replay.py reads by.

A tape is a row of entries, each the number of its row here, its arguments and, but for the
entries that begin a call of the core, the answer. What the core called lies between the entry
that began a call (boot, tick, look, order) and its RETURNED or RAISED. Fields are of kind

    i   an integer: zigzag, seven bits a byte, the lowest first
    o   an integer or None: a byte 0 for None, else 1 and the integer
    s   bytes: their number as above, then they themselves

Runs on CPython and on MicroPython, so it holds nothing but the table.
"""

(
    BOOT, TICK, LOOK, ORDER, RETURNED, RAISED,
    BURST, ABORT, EMITTED, BUSY, ENABLE, COUNT, POSITION,
    PRESSURE, LEVEL, SUPPLY, PRESSED, SHOW, READ, WRITE, APPEND, ENTRIES, END,
) = range(23)  # fmt: skip

# name, fields of the arguments, fields of the answer
OPS = (
    ("boot", "iiis", ""),  # cause, encoder fitted, level fitted, packed calibration
    ("tick", "i", ""),  # pump time
    ("look", "", ""),
    ("order", "ss", ""),  # name, arguments as JSON
    ("returned", "o", ""),
    ("raised", "s", ""),  # type and text
    ("stepper.burst", "ii", ""),
    ("stepper.abort", "", ""),
    ("stepper.emitted", "", "i"),
    ("stepper.busy", "", "i"),
    ("stepper.enable", "i", ""),
    ("counter.count", "", "i"),
    ("encoder.position", "", "o"),
    ("pressure.read", "", "i"),
    ("level.read", "", "i"),
    ("supply.read", "", "i"),
    ("button.pressed", "", "i"),
    ("signal.show", "ii", ""),
    ("store.read", "s", "i"),  # name; CRC-32 of the record, -1 if there is none
    ("store.write", "ss", "i"),  # name, record; 1 if the power was cut in it
    ("store.append", "s", "i"),  # entry; likewise
    ("store.entries", "", "ii"),  # number, CRC-32 of them all
    ("end", "", ""),
)
