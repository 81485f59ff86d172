"""Whether the firmware on the board is whole and of one version. If not, the pump never doses.

`make flash` removes ``/release.json`` first and writes it last, with the SHA-256 of each file it
copied. A one-file image holds the module ``frozen_release`` instead: its bytes came as one, but a
file on the board's file system would be imported in place of the frozen one.
"""

import binascii
import hashlib
import json
import os

from cisterna.base.compat import const
from cisterna.base.version import VERSION

try:
    import frozen_release as _frozen
except ImportError:
    _frozen = None

RELEASE = "/release.json"
PACKAGE = "/package.json"
# What the pump imports that a folder could hold: its own packages and MicroPython's frozen ones.
FOLDERS = ("/cisterna", "/hal", "/asyncio", "/rp2")
# The ports' own start-up file; some write it by themselves.
_NOT_OURS = ("boot.py",)
_FOLDER_BIT = const(0x4000)
_BLOCK_BYTES = const(512)
_AGAIN = "; run make flash"


def check(root: str = "") -> "tuple[bool, str]":
    """(True, the version) or (False, what is wrong and what to do).

    ``root`` is put before each path, for tests on a host.
    """
    if _frozen is not None:
        return _check_frozen(root)
    try:
        with open(root + RELEASE) as file:
            release = json.load(file)
        version = release["version"]
        files = release["files"]
        for path in files:
            wrong = _wrong(root, path, files[path])
            if wrong:
                return False, path + wrong + _AGAIN
    except OSError:
        return False, RELEASE + " is missing, the firmware was not copied whole" + _AGAIN
    except (ValueError, KeyError, TypeError):
        return False, RELEASE + " is damaged" + _AGAIN
    for path in _modules(root):
        if path not in files:
            return False, path + " is not part of the release" + _AGAIN
    if version != VERSION:
        return False, f"{RELEASE} is for version {version}, the firmware is {VERSION}{_AGAIN}"
    return True, VERSION


def seal(root: str = "") -> str:
    """Accept what mip has installed, typed by a person at the service prompt; returns the version.

    mip copies ``/package.json`` last. ValueError names what is missing.
    """
    names = _modules(root)
    try:
        with open(root + PACKAGE) as file:
            package = json.load(file)
    except OSError:
        raise ValueError(PACKAGE + " is missing; run mpremote mip install again") from None
    if package["version"] != VERSION:
        raise ValueError(
            f"{PACKAGE} is for version {package['version']}, the firmware is {VERSION}; "
            "run mpremote mip install again"
        )
    for name, _ in package["urls"]:
        path = "/" + name
        if path != PACKAGE and path not in names:
            raise ValueError(path + " is missing; run mpremote mip install again")
    if "/board.py" not in names and "/board.mpy" not in names:
        raise ValueError("/board.py is missing; copy one of boards/cisterna_boards/ to it")
    files = {}
    for path in names:
        files[path] = digest(root + path)
    with open(root + RELEASE, "w") as file:
        json.dump({"version": VERSION, "files": files}, file)
    return VERSION


def digest(path: str) -> str:
    """SHA-256 of a file as hexadecimal text, read in small pieces."""
    block = bytearray(_BLOCK_BYTES)
    view = memoryview(block)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            size = file.readinto(block)
            if not size:
                return binascii.hexlify(digest.digest()).decode()
            digest.update(view[:size])


def _check_frozen(root: str) -> "tuple[bool, str]":
    paths = _modules(root)
    if paths:
        top = paths[0].split("/")[1]
        return False, (
            f"{paths[0]} hides a part of the image; run make flash IMAGE=1, or remove it: "
            f"mpremote rm -r :/{top}"
        )
    if _frozen.VERSION != VERSION:
        return False, f"the image is {_frozen.VERSION}, its pump {VERSION}; make the image again"
    return True, VERSION


def _wrong(root: str, path: str, expected: str) -> str:
    """What is wrong with a file that the release names, or an empty text."""
    try:
        return "" if digest(root + path) == expected else " is not the file of the release"
    except OSError:
        return " is missing"


def _modules(root: str) -> "list[str]":
    """Paths of everything that an import by the pump could find on the file system."""
    found = []
    for name in os.listdir(root + "/"):
        if name.endswith((".py", ".mpy")) and name not in _NOT_OURS:
            found.append("/" + name)
    for folder in FOLDERS:
        _walk(root, folder, found)
    return found


def _walk(root: str, folder: str, found: "list[str]") -> None:
    try:
        names = os.listdir(root + folder)
    except OSError:
        return
    for name in names:
        path = folder + "/" + name
        if os.stat(root + path)[0] & _FOLDER_BIT:
            _walk(root, path, found)
        else:
            found.append(path)
