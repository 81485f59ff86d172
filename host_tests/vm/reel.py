"""Read a tape that cisterna_sim/tape.py recorded, entry by entry, and hold the core against it."""

from cisterna_sim import tape_ops as ops


class Diverged(BaseException):
    """The core did something else than on the tape. The core can't eat it."""


class Tape:
    """Reads entries through a buffer of its own; knows where it is."""

    def __init__(self, path):
        self._file = open(path, "rb")  # noqa: SIM115 - read to its end
        self._buffer = bytearray(1024)
        self._size = self._at = 0
        self.entry = 0
        self.calls = 0
        self.within = "the beginning"

    def byte(self):
        if self._at == self._size:
            self._size, self._at = self._file.readinto(self._buffer), 0
        value = self._buffer[self._at]
        self._at += 1
        return value

    def field(self, kind):
        if kind == "o" and not self.byte():
            return None
        value = shift = 0
        more = 128
        while more:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            more = byte & 128
        value = value >> 1 if not value & 1 else -(value >> 1) - 1
        return bytes([self.byte() for _ in range(value)]) if kind == "s" else value

    def next(self):
        """The next entry: (op, arguments), its answer still to be read."""
        self.entry += 1
        op = self.byte()
        return op, [self.field(kind) for kind in ops.OPS[op][1]]

    def answer(self, op):
        answer = [self.field(kind) for kind in ops.OPS[op][2]]
        return answer[0] if len(answer) == 1 else answer

    def ask(self, op, *given):
        """The core does ``op``: check that the tape has it, too; return the answer."""
        self.calls += 1
        found, expected = self.next()
        if found != op or expected != list(given):
            self.fail(text(found, expected), text(op, given))
        return self.answer(op)

    def fail(self, expected, given):
        raise Diverged(
            f"entry {self.entry}, within {self.within}: "
            f"CPython's core did {expected}, this one {given}"
        )


def text(op, fields):
    return "{}({})".format(ops.OPS[op][0], ", ".join([repr(field) for field in fields]))
