"""What the command exits with; those of a PumpError stand beside it, in errors.py."""

INTERRUPTED = 130
# code, what it means
EXIT_CODES = (
    (0, "done"),
    (1, "something else went wrong, or doctor found a fault"),
    (2, "wrong usage: an option, a value or a file"),
    (3, "no pump was found, or several"),
    (4, "the link does not work: port, cable, baud rate, firmware"),
    (5, "the pump refused; nothing was changed"),
    (6, "no authority: keys, role or session"),
    (7, "not confirmed: by you, the button or the second role; nothing was changed"),
    (8, "a change was sent and what became of it is not known, or is told beside it"),
    (INTERRUPTED, "interrupted"),
)
