# ruff: noqa: F821  # the words of MicroPython's manifest files
"""What is frozen into an image: MicroPython's own modules, pump, HAL, board file, main.

CISTERNA_BOARD is a folder with ``board.py`` and ``frozen_release.py``; `make image` provides it.
"""

freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")
package("cisterna")
package("hal")
module("main.py")
freeze("$(CISTERNA_BOARD)")
