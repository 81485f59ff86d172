"""The simulated pumps served on this machine: where they listen, and how to press their button.

Each has a file in a folder of the user's own, locked for as long as its process lives; a file
that can be locked was left behind by one that died.
"""

import fcntl
import json
import os
import signal
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "CISTERNA_SERVED"
BUTTON_SIGNAL = signal.SIGUSR1


@dataclass(frozen=True)
class Served:
    """A simulated pump. ``ports`` are its names as one gives them to a client."""

    pid: int
    what: str
    ports: list[str]

    def press(self) -> None:
        """Press its button. Call it on one that ``running`` has just told of."""
        os.kill(self.pid, BUTTON_SIGNAL)


def folder() -> Path:
    """``$CISTERNA_SERVED``, else a folder of the user's own that does not outlive the machine.

    OSError: it cannot be made, or is another user's.
    """
    given = os.environ.get(VARIABLE)
    if given:
        path = Path(given)
    elif os.environ.get("XDG_RUNTIME_DIR"):
        path = Path(os.environ["XDG_RUNTIME_DIR"]) / "cisterna"
    else:
        path = Path(tempfile.gettempdir()) / f"cisterna-{os.getuid()}"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Whoever can write here says whom a button's signal goes to.
    status = path.lstat()
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
        raise PermissionError(f"{path} is not yours; give another folder in {VARIABLE}")
    return path


@contextmanager
def announce(what: str, ports: list[str]) -> Iterator[None]:
    """Tell of this process's pump while it is served."""
    path = folder() / f"{os.getpid()}.json"
    draft = path.with_suffix(".new")
    with draft.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump(asdict(Served(os.getpid(), what, ports)), file)
        file.flush()
        # Under its name only once it is locked and whole.
        draft.replace(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def running() -> list[Served]:
    """All that are served now, the oldest first."""
    found: list[tuple[float, Served]] = []
    for path in folder().glob("*.json"):
        with suppress(OSError), path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                began_s = os.fstat(file.fileno()).st_mtime
                found.append((began_s, Served(**json.load(file))))
            else:
                path.unlink(missing_ok=True)
    return [served for _, served in sorted(found, key=lambda pair: pair[0])]


def at(port: str) -> Served | None:
    """The simulated pump at a port, or None if there is no such."""
    return next((served for served in running() if port in served.ports), None)
