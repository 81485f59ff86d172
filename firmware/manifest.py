# ruff: noqa: F821  # the words of MicroPython's manifest files
"""What is frozen into an image: MicroPython's own modules, and the pump.

CISTERNA is a folder with what one board needs, laid out as on its file system; `make image` makes
it (tools/cisterna_tools/image/release.py).
"""

freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")
freeze("$(CISTERNA)")
