"""Keys: one for each role, kept on the pump, never read back; and HMAC-SHA-256, which proves them.

A pump without keys takes orders from nobody. Damaged keys count as keys that nobody has: only a
wipe, which needs a hand on the pump, makes room for new ones.
"""

import binascii
import hashlib

from ..base.compat import TYPE_CHECKING, const
from ..base.journal import CORRUPT, MISSING, Record
from ..base.roles import ROLES

if TYPE_CHECKING:
    from ..base.ports import Store


KEY_BYTES = const(32)
MAC_BYTES = const(16)
_BLOCK = const(64)


class Hmac:
    """HMAC-SHA-256 (RFC 2104) with one key, whose pads are made once: in Python they take longer
    than a short message's hash."""

    def __init__(self, key: bytes) -> None:
        if len(key) > _BLOCK:
            key = hashlib.sha256(key).digest()
        key = key + bytes(_BLOCK - len(key))
        self._inner = bytes([byte ^ 0x36 for byte in key])
        self._outer = bytes([byte ^ 0x5C for byte in key])

    def digest(self, *parts: bytes) -> bytes:
        """The HMAC of a message in parts."""
        inner = hashlib.sha256(self._inner)
        for part in parts:
            inner.update(part)
        outer = hashlib.sha256(self._outer)
        outer.update(inner.digest())
        return outer.digest()

    def mac(self, *parts: bytes) -> str:
        """Its first MAC_BYTES, in hex."""
        return binascii.hexlify(self.digest(*parts)[:MAC_BYTES]).decode()


def same(one: str, other: str) -> bool:
    """True if both are equal. Their hashes are compared, so that the time that it takes does not
    tell where they differ."""
    return hashlib.sha256(one.encode()).digest() == hashlib.sha256(other.encode()).digest()


class Keys:
    """The four keys. ``provisioned``: there are some, or there were and they are damaged."""

    def __init__(self, store: "Store") -> None:
        self._record = Record(store, "keys")
        status, data = self._record.load()
        if len(data) != len(ROLES) * KEY_BYTES:
            data = b""
        self._data = data
        # An empty record is what a wipe leaves.
        self.damaged = status == CORRUPT
        self.provisioned = self.damaged or (status != MISSING and bool(data))

    def of(self, role: int) -> "bytes | None":
        """The key of a role; None if there is none."""
        if not self._data:
            return None
        return self._data[role * KEY_BYTES : (role + 1) * KEY_BYTES]

    def fingerprint(self, role: int) -> str:
        """8 digits that tell one key from another and nothing about either; empty if none."""
        key = self.of(role)
        if key is None:
            return ""
        return self.print_of(key)

    def print_of(self, key: bytes) -> str:
        """The fingerprint of a key."""
        return binascii.hexlify(hashlib.sha256(b"cisterna key " + key).digest()[:4]).decode()

    def provision(self, keys: "list[bytes]") -> None:
        """Keep the keys of all roles."""
        self._keep(b"".join(keys))

    def rotate(self, role: int, key: bytes) -> None:
        """Replace the key of one role."""
        self._keep(self._data[: role * KEY_BYTES] + key + self._data[(role + 1) * KEY_BYTES :])

    def wipe(self) -> None:
        """Forget all keys."""
        self._keep(b"")

    def _keep(self, data: bytes) -> None:
        # In both slots: a slot that fails later must not bring an old key back.
        self._record.save(data)
        self._record.save(data)
        self._data = data
        self.damaged = False
        self.provisioned = bool(data)
