"""The gates: what the firmware may take of the flash, and what it must leave of the heap.

Their figures stand here alone. `make bench` shows each beside what was measured, and fails with
the number when one is passed; so do the tests.
"""

from typing import NamedTuple

from cisterna_tools.bench import BenchError

# When they were set the image took 435,712 bytes, the files of the larger board 118,671 (choice).
IMAGE_AT_MOST = 460_000
FILES_AT_MOST = 128_000
# Heap free while dosing with a session open and telemetry at 10 Hz: frozen in, and from files.
IMAGE_LEAVES = 160_000
FILES_LEAVE = 48 * 1024


class Gate(NamedTuple):
    """A figure in bytes and its limit."""

    what: str
    measured: int
    limit: int
    at_least: bool = False

    @property
    def bound(self) -> str:
        """The limit, in words."""
        return f"at {'least' if self.at_least else 'most'} {self.limit:,}"

    @property
    def passed(self) -> bool:
        """Whether the figure lies on the wrong side."""
        return self.measured < self.limit if self.at_least else self.measured > self.limit

    def __str__(self) -> str:
        return f"{self.what}: {self.measured:,} bytes, {self.bound}"


def hold(gates: list[Gate]) -> None:
    """BenchError names every gate that is passed."""
    wrong = [str(gate) for gate in gates if gate.passed]
    if wrong:
        raise BenchError("; ".join(wrong))
