"""The image onto a Pico, by the drive of its boot loader; what would hide parts of it goes.

The board's own files stay until the image is on it: if no drive comes up, it goes on as it was.
"""

import time

import click

from cisterna_tools.flash import FlashError, drives, ports
from cisterna_tools.flash.remote import Remote
from cisterna_tools.flash.said import said
from cisterna_tools.image import release

# For somebody's desktop to mount the drive (choice).
DRIVE_S = 30
_POLL_S = 0.2


def flash(board: str, device: str, drive: str, patience_s: int) -> str:
    """Put ``board``'s image on it and return what it says when it starts.

    ``drive`` is where its drive is mounted, looked for if empty. BoardError, ImageError or
    FlashError says what stood in the way.
    """
    image, size = release.make(board)
    click.echo(f"{board}: {image.name}, {size:,} bytes of flash")
    ready = drives.find(drive)
    if ready is None:
        device = device or ports.find(release.CHIP)
        _to_boot_loader(device, patience_s)
        ready = drives.wait(drive, DRIVE_S)
    drives.copy(image, ready)
    click.echo(f"copied to {ready}")
    device = device or _back(patience_s)
    try:
        line = said(device, patience_s)
    except FlashError:
        # Older files may have started in the image's place, and ended.
        line = _uncover(device, patience_s)
        if not line:
            raise
    if "not dosing:" in line:
        line = _uncover(device, patience_s) or line
    return f"{device}: {line}"


def _to_boot_loader(device: str, patience_s: int) -> None:
    """Let a board restart as a drive. A pump with keys that runs does not listen to this."""
    ports.check(device)
    remote = Remote(device, patience_s)
    try:
        port = remote.port()
        if port != release.CHIP:
            raise FlashError(f"{device} is a board of port {port}; images are for {release.CHIP}")
        # Else the watchdog of the pump just stopped would end the boot loader.
        remote.to_service(port)
        remote.to_boot_loader()
    finally:
        remote.close()


def _back(patience_s: int) -> str:
    """The port of the board that has restarted."""
    end_s = time.monotonic() + patience_s
    while True:
        try:
            return ports.find(release.CHIP)
        except FlashError:
            if time.monotonic() > end_s:
                raise
            time.sleep(_POLL_S)


def _uncover(device: str, patience_s: int) -> str:
    """Remove older files of the pump, which MicroPython imports in place of the image's.

    What the board says then; empty if there were none.
    """
    remote = Remote(device, patience_s)
    try:
        removed = remote.clear()
        if not removed:
            return ""
        click.echo(f"removed, since they would hide parts of the image: {', '.join(removed)}")
        return remote.start()
    finally:
        remote.close()
