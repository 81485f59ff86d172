"""The board's reading task: what it may do before the pump has its turn again."""

import asyncio
from importlib import import_module
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

# Imported by name: what it imports of MicroPython is checked with the boards' files, not here.
conversation: Any = import_module("hal.conversation")

LONGEST_SLICE_BYTES = 32


class Typed(Exception):
    """All that was typed has been read."""


def turns(monkeypatch: pytest.MonkeyPatch, typed: bytes) -> list[tuple[int, int]]:
    """(bytes, lines) taken up whenever the task lets the pump go on; ``typed`` came at once."""
    taken: list[int] = []
    left = list(typed)
    seen: list[tuple[int, int]] = []

    async def read(size: int) -> bytes:
        seen.append((len(taken), taken.count(ord("\n"))))
        await asyncio.sleep(0)
        if not left:
            raise Typed
        return bytes([left.pop(0)])

    def receive(now_us: int, byte: int) -> bool:
        taken.append(byte)
        return False

    micropython_asyncio = SimpleNamespace(
        Event=asyncio.Event, StreamReader=lambda raw: SimpleNamespace(read=read)
    )
    monkeypatch.setattr(conversation, "asyncio", micropython_asyncio)
    console = SimpleNamespace(held=0, read=lambda: left.pop(0) if left else -1)
    pump = SimpleNamespace(receive=receive, collect=taken.append, busy=False)
    talk = conversation.Conversation(console, pump, lambda: 0, lambda: None, lambda: True)
    with pytest.raises(Typed):
        asyncio.run(talk.listen())
    assert bytes(taken) == typed
    return seen


def test_no_two_lines_are_answered_without_a_turn_for_the_pump(monkeypatch):
    seen = turns(monkeypatch, b"STAT?\nRES?\n\nRES:VOL?\n" + b"*IDN?\n" * 20)
    assert max(after[1] - before[1] for before, after in pairwise(seen)) == 1


def test_a_long_line_is_read_in_slices(monkeypatch):
    seen = turns(monkeypatch, b"PROG:STAG " + b"1," * 200 + b"1\n")
    sizes = [after[0] - before[0] for before, after in pairwise(seen)]
    assert max(sizes) == LONGEST_SLICE_BYTES
    assert len(sizes) == len(b"PROG:STAG " + b"1," * 200 + b"1\n") // LONGEST_SLICE_BYTES + 1
