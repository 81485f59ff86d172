"""Test the wiring pictures: they show the board files' pins, and were made from their source."""

import html
import re
from pathlib import Path

import pytest

BOARDS = Path(__file__).parents[2] / "boards"
FILES = BOARDS / "cisterna_boards"
NAMES = sorted(path.stem for path in FILES.glob("[!_]*.py"))


def wired(name):
    """Label of each pin in the picture's source, by what the pin is for."""
    text = (BOARDS / "wiring" / f"{name}.yml").read_text(encoding="utf-8")
    lists = re.search(r"pins: \[(.*)\]\n *pinlabels: \[(.*)\]", text)
    assert lists is not None
    return dict(zip(lists[1].split(", "), lists[2].split(", "), strict=True))


def pins(name):
    """PINS of a board file."""
    values: dict = {}
    exec((FILES / f"{name}.py").read_text(encoding="utf-8"), values)
    return values["PINS"]


@pytest.mark.parametrize("name", NAMES)
def test_the_wiring_names_the_pins_of_the_board_file(name):
    numbers = {
        use: int(found[1])
        for use, label in wired(name).items()
        if (found := re.match(r"(?:GP|GPIO)(\d+)", label))
    }
    assert numbers == pins(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_was_made_from_its_source(name):
    picture = (BOARDS / "wiring" / f"{name}.svg").read_text(encoding="utf-8")
    drawn = {html.unescape(text) for text in re.findall(r">([^<>]+)</text>", picture)}
    for use, label in wired(name).items():
        assert {use, label} <= drawn, f"{name}.svg lacks {use} or {label}; run make wiring"
    source = (BOARDS / "wiring" / "rig.yml").read_text(encoding="utf-8")
    for part, kind in re.findall(r"^  ([A-Z][\w -]+):\n    type: (.+)$", source, re.MULTILINE):
        assert {part, kind} <= drawn, f"{name}.svg lacks {part} or {kind}; run make wiring"
