import binascii
import hashlib
import hmac
from collections.abc import Callable


def hmac_sha256(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), hashlib.sha256)


def mac(key: bytes, text: str) -> str:
    return hmac_sha256(key, text)[:16].hex()


def with_crc(line: str) -> str:
    return f"{line} *{binascii.crc32(line.encode()):08X}"


class Host:
    """One role's session. `ask` sends a line and gives the reply; counters go up from line to
    line, over all sessions of a pump."""

    def __init__(self, ask: Callable[[str], str], role: str, role_key: bytes, nonce: str) -> None:
        self.ask = ask
        self.name, pump_nonce, counter = ask(f"AUTH:HELL {role},{nonce}").split(",")
        text = f"cisterna session 1 {role} {self.name} {nonce} {pump_nonce} {counter}"
        self.key = hmac_sha256(role_key, text)
        if ask(f"AUTH:PROV {self.name},{mac(self.key, 'host')}") != mac(self.key, "pump"):
            raise ValueError("that pump does not have the key")
        self.counter = int(counter)

    def line(self, tag: str, command: str, counter: int) -> str:
        """A command as it is sent. Sent once more, byte for byte, it does nothing again."""
        signed = f"#{tag} {command} @{self.name},{counter}"
        return with_crc(f"{signed},{mac(self.key, 'C' + signed)}")

    def check(self, reply: str, counter: int) -> str:
        """The payload of a reply, once CRC and MAC are right."""
        body = reply.rpartition(" *")[0]
        signed, _, proof = body.rpartition(" @")
        if with_crc(body).lower() != reply.lower():
            raise ValueError("noise; send the same line again")
        if not hmac.compare_digest(proof, mac(self.key, f"R{counter} {signed}")):
            raise ValueError("not from that pump")
        return signed.partition(" ")[2]
