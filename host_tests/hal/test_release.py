"""A half-copied or wrong-version firmware is told from a whole one (hal/release.py)."""

import json
import shutil

import pytest

from cisterna.base.version import VERSION
from hal import release

FILES = {
    "/main.py": b"import board\n",
    "/board.mpy": b"M board",
    "/cisterna/units.mpy": b"M units" * 300,
    "/cisterna/therapy/rate.mpy": b"M rate",
    "/hal/rp2/ports.mpy": b"",
}


def _put(root, path, content):
    file = root / path[1:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _edit(root, change):
    file = root / "release.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.fixture
def board(tmp_path):
    """A board's file system with a whole firmware."""
    for path, data in FILES.items():
        _put(tmp_path, path, data)
    hashes = {path: release.digest(str(tmp_path) + path) for path in FILES}
    content = {"version": VERSION, "board": "pico", "files": hashes}
    (tmp_path / "release.json").write_text(json.dumps(content))
    return tmp_path


def test_a_whole_firmware_is_accepted(board):
    assert release.check(str(board)) == (True, VERSION)


@pytest.mark.parametrize("path", ["/boot.py", "/state/slot0", "/notes.txt", "/lib/mine.py"])
def test_files_that_the_pump_does_not_import_do_not_matter(board, path):
    _put(board, path, b"x")
    assert release.check(str(board)) == (True, VERSION)


SPOILT = {
    "never finished": (lambda b: (b / "release.json").unlink(), "/release.json is missing"),
    "empty release": (lambda b: (b / "release.json").write_text(""), "/release.json is damaged"),
    "cut release": (
        lambda b: (b / "release.json").write_text((b / "release.json").read_text()[:-9]),
        "/release.json is damaged",
    ),
    "release of another form": (
        lambda b: (b / "release.json").write_text("[]"), "/release.json is damaged"),
    "no files": (lambda b: _edit(b, lambda c: c["files"].clear()), "is not part of the release"),
    "missing": (lambda b: (b / "cisterna/units.mpy").unlink(), "/cisterna/units.mpy is missing"),
    "folder missing": (lambda b: shutil.rmtree(b / "hal"), "/hal/rp2/ports.mpy is missing"),
    "changed": (
        lambda b: _put(b, "/cisterna/units.mpy", b"M unitz" * 300),
        "/cisterna/units.mpy is not the file of the release",
    ),
    "cut": (lambda b: _put(b, "/board.mpy", b""), "/board.mpy is not the file of the release"),
    # MicroPython prefers a folder to a .py file, and that to an .mpy file.
    "source beside": (
        lambda b: _put(b, "/cisterna/units.py", b""),
        "/cisterna/units.py is not part of the release",
    ),
    "folder beside": (
        lambda b: _put(b, "/cisterna/units/__init__.py", b""),
        "/cisterna/units/__init__.py is not part of the release",
    ),
    "extra in the root": (
        lambda b: _put(b, "/asyncio.py", b""), "/asyncio.py is not part of the release"),
    "package of MicroPython's": (
        lambda b: _put(b, "/asyncio/core.py", b""), "/asyncio/core.py is not part of the release"),
    "other version": (
        lambda b: _edit(b, lambda c: c.update(version="0.0.9")),
        f"/release.json is for version 0.0.9, the firmware is {VERSION}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_a_firmware_that_is_not_whole_is_refused_with_the_reason(board, name):
    spoil, said = SPOILT[name]
    spoil(board)
    whole, text = release.check(str(board))
    assert not whole
    assert said in text
    assert text.endswith("; run make flash")


@pytest.fixture
def installed(board):
    """What mip leaves on a board, with a board file copied to it."""
    (board / "release.json").unlink()
    urls = [[path[1:], path[1:]] for path in FILES if path != "/board.mpy"]
    content = {"version": VERSION, "urls": [*urls, ["package.json", "package.json"]]}
    (board / "package.json").write_text(json.dumps(content))
    return board


def test_what_mip_installed_is_whole_once_a_person_seals_it(installed):
    assert not release.check(str(installed))[0]
    assert release.seal(str(installed)) == VERSION
    assert release.check(str(installed)) == (True, VERSION)
    _put(installed, "/hal/rp2/ports.mpy", b"x")
    assert not release.check(str(installed))[0]


@pytest.mark.parametrize(
    "path", ["/package.json", "/board.mpy", "/main.py", "/cisterna/units.mpy"]
)
def test_a_half_installed_package_cannot_be_sealed(installed, path):
    (installed / path[1:]).unlink()
    with pytest.raises(ValueError, match=r"is missing"):
        release.seal(str(installed))
    assert not (installed / "release.json").exists()


def test_a_package_of_another_version_cannot_be_sealed(installed):
    content = json.loads((installed / "package.json").read_text())
    (installed / "package.json").write_text(json.dumps({**content, "version": "0.0.9"}))
    with pytest.raises(ValueError, match=r"for version 0\.0\.9"):
        release.seal(str(installed))


class Frozen:
    VERSION = VERSION


def test_an_image_is_whole_while_no_file_hides_a_part_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "_frozen", Frozen)
    assert release.check(str(tmp_path)) == (True, VERSION)
    _put(tmp_path, "/cisterna/units.mpy", b"M")
    assert release.check(str(tmp_path)) == (
        False,
        "/cisterna/units.mpy hides a part of the image; "
        "run make flash IMAGE=1, or remove it: mpremote rm -r :/cisterna",
    )


def test_an_image_mixed_from_two_versions_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "_frozen", type("Old", (), {"VERSION": "0.0.9"}))
    assert release.check(str(tmp_path))[1].startswith("the image is 0.0.9, its pump")
