"""What only MicroPython has, in one place; and how a script here tells its outcome.

The wrapper of the unix port drops the exit code, so a script that got to its end prints one last
line: JSON. Without it the script has failed (cisterna_sim/vm.py).
"""

import gc
import json
import sys
import time

mem_alloc = gc.mem_alloc  # type: ignore[attr-defined]
ticks_ms = time.ticks_ms  # type: ignore[attr-defined]
ticks_diff = time.ticks_diff  # type: ignore[attr-defined]
print_exception = sys.print_exception  # type: ignore[attr-defined]


def tell(figures):
    """Print the outcome: the last line that a script prints."""
    print(json.dumps(figures))
