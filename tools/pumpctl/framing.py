"""The lines of protocol version 1: made and read here, sent and received elsewhere.

    [#tag SP] HEADER [SP arg{,arg}] [SP @session,counter,mac] [SP *crc]     host to pump
    [#tag SP] payload [SP @mac] [SP *crc]                                  pump to host
    ~json [SP @mac]                                                        telemetry

Lines are ``str`` of printable ASCII without their LF. Digests go over their ASCII bytes.
"""

import binascii
import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass

PROTOCOL = 1
ROLES = ("observer", "patient", "clinician", "service")
LINE_BYTES = 3_072
KEY_BYTES = 32
NONCE_BYTES = 16
_MAC_BYTES = 16
_TAG = string.ascii_letters + string.digits
_REPLY = re.compile(
    r"(?:#(?P<tag>[A-Za-z0-9]{1,8}) )?(?P<payload>.*?)"
    r"(?: @(?P<mac>[0-9A-Fa-f]{32}))?(?: \*(?P<crc>[0-9A-Fa-f]{8}))?"
)
_TELEMETRY = re.compile(r"~(?P<json>\{.*\})(?: @(?P<mac>[0-9A-Fa-f]{32}))?")
_ERROR = re.compile(r'ERR (?P<number>-?\d{1,6}),"(?P<text>.*)"')


class Garbled(ValueError):
    """A line that is not of the protocol, or whose check sum is wrong."""


@dataclass(frozen=True)
class Reply:
    """A reply whose check sum, if it has one, is right. Its MAC is yet to be checked.

    ``signed`` is what the MAC goes over.
    """

    tag: str
    payload: str
    mac: str
    checked: bool
    signed: str

    @property
    def error(self) -> tuple[int, str] | None:
        """(number, text) if the pump refused."""
        found = _ERROR.fullmatch(self.payload)
        return (int(found["number"]), found["text"]) if found else None


def new_tag() -> str:
    """A tag that no other request has: 8 letters and digits, 47 bits."""
    return "".join(secrets.choice(_TAG) for _ in range(8))


def request(
    header: str, args: Sequence[object] = (), tag: str = "", seal: "Seal | None" = None
) -> str:
    """A request line. With a tag it carries a check sum, with a seal a session's MAC.

    ValueError: the line would not be of the protocol.
    """
    line = " ".join(filter(None, (f"#{tag}" if tag else "", header, ",".join(map(str, args)))))
    if not line.isprintable() or not line.isascii():
        raise ValueError(f"{line!r} holds what is not printable ASCII")
    if seal:
        line = seal.on(line)
    if tag:
        line = f"{line} *{crc(line)}"
    if len(line) > LINE_BYTES:
        raise ValueError(f"{header}: a line of {len(line)} bytes is longer than {LINE_BYTES}")
    return line


def parse_reply(line: bytes) -> Reply:
    """A reply line; Garbled if it is none or its check sum is wrong."""
    text = _text(line)
    found = _REPLY.fullmatch(text)
    if not found or not found["payload"]:
        raise Garbled(f"{text!r} is no reply")
    if found["crc"]:
        body = text[: found.start("crc") - 2]
        if found["crc"] != crc(body):
            raise Garbled(f"{text!r} has a wrong check sum")
    signed = text[: found.end("payload")]
    return Reply(
        found["tag"] or "", found["payload"], found["mac"] or "", bool(found["crc"]), signed
    )


def parse_telemetry(line: bytes) -> tuple[str, str]:
    """(JSON text, MAC or "") of a telemetry line; Garbled if it is none."""
    text = _text(line)
    found = _TELEMETRY.fullmatch(text)
    if not found:
        raise Garbled(f"{text!r} is no telemetry")
    return found["json"], found["mac"] or ""


def _text(line: bytes) -> str:
    text = line.decode("ascii", "replace")
    if not text.isascii() or not text.isprintable():
        raise Garbled(f"{text!r} holds what is not printable ASCII")
    return text


def crc(text: str) -> str:
    """CRC-32 of a line's text, 8 hex digits."""
    return f"{binascii.crc32(text.encode('ascii')):08X}"


def same_mac(one: str, other: str) -> bool:
    """True if both are the same MAC; takes the same time whether or not."""
    return hmac.compare_digest(one.lower(), other.lower())


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode("ascii"), hashlib.sha256)


def _mac(key: bytes, text: str) -> str:
    return _hmac(key, text)[:_MAC_BYTES].hex()


@dataclass(frozen=True, repr=False)
class SessionKey:
    """The key of one session, and all that is made with it."""

    session: str
    key: bytes

    @classmethod
    def agree(
        cls,
        role_key: bytes,
        role: str,
        session: str,
        client_nonce: str,
        pump_nonce: str,
        counter: int,
    ) -> "SessionKey":
        """What host and pump both derive from the role's key, the nonces and the pump's counter,
        as sent."""
        text = f"cisterna session 1 {role} {session} {client_nonce} {pump_nonce} {counter}"
        return cls(session, _hmac(role_key, text))

    def proof(self, side: str) -> str:
        """What "host" or "pump" proves with that it has the role's key."""
        return _mac(self.key, side)

    def seal(self, counter: int) -> "Seal":
        """What signs the request with this counter."""
        return Seal(self, counter)

    def telemetry_mac(self, json_text: str) -> str:
        """The MAC of a telemetry line."""
        return _mac(self.key, f"T~{json_text}")


@dataclass(frozen=True)
class Seal:
    """Signs one request and checks its reply."""

    session: SessionKey
    counter: int

    def on(self, line: str) -> str:
        """The line with session, counter and MAC."""
        signed = f"{line} @{self.session.session},{self.counter}"
        return f"{signed},{_mac(self.session.key, 'C' + signed)}"

    def proves(self, reply: Reply) -> bool:
        """True if the reply was made by the pump, to this very request."""
        text = f"R{self.counter} {reply.signed}"
        return bool(reply.mac) and same_mac(reply.mac, _mac(self.session.key, text))

    def wrap(self, new_key: bytes) -> str:
        """A new key, readable by the pump alone and only in the request with this counter."""
        pad = _hmac(self.session.key, f"wrap {self.counter}")
        return bytes(a ^ b for a, b in zip(new_key, pad, strict=True)).hex()
