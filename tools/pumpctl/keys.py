"""The keys of pumps on this host: one file, for its owner's eyes only.

    [pumps.E6614103E72B4A2F]
    observer = "64 hex digits"

``<role>_next`` is a key that was offered to the pump and not yet known to be taken.
"""

import os
import re
import secrets
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pumpctl.errors import AuthorityError, BadValue
from pumpctl.framing import KEY_BYTES, ROLES

VARIABLE = "CISTERNA_KEYS"
DEFAULT = Path("~/.config/cisterna/keys.toml")
NEXT = "_next"
_NAMES = (*ROLES, *(role + NEXT for role in ROLES))
_SERIAL = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEAD = "# Whoever has these keys can change the therapy. Do not share, print or commit them.\n"


def default_path() -> Path:
    """``$CISTERNA_KEYS``, else ~/.config/cisterna/keys.toml."""
    return Path(os.environ.get(VARIABLE) or DEFAULT).expanduser()


def generate() -> dict[str, bytes]:
    """A new key for every role."""
    return {role: secrets.token_bytes(KEY_BYTES) for role in ROLES}


class KeyRing:
    """The keys in one file. Read anew at every use, so that two programs may share it.

    AuthorityError: the file cannot be read or written, or others could read it.
    """

    def __init__(self, path: "Path | str | None" = None) -> None:
        self.path = Path(path).expanduser() if path else default_path()

    def __repr__(self) -> str:
        return f"KeyRing({str(self.path)!r})"

    def pumps(self) -> dict[str, list[str]]:
        """Serial numbers of the pumps known, each with the roles that there is a key for."""
        return {
            serial: [role for role in ROLES if role in keys]
            for serial, keys in self._load().items()
        }

    def key(self, serial: str, role: str) -> bytes:
        """The key of a role of a pump; AuthorityError says how to get one."""
        if role not in ROLES:
            raise BadValue(f"role = {role}: there are {', '.join(ROLES)}")
        key = self._load().get(serial, {}).get(role)
        if key is None:
            raise AuthorityError(
                f"no {role} key of pump {serial} in {self.path}; provision the pump, or copy the "
                "file from the host that did"
            )
        return key

    def next_key(self, serial: str, role: str) -> bytes | None:
        """The key that may have replaced the role's, if its rotation was never heard to end."""
        return self._load().get(serial, {}).get(role + NEXT)

    def put(self, serial: str, keys: Mapping[str, bytes]) -> None:
        """Keep keys of a pump, by role or role_next, beside or over those there are."""
        _check(serial, keys)
        pumps = self._load()
        pumps.setdefault(serial, {}).update(keys)
        self._save(pumps)

    def promote(self, serial: str, role: str) -> None:
        """Make the next key of a role its key."""
        pumps = self._load()
        keys = pumps[serial]
        keys[role] = keys.pop(role + NEXT)
        self._save(pumps)

    def forget(self, serial: str, *names: str) -> None:
        """Drop the keys of a pump of these names, all if none is given."""
        pumps = self._load()
        for name in names or list(pumps.get(serial, {})):
            pumps.get(serial, {}).pop(name, None)
        if not pumps.get(serial):
            pumps.pop(serial, None)
        self._save(pumps)

    def _load(self) -> dict[str, dict[str, bytes]]:
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                if os.name == "posix" and mode & 0o077:
                    raise AuthorityError(
                        f"{self.path} can be read by others (mode {mode & 0o777:o}); make it "
                        f"yours alone: chmod 600 {self.path}"
                    )
                pumps = tomllib.load(file).get("pumps", {})
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise AuthorityError(
                f"{self.path} cannot be read: {error.strerror}; give another keys file"
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise AuthorityError(
                f"{self.path} is damaged: {error}; restore it from a copy"
            ) from None
        try:
            return {
                serial: _check(serial, {name: bytes.fromhex(keys[name]) for name in keys})
                for serial, keys in pumps.items()
            }
        except (AttributeError, TypeError, ValueError):
            raise AuthorityError(
                f"{self.path} holds a key that is not {2 * KEY_BYTES} hex digits; restore it from "
                "a copy"
            ) from None
        except BadValue as error:
            raise AuthorityError(f"{self.path}: {error}; restore it from a copy") from None

    def _save(self, pumps: Mapping[str, Mapping[str, bytes]]) -> None:
        lines = [_HEAD]
        for serial in sorted(pumps):
            lines.append(f"\n[pumps.{serial}]\n")
            keys = pumps[serial]
            lines += [f'{name} = "{keys[name].hex()}"\n' for name in sorted(keys)]
        write_private(self.path, "".join(lines))


def _check(serial: str, keys: Mapping[str, bytes]) -> dict[str, bytes]:
    if not _SERIAL.fullmatch(serial):
        raise BadValue(f"serial = {serial!r} is not letters, digits, - and _")
    for name, key in keys.items():
        if name not in _NAMES:
            raise BadValue(f"key {name!r} of pump {serial}: there are {', '.join(_NAMES)}")
        if len(key) != KEY_BYTES:
            raise BadValue(f"{name} key of pump {serial} has {len(key)} bytes, not {KEY_BYTES}")
    return dict(keys)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all, and durably."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", encoding="utf-8", delete=False
        ) as file:  # made with mode 0600
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise AuthorityError(
            f"{path} cannot be written: {error.strerror}; give another keys file"
        ) from None
