"""Giving a pump its keys, replacing one, taking them away.

A new key is kept on the host as ``<role>_next`` before the pump hears of it, and becomes the
role's key once the pump is known to have it, which its fingerprint tells.
"""

import hashlib
import secrets
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from pumpctl.changes import Changes
from pumpctl.errors import PROTECTED, BadValue, NotConfirmed, Refused
from pumpctl.framing import KEY_BYTES, ROLES, Seal
from pumpctl.keys import NEXT, KeyRing, generate
from pumpctl.reads import Reads
from pumpctl.staged import StagedChange
from pumpctl.talk import Identity, Talk

if TYPE_CHECKING:
    from pumpctl.client import Pump

_POLL_S = 0.5
# The pump waits as long for its button.
PRESS_S = 60.0


def fingerprint(key: bytes) -> str:
    """What tells a key from another, as the pump shows it."""
    return hashlib.sha256(b"cisterna key " + key).hexdigest()[:8]


class KeyRotation(StagedChange):
    """A staged key. The host takes it up when the pump has."""

    def __init__(self, pump: "Pump", text: str, role: str) -> None:
        super().__init__(pump, text)
        self._role = role

    def commit(self) -> None:
        """Have the pump take the key."""
        super().commit()
        self._pump.settle_key(self._role)


class Keying(Reads, Changes):
    """The commands about keys. ``keys`` is the file on this host."""

    keys: KeyRing
    identity: Identity

    @property
    @abstractmethod
    def talk(self) -> Talk:
        """Requests without authority."""

    @abstractmethod
    def _wrapped(self, header: str, args: Callable[[Seal], Sequence[object]]) -> str:
        """A command whose arguments depend on what signs it."""

    def settle_key(self, role: str) -> bool:
        """Take up a role's next key if the pump has it, else drop it; True if it was taken up."""
        serial = self.identity.serial
        key = self.keys.next_key(serial, role)
        if key is None:
            return False
        taken = fingerprint(key) in self.query("KEY?").lower()
        if taken:
            self.keys.promote(serial, role)
        else:
            self.keys.forget(serial, role + NEXT)
        return taken

    def stage_key(self, role: str) -> StagedChange:
        """A new key for a role; the host keeps it, nobody sees it."""
        if role not in ROLES:
            raise BadValue(f"role = {role}: there are {', '.join(ROLES)}")
        self.settle_key(role)
        key = secrets.token_bytes(KEY_BYTES)
        self.keys.put(self.identity.serial, {role + NEXT: key})
        text = self._wrapped("KEY:ROT:STAG", lambda seal: (role, seal.wrap(key)))
        return KeyRotation(cast("Pump", self), text, role)

    def provision(
        self, wait_s: float = PRESS_S, tell: Callable[[float], None] | None = None
    ) -> None:
        """Give new keys to a pump that has none: over USB, while its button is held.

        ``tell`` is called now and then with the seconds left to press it. NotConfirmed: it was
        not pressed. The keys go over the cable as they are.
        """
        serial = self.identity.serial
        keys = generate()
        self.keys.put(serial, {role + NEXT: key for role, key in keys.items()})
        end_s = time.monotonic() + wait_s
        while True:
            try:
                self.talk.ask("KEY:PROV", *(key.hex() for key in keys.values()))
                break
            except Refused as error:
                if fingerprint(keys[ROLES[0]]) in self.query("KEY?").lower():
                    break  # it was done, and the reply was lost
                left_s = end_s - time.monotonic()
                asked = error.number == PROTECTED and "press" in error.text
                if asked and left_s > 0:
                    if tell:
                        tell(left_s)
                    time.sleep(_POLL_S)
                    continue
                self.keys.forget(serial, *(role + NEXT for role in ROLES))
                if asked:
                    raise NotConfirmed(
                        f"the pump's button was not pressed and held within {wait_s:g} s; the "
                        "pump has no keys: try again"
                    ) from None
                raise
        for role in ROLES:
            self.keys.promote(serial, role)

    def wipe_keys(self) -> None:
        """Make the pump and this host forget the pump's keys: see Refused for when it may."""
        self.talk.ask("KEY:WIPE")
        self.keys.forget(self.identity.serial)
