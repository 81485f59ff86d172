"""Giving a pump its keys and replacing one, so that pump and host never lose each other's.

A new key is kept on the host as ``<role>_next`` before the pump hears of it, and becomes the
role's key once the pump is known to have it, which its fingerprint tells.
"""

import hashlib
from collections.abc import Callable

from pumpctl.errors import PROTECTED, BadValue, NotConfirmed, Refused
from pumpctl.exchange import Exchange
from pumpctl.framing import ROLES
from pumpctl.keys import NEXT, KeyRing, generate

_POLL_S = 0.5
# The pump waits as long for its button.
PRESS_S = 60.0


def fingerprint(key: bytes) -> str:
    """What tells a key from another, as the pump shows it."""
    return hashlib.sha256(b"cisterna key " + key).hexdigest()[:8]


def check_role(role: str) -> None:
    """BadValue if there is no such role."""
    if role not in ROLES:
        raise BadValue(f"role = {role}: there are {', '.join(ROLES)}")


def settle(keys: KeyRing, serial: str, role: str, shown: str) -> bool:
    """Take up a role's next key if the pump has it, else drop it; True if it was taken up.

    ``shown`` is the reply to KEY?.
    """
    key = keys.next_key(serial, role)
    if key is None:
        return False
    taken = fingerprint(key) in shown.lower()
    if taken:
        keys.promote(serial, role)
    else:
        keys.forget(serial, f"{role}{NEXT}")
    return taken


def provision(
    exchange: Exchange,
    keys: KeyRing,
    serial: str,
    wait_s: float = PRESS_S,
    tell: Callable[[float], None] | None = None,
) -> None:
    """Give new keys to a pump that has none: over USB, while its button is held.

    ``tell`` is called now and then with the seconds left to press it. NotConfirmed: it was not
    pressed. The keys go over the cable as they are.
    """
    made = generate()
    keys.put(serial, {f"{role}{NEXT}": key for role, key in made.items()})
    clock = exchange.link.transport
    end_s = clock.now_s() + wait_s
    while True:
        try:
            exchange.ask("KEY:PROV", *(key.hex() for key in made.values()))
            break
        except Refused as error:
            if fingerprint(made[ROLES[0]]) in exchange.ask("KEY?").lower():
                break  # it was done, and the reply was lost
            left_s = end_s - clock.now_s()
            asked = error.number == PROTECTED and "press" in error.text
            if asked and left_s > 0:
                if tell:
                    tell(left_s)
                clock.sleep(_POLL_S)
                continue
            keys.forget(serial, *(f"{role}{NEXT}" for role in ROLES))
            if asked:
                raise NotConfirmed(
                    f"the pump's button was not pressed and held within {wait_s:g} s; the "
                    "pump has no keys: try again"
                ) from None
            raise
    for role in ROLES:
        keys.promote(serial, role)
