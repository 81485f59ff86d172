"""Board files: what is wrong with one is said before a pin is touched."""

import re
import types

import pytest

from cisterna.base.units import LimitError
from cisterna.parts.board import Board
from cisterna_boards import esp32_devkit, pico


def variant(board, **changes):
    """A copy of a board file with some names replaced; tables are merged, None removes a key."""
    names = {name: getattr(board, name) for name in dir(board) if name.isupper()}
    for name, change in changes.items():
        if isinstance(change, dict):
            merged = {**names[name], **change}
            names[name] = {key: value for key, value in merged.items() if value is not None}
        else:
            names[name] = change
    return types.SimpleNamespace(**names)


@pytest.mark.parametrize("board", [pico, esp32_devkit])
def test_the_shipped_boards_are_sound_and_give_the_default_rig(board):
    checked = Board(board)
    assert checked.name == board.__name__.rsplit(".")[-1]
    assert checked.calibration.step_pl == 89_819
    assert checked.has_encoder
    assert checked.has_level
    assert checked.steps_per_turn == 3200


@pytest.mark.parametrize(
    ("board", "changes", "words"),
    [
        (pico, {"PINS": {"dir": 2}}, ["pin 2", "'dir'", "'step'"]),
        (pico, {"PINS": {"pressure": 20}}, ["'pressure'", "20", "no ADC", "26, 27, 28"]),
        (pico, {"PINS": {"step": 25}}, ["'step'", "25", "no free pin"]),
        (pico, {"PINS": {"step": "2"}}, ["'step'", "'2'"]),
        (pico, {"PINS": {"step": True}}, ["'step'", "True"]),
        (pico, {"PINS": {"enable": None}}, ["lacks 'enable'"]),
        (pico, {"PINS": {"laser": 20}}, ["'laser'", "known"]),
        (pico, {"PINS": {"scl": None}}, ["sda and scl"]),
        (pico, {"PINS": {"sda": 6, "scl": 8}}, ["I2C pair"]),
        (esp32_devkit, {"PINS": {"step": 39}}, ["'step'", "39", "only be an input"]),
        (esp32_devkit, {"PINS": {"step": 6}}, ["'step'", "6", "no free pin"]),
        (esp32_devkit, {"PINS": {"pressure": 16}}, ["'pressure'", "no ADC"]),
        (pico, {"DRIVER": {"fastest_steps_per_s": 30_000}}, ["30000", "20000", "driver"]),
        (pico, {"DRIVER": {"fastest_steps_per_s": 50}}, ["50", "200", "dosing needs"]),
        (pico, {"DRIVER": {"max_steps_per_s": 0}}, ["max_steps_per_s", "0"]),
        (pico, {"MECHANICS": {"bore_um": None}}, ["MECHANICS lacks 'bore_um'"]),
        (pico, {"MECHANICS": {"bore_um": 19.13}}, ["bore_um", "19.13", "whole number"]),
        (pico, {"MECHANICS": {"colour": 1}}, ["'colour'"]),
        (pico, {"SENSORS": {"step_pl": 1000}}, ["step_pl", "MECHANICS"]),
        (
            pico,
            {"SENSORS": {"compliance_nl_per_kpa": -1}},
            ["SENSORS compliance", "-1"],
        ),
        (pico, {"SENSORS": {"smell": 1}}, ["smell"]),
        (pico, {"PORT": "avr"}, ["'avr'", "rp2", "esp32"]),
    ],
)
def test_a_clash_is_refused_with_its_reason(board, changes, words):
    with pytest.raises(LimitError) as refusal:
        Board(variant(board, **changes))
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.parametrize("table", ["MECHANICS", "DRIVER", "SENSORS"])
def test_every_figure_that_a_board_file_forgets_is_named_with_its_range(table):
    """None of them has a default, which would be another rig's figure."""
    for name in getattr(pico, table):
        with pytest.raises(LimitError) as refusal:
            Board(variant(pico, **{table: {name: None}}))
        assert re.fullmatch(rf"{table} lacks '{name}'; give \d+\.\.\d+", str(refusal.value))


def test_a_missing_table_is_named():
    with pytest.raises(LimitError, match="lacks MECHANICS"):
        Board(types.SimpleNamespace(NAME="x", PORT="rp2", PINS=pico.PINS))


def test_a_board_without_encoder_and_level_is_sound():
    board = Board(variant(pico, PINS={"sda": None, "scl": None, "level": None}))
    assert not board.has_encoder
    assert not board.has_level


@pytest.mark.parametrize(("sda", "block"), [(0, 0), (2, 1), (4, 0), (6, 1), (20, 0)])
def test_the_i2c_block_follows_from_the_pins(sda, block):
    free = {"step": 10, "dir": 11, "enable": 12, "count": 13}
    board = Board(variant(pico, PINS={**free, "sda": sda, "scl": sda + 1}))
    assert board.i2c == block
