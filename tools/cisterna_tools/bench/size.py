"""How many bytes the firmware takes: as files on each board's file system, and as an image."""

from collections.abc import Iterator

from rich.table import Table

from cisterna_tools.bench import gates, table
from cisterna_tools.bench.gates import Gate
from cisterna_tools.flash.payload import Payload
from cisterna_tools.image import CannotBuild, release

BOARDS = ("pico", "esp32_devkit")
IMAGES = ("pico",)
_LARGEST = 3


def tables() -> Iterator[Table]:
    """A table of the files, one of the images; BenchError if a gate is passed."""
    measured: list[Gate] = []
    made = table(
        "The firmware as make flash copies it (.mpy)",
        *("board", "files", "bytes", "gate", "cisterna", "hal", f"the {_LARGEST} largest"),
    )
    for board in BOARDS:
        payload = Payload(board)
        gate = of_files(payload)
        measured.append(gate)
        sizes = {path: len(data) for path, data in payload.files.items()}
        largest = sorted(sizes, key=lambda path: -sizes[path])[:_LARGEST]
        made.add_row(
            board,
            f"{len(sizes)}",
            f"{gate.measured:,}",
            gate.bound,
            *(
                f"{sum(size for path, size in sizes.items() if path.startswith(folder)):,}"
                for folder in ("/cisterna/", "/hal/")
            ),
            ", ".join(f"{path.rpartition('/')[2]} {sizes[path]:,}" for path in largest),
        )
    yield made
    made = table("The image that make image makes", "board", "bytes of flash", "gate")
    for board in IMAGES:
        try:
            gate = of_image(board)
        except CannotBuild as error:
            made.add_row(board, "not built here", str(error))
            continue
        measured.append(gate)
        made.add_row(board, f"{gate.measured:,}", gate.bound)
    yield made
    gates.hold(measured)


def of_files(payload: Payload) -> Gate:
    """The sum of a board's files."""
    size = sum(map(len, payload.files.values()))
    return Gate(f"files of {payload.board}", size, gates.FILES_AT_MOST)


def of_image(board: str) -> Gate:
    """A board's image, MicroPython included; ImageError if there is none."""
    return Gate(f"image of {board}", release.make(board)[1], gates.IMAGE_AT_MOST)
