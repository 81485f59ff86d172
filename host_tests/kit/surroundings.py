"""What every test relies on of the process it runs in, however that was started.

A script's background job ignores Ctrl-C, and hands that on to what it starts; a shell has a
locale, a time zone, a width and options of the user's own. None of it may reach a test.
"""

import os
import signal
import time

_FIXED = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "COLUMNS": "120", "TERM": "dumb"}
_DROPPED = {
    "CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "LANG", "LANGUAGE", "LINES", "NO_COLOR",
    "PYTHONDEVMODE", "PYTHONOPTIMIZE", "PYTHONUNBUFFERED", "PYTHONWARNINGS", "TTY_COMPATIBLE",
    "TTY_INTERACTIVE", "XDG_RUNTIME_DIR", "_PUMPCTL_COMPLETE",
}  # fmt: skip
_DROPPED_PREFIXES = ("CISTERNA_", "LC_", "PUMPCTL_")


def settle() -> None:
    """Set signals, environment, time zone and file mode of this process and of what it starts."""
    for name in list(os.environ):
        if name in _DROPPED or name.startswith(_DROPPED_PREFIXES):
            del os.environ[name]
    os.environ.update(_FIXED)
    time.tzset()
    os.umask(0o022)
    # Not SIGHUP: what nohup started is to outlive its terminal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as Python does
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
