"""A board with MicroPython on it, as `make flash` sees it: this Python, and a folder for flash."""

import builtins
import io
import types
from collections.abc import Callable
from pathlib import Path

from cisterna.base.version import VERSION


class FakeBoard:
    """Runs what is sent to a board on this Python, with a folder as its file system.

    ``log`` holds what was done to files, in order; ``fails_at`` is a path whose writing breaks
    the line, ``garbles`` one that comes out wrong. ``as_drive`` is called as it enters its boot
    loader.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.platform, self.version = "rp2", (1, 25, 0, "")
        self.says = f"cisterna {VERSION} on pico running"
        self.log: list[str] = []
        self.fails_at = self.garbles = ""
        self.as_drive: Callable[[], object] = int
        self.scope: dict = {}
        self.boot()

    def boot(self) -> None:
        named = types.SimpleNamespace
        modules = {
            "os": named(
                ilistdir=self._ilistdir,
                mkdir=self._mkdir,
                remove=self._remove,
                rmdir=lambda path: self._place(path).rmdir(),
            ),
            "sys": named(platform=self.platform, implementation=("micropython", self.version)),
            "machine": named(reset=self.boot, bootloader=self._bootloader),
        }
        real = builtins.__import__

        def imported(name, *rest):
            if name in ("hal", "frozen_release"):
                raise ImportError(name)
            return modules.get(name) or real(name, *rest)

        scope = {**vars(builtins), "__import__": imported, "open": self._open}
        self.scope = {"__builtins__": scope}

    def _bootloader(self) -> None:
        self.log.append("boot loader")
        self.as_drive()

    def exec_raw(self, command: str, timeout: float = 10) -> tuple[bytes, bytes]:
        out = io.StringIO()
        self.scope["print"] = lambda *words: out.write(" ".join(map(str, words)) + "\n")
        try:
            exec(command, self.scope)
        except ConnectionError:
            raise OSError(5, "Input/output error") from None
        except Exception as error:
            return out.getvalue().encode(), f"Traceback\n{type(error).__name__}: {error}".encode()
        return out.getvalue().encode(), b""

    def exec(self, command: str) -> bytes:
        return self.exec_raw(command)[0]

    def exec_raw_no_follow(self, command: str) -> None:
        self.exec_raw(command)

    def enter_raw_repl(self, soft_reset=True, timeout_overall=10) -> None:
        assert not soft_reset

    def close(self) -> None:
        self.log.append("close")

    def _place(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _ilistdir(self, path):
        return [
            (entry.name, 0x4000 if entry.is_dir() else 0x8000, 0, 0)
            for entry in self._place(path).iterdir()
        ]

    def _mkdir(self, path):
        # As LittleFS does for an empty name: the root is there already.
        self._place(path).mkdir()

    def _remove(self, path):
        self._place(path).unlink()
        self.log.append(f"remove {path}")

    def _open(self, path, mode="r"):
        if "w" in mode:
            self.log.append(f"write {path}")
            if path == self.fails_at:
                raise ConnectionError
        file = open(self._place(path), mode)  # noqa: SIM115 - the board closes it
        if "w" in mode and path == self.garbles:
            file.write(b"?")
        return file
