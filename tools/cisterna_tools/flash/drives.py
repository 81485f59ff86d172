"""The drive as which a Pico shows itself in its boot loader, and what is copied onto it."""

import os
import time
from pathlib import Path

from cisterna_tools.flash import FlashError

# The boot ROM's own file on the drive, and the name of the chip's kind in it.
_MARK, _KIND = "INFO_UF2.TXT", "RPI-RP2"
# Where Linux and macOS mount what is plugged in, and people by hand.
_MOUNTS = ("media/*", "media/*/*", "run/media/*/*", "mnt", "mnt/*", "Volumes/*")
_POLL_S = 0.2


def find(given: str = "", root: Path = Path("/")) -> Path | None:
    """The drive of the only Pico in its boot loader; None if there is none.

    ``given`` is where it is or will be mounted, else it is looked for below ``root``. FlashError
    lists several.
    """
    if given:
        return Path(given) if _is_drive(Path(given)) else None
    found = [path for mount in _MOUNTS for path in sorted(root.glob(mount)) if _is_drive(path)]
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise FlashError(f"several boards are in their boot loader, give one as DRIVE=: {names}")
    return found[0] if found else None


def wait(given: str, patience_s: float) -> Path:
    """The drive, once it is mounted; FlashError if it is not within ``patience_s``."""
    end_s = time.monotonic() + patience_s
    while time.monotonic() < end_s:
        drive = find(given)
        if drive is not None:
            return drive
        time.sleep(_POLL_S)
    where = f"at DRIVE = {given}" if given else "where drives are mounted"
    raise FlashError(
        f"the board is in its boot loader, but no drive {_KIND} came up {where} within "
        f"{patience_s:.0f} s: mount it and run make flash IMAGE=1 DRIVE=/its/folder, or plug the "
        "board in anew to go on with the firmware it has"
    )


def copy(image: Path, drive: Path) -> None:
    """Copy an image onto the drive; the board restarts as its last block comes."""
    data = image.read_bytes()
    written = 0
    try:
        with (drive / image.name).open("wb", buffering=0) as file:
            written = file.write(data)
            os.fsync(file.fileno())
    except OSError as error:
        # The restart may take the drive away before the last word about it.
        if written < len(data):
            raise FlashError(f"{drive}: the image was not copied, {error.strerror}") from None


def _is_drive(path: Path) -> bool:
    try:
        return _KIND in (path / _MARK).read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
