"""What this VM is: bits of a machine word, and MicroPython's version.

micropython bits.py
"""

import sys

from host_tests.vm.facts import tell

version = list(sys.implementation[1])  # type: ignore[index]
tell({"bits": 32 if sys.maxsize < 1 << 31 else 64, "version": version[:2]})
