"""An hour of steady dosing as in steady.py, with a table of MAX_FAULTS faults of which the last
stands: what a tick allocates must not depend on how many there are.

A board's integers have 31 bits; a mask of more faults lies on the heap.
"""

from cisterna.base import faults

_LAST = faults.MAX_FAULTS - 1
_SPARE = tuple(
    [
        (f"SPARE_{code}", faults.LOW, faults.NOTE, faults.ACK, "Spare", "nothing")
        for code in range(len(faults.FAULTS), faults.MAX_FAULTS)
    ]
)
faults.FAULTS += _SPARE  # type: ignore[assignment]

from cisterna import fault_conditions  # noqa: E402

fault_conditions.FOLLOWED += ((_LAST, lambda pump: True),)  # type: ignore[assignment]

from host_tests.vm import steady  # noqa: E402, F401 - it runs when it is imported
