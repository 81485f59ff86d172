"""Measures the project: every figure that is not a test's verdict, in one place.

Each module but this package's own measures one part and has ``tables()``, which yields them as
they are done.
"""

from rich.table import Table


class BenchError(Exception):
    """The part cannot be measured here, and why, in one line."""


def table(title: str, *columns: str) -> Table:
    """An empty table; all columns but the first hold numbers."""
    made = Table(*columns, title=title, title_justify="left", box=None, min_width=len(title))
    for column in made.columns[1:]:
        column.justify = "right"
    return made
