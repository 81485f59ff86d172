"""make bench: each part alone, all in a row, and what it says when one cannot be measured."""

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from cisterna_tools.bench import BenchError, __main__, pio, size, table, telemetry


def _bench(*parts: str):
    return CliRunner().invoke(__main__.main, parts)


@pytest.mark.parametrize("part", __main__.PARTS)
def test_each_part_is_a_module_that_yields_tables(part):
    module = import_module(f"cisterna_tools.bench.{part}")
    assert module.__doc__
    assert callable(module.tables)


def test_an_unknown_part_is_named_with_those_there_are():
    done = _bench("size", "speed")
    assert done.exit_code == 2
    assert done.stderr == f"WHAT = speed is no part; there are {', '.join(__main__.PARTS)}\n"
    assert done.stdout == ""


def test_a_part_that_cannot_be_measured_fails_and_the_others_are_shown(monkeypatch):
    def fail():
        raise BenchError("no image")

    def show():
        made = table("Bytes", "board", "bytes")
        made.add_row("pico", "12")
        yield made

    monkeypatch.setattr(pio, "tables", fail)
    monkeypatch.setattr(size, "tables", show)
    done = _bench("pio", "size")
    assert done.exit_code == 1
    assert done.stderr == "make bench: pio: no image\n"
    assert done.stdout.split() == ["Bytes", "board", "bytes", "pico", "12"]


def test_periods_are_measured_against_what_was_asked_for(monkeypatch):
    """A clock that is taken for a faster one shows as periods that are too short."""
    monkeypatch.setattr(pio, "INTERVALS_US", (100,))
    assert _row(pio) == ["100", "1000", "1000", "0", "0"]
    monkeypatch.setattr(pio, "_SYSTEM_MHZ", 126)
    assert _row(pio)[3:] == ["100", str(-100 * (pio.STEPS - 1))]


def test_replies_are_timed_one_by_one():
    """A hundred questions that take 1 ms, 2 ms and so on; the first, a try, does not count."""
    now_ms = 0
    waits_ms = iter([500, *range(100, 0, -1)])

    def ask(header, *arguments):
        nonlocal now_ms
        assert (header, arguments) == ("LOG?", ("0,16",))
        now_ms += next(waits_ms)

    pump: Any = SimpleNamespace(exchange=SimpleNamespace(ask=ask))
    cells = telemetry._timed(pump, "LOG? 0,16", 100, lambda: now_ms / 1e3)
    assert cells == ("100", "20", "50.00", "99.00")


def _row(module) -> list[str]:
    (made,) = module.tables()
    return [next(iter(column.cells)) for column in made.columns]
