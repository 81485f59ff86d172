"""A build that passes a gate of size or heap fails with the number."""

import pytest

from cisterna_tools.bench import BenchError, gates, size
from cisterna_tools.bench.gates import Gate
from cisterna_tools.flash.payload import Payload
from cisterna_tools.image import CannotBuild, release


def test_what_passes_a_gate_is_named_with_its_figure_and_limit():
    gates.hold([Gate("image", 460_000, 460_000), Gate("free heap", 160_000, 160_000, True)])
    with pytest.raises(BenchError) as failure:
        gates.hold(
            [
                Gate("image", 460_001, 460_000),
                Gate("files", 1, 2),
                Gate("free heap", 159_999, 160_000, at_least=True),
            ]
        )
    assert str(failure.value) == (
        "image: 460,001 bytes, at most 460,000; free heap: 159,999 bytes, at least 160,000"
    )


def test_figures_are_shown_before_a_passed_gate_fails(monkeypatch):
    def cannot(board):
        raise CannotBuild("no compilers")

    monkeypatch.setattr(release, "make", cannot)
    monkeypatch.setattr(size, "BOARDS", ("pico",))
    monkeypatch.setattr(gates, "FILES_AT_MOST", 1_000)
    tables = size.tables()
    files, image = next(tables), next(tables)
    assert list(files.columns[0].cells) == ["pico"]
    assert list(image.columns[1].cells) == ["not built here"]
    with pytest.raises(BenchError, match=r"files of pico: [0-9,]+ bytes, at most 1,000"):
        next(tables)


@pytest.mark.parametrize("board", size.BOARDS)
def test_the_files_of_a_board_hold_their_gate(board, record_property):
    gate = size.of_files(Payload(board))
    record_property("figure", str(gate))
    gates.hold([gate])
