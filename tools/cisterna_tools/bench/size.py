"""How many bytes the compiled firmware takes on each board's file system."""

from collections.abc import Iterator

from rich.table import Table

from cisterna_tools.bench import table
from cisterna_tools.flash.payload import Payload

BOARDS = ("pico", "esp32_devkit")
_LARGEST = 3


def tables() -> Iterator[Table]:
    """A row for each board."""
    made = table(
        "The firmware as make flash copies it (.mpy)",
        *("board", "files", "bytes", "cisterna", "hal", f"the {_LARGEST} largest"),
    )
    for board in BOARDS:
        sizes = {path: len(data) for path, data in Payload(board).files.items()}
        largest = sorted(sizes, key=lambda path: -sizes[path])[:_LARGEST]
        made.add_row(
            board,
            f"{len(sizes)}",
            f"{sum(sizes.values()):,}",
            *(
                f"{sum(size for path, size in sizes.items() if path.startswith(folder)):,}"
                for folder in ("/cisterna/", "/hal/")
            ),
            ", ".join(f"{path[1:]} {sizes[path]:,}" for path in largest),
        )
    yield made
