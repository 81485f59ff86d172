"""The plain MicroPython image that the emulated board runs."""

import os
from pathlib import Path

from cisterna_tools.image import ImageError, build, cache, sources, uf2


def find() -> Path:
    """A whole UF2 file of MicroPython for the Pico.

    In this order: $MICROPYTHON_UF2, the cache, the official download, a build from Debian's
    sources. Only the last takes minutes, and only once. ImageError says why there is none.
    """
    given = os.environ.get("MICROPYTHON_UF2", "")
    if given:
        path = Path(given)
        try:
            uf2.check(path.read_bytes(), f"MICROPYTHON_UF2 = {given}")
        except OSError as error:
            raise ImageError(f"MICROPYTHON_UF2 = {given}: {error.strerror}") from None
        return path.resolve()
    cached = cache.folder() / f"RPI_PICO-{sources.MICROPYTHON}-{build.key()}.uf2"
    if cached.exists():
        return cached
    with cache.locked():
        # Another process may have made it while this one waited.
        if not cached.exists():
            cache.put(cached, _download() or build.plain())
    return cached


def _download() -> bytes | None:
    """The official image as rp2040py fetches it; None if it cannot be had."""
    try:
        from rp2040py.utils.firmware_retrieve import MICROPYTHON, retrieve
    except ImportError:
        return None
    try:
        path = retrieve(MICROPYTHON, sources.MICROPYTHON, "pico")
    except OSError:
        return None
    if path is None:
        return None
    data = path.read_bytes()
    try:
        uf2.check(data, path.name)
    except ImageError:
        # Cut off half-way, by which the downloader would take it for whole the next time.
        path.unlink()
        return None
    return data
