"""Assembles a PIO program from the very function that a board assembles.

MicroPython's ``rp2.asm_pio`` is a decorator under which a function is written in the names of
PIO's assembler. This is the host's: the same source, the same words, for what our programs use.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SHIFT_LEFT, SHIFT_RIGHT = 0, 1
OUT_LOW, OUT_HIGH = 2, 3

JMP = ("", "not_x", "x_dec", "not_y", "y_dec", "x_not_y", "pin", "not_osre")
WAIT = ("gpio", "pin", "irq")
OUT = ("pins", "x", "y", "null", "pindirs", "pc", "isr", "exec")
MOV_TO = ("pins", "x", "y", "-", "exec", "pc", "isr", "osr")
MOV_FROM = ("pins", "x", "y", "null", "-", "status", "isr", "osr")

_OPERANDS = {*JMP, *WAIT, *OUT, *MOV_TO, *MOV_FROM, "block", "noblock"} - {"", "-"}
_SIDE_OPTIONAL = 1 << 12


@dataclass(frozen=True)
class Program:
    """A program: its words, where it wraps, and how its words and shifts are to be read."""

    words: tuple[int, ...]
    wrap_target: int
    wrap_top: int
    side_bits: int  # without the bit that says whether there is a side-set
    side_optional: bool
    side_init: int | None
    out_right: bool


class _Line:
    """The instruction just written: takes its side-set and delay."""

    def __init__(self, assembler: "_Assembler") -> None:
        self._assembler = assembler

    def side(self, value: int) -> "_Line":
        self._assembler.side(value)
        return self

    def __getitem__(self, delay: int) -> "_Line":
        self._assembler.delay(delay)
        return self


class _Assembler:
    """One pass over a program; the second knows the labels and how many side-sets there are."""

    def __init__(self, side_bits: int, labels: dict[str, int], side_optional: bool) -> None:
        self.words: list[int] = []
        self.labels: dict[str, int] = {}
        self.sides = 0
        self.target = 0
        self.top = -1
        self._known = labels
        self._side_bits = side_bits
        self._side_optional = side_optional

    def names(self) -> dict[str, object]:
        """What the function is written in."""
        verbs = ("jmp", "wait", "out", "push", "pull", "mov", "label", "wrap_target", "wrap")
        names: dict[str, object] = {operand: operand for operand in _OPERANDS}
        names["invert"] = lambda source: "~" + source
        names.update({verb: getattr(self, verb) for verb in verbs})
        return names

    def _word(self, word: int) -> _Line:
        self.words.append(word)
        return _Line(self)

    def side(self, value: int) -> None:
        self.sides += 1
        self.words[-1] |= value << 13 - self._side_bits - self._side_optional
        if self._side_optional:
            self.words[-1] |= _SIDE_OPTIONAL

    def delay(self, cycles: int) -> None:
        if cycles >> 5 - self._side_bits - self._side_optional:
            raise ValueError(f"a delay of {cycles} cycles has no room beside the side-set")
        self.words[-1] |= cycles << 8

    def label(self, name: str) -> None:
        if name in self.labels:
            raise ValueError(f"label {name!r} is there twice")
        self.labels[name] = len(self.words)

    def wrap_target(self) -> None:
        self.target = len(self.words)

    def wrap(self) -> None:
        self.top = len(self.words) - 1

    def jmp(self, condition: str, label: str | None = None) -> _Line:
        if label is None:
            condition, label = "", condition
        return self._word(JMP.index(condition) << 5 | self._known.get(label, 0))

    def wait(self, polarity: int, source: str, index: int) -> _Line:
        return self._word(0x2000 | polarity << 7 | WAIT.index(source) << 5 | index)

    def out(self, target: str, bits: int) -> _Line:
        return self._word(0x6000 | OUT.index(target) << 5 | bits & 31)

    def push(self, mode: str = "block") -> _Line:
        return self._word(0x8000 | (mode == "block") << 5)

    def pull(self, mode: str = "block") -> _Line:
        return self._word(0x8080 | (mode == "block") << 5)

    def mov(self, target: str, source: str) -> _Line:
        operation = source.startswith("~") << 3
        return self._word(
            0xA000 | MOV_TO.index(target) << 5 | operation | MOV_FROM.index(source.lstrip("~"))
        )


def asm_pio(
    *, sideset_init: int | None = None, out_shiftdir: int = SHIFT_LEFT
) -> Callable[[Callable[[], None]], Program]:
    """Stand in for ``rp2.asm_pio``, with the options that our programs use."""

    def assemble(function: Callable[[], None]) -> Program:
        side_bits = 0 if sideset_init is None else 1
        scout = _Assembler(side_bits, {}, False)
        _run(function, scout)
        optional = bool(side_bits) and scout.sides != len(scout.words)
        final = _Assembler(side_bits, scout.labels, optional)
        _run(function, final)
        top = len(final.words) - 1 if final.top < 0 else final.top
        return Program(
            tuple(final.words),
            final.target,
            top,
            side_bits,
            optional,
            sideset_init,
            out_shiftdir == SHIFT_RIGHT,
        )

    return assemble


def _run(function: Callable[[], None], assembler: _Assembler) -> None:
    """Call ``function`` with nothing but the assembler's names, as a board does."""
    names: dict[str, Any] = function.__globals__
    kept = dict(names)
    names.clear()
    names.update(assembler.names())
    try:
        function()
    finally:
        names.clear()
        names.update(kept)
