"""The command ``pumpctl`` from its first moment on.

What it needs takes a while to load, so it is loaded where a Ctrl-C is already heard.
"""

import sys
from typing import NoReturn

from pumpctl.exit_codes import INTERRUPTED


def pumpctl() -> NoReturn:
    """Run pumpctl and exit with its code."""
    try:
        from pumpctl.cli.app import main

        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
