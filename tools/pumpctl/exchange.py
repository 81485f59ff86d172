"""Requests and replies over a link, without authority: a request, its reply, a retry.

A reply with a wrong check sum, with another tag or with none is noise. A read is harmless, so it
is asked up to TRIES times, each time with a new tag.
"""

import re
from dataclasses import dataclass
from typing import Self

from pumpctl.errors import (
    COMMUNICATION_ERROR,
    LINE_TOO_LONG,
    Garbage,
    LinkError,
    NoAnswer,
    NoProtocol,
    PumpError,
    Refused,
    WrongProtocol,
)
from pumpctl.framing import PROTOCOL, Garbled, Reply, Seal, new_tag, parse_reply, request
from pumpctl.link import Heard, Link

TIMEOUT_S = 2.0
TRIES = 3
# What a pump answers, without a tag, to a line that noise has spoilt.
_SPOILT = frozenset((-101, -102, COMMUNICATION_ERROR, LINE_TOO_LONG))
_PROMPT = re.compile(r">>>|MicroPython|Traceback")
_FLASH = "put today's firmware on it: make flash"


@dataclass(frozen=True)
class Identity:
    """What *IDN? says."""

    maker: str
    board: str
    serial: str
    version: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError: it is not a pump's."""
        maker, board, serial, version = text.split(",")
        if maker != "Cisterna":
            raise ValueError(maker)
        return cls(maker, board, serial, version)


class Exchange:
    """Asks over a link. ``timeout_s`` is how long a reply may take."""

    def __init__(self, link: Link, timeout_s: float = TIMEOUT_S) -> None:
        self.link = link
        self.timeout_s = timeout_s
        self._echoes = 0
        self._met = False

    def ask(self, header: str, *args: object) -> str:
        """The payload of the reply to a read; Refused, or a LinkError that says what was heard."""
        for _ in range(TRIES):
            tag = new_tag()
            reply = self.once(request(header, args, tag), tag)
            if reply is None or spoilt(reply):
                continue
            if reply.error:
                raise Refused(header, *reply.error)
            return reply.payload
        raise self.silence(header)

    def once(self, line: str, tag: str, seal: Seal | None = None) -> Reply | None:
        """Send a line; the reply with its tag, or None if none came in time.

        With a seal, only what carries the session's MAC counts, or a refusal without a MAC, which
        is what a pump answers that does not know the session. None comes at once where the pump
        restarts, or refuses a line without naming its tag, as it does with one that was spoilt.
        """
        boots = self.link.boots
        self.link.send(line)
        now_s = self.link.transport.now_s
        end_s = now_s() + self.timeout_s
        while (raw := self.link.reply(max(0.0, end_s - now_s()))) is not None:
            if self.link.boots > boots:
                if not self._met:
                    self.link.heard.note(raw)
                return None
            if raw == line.encode("ascii"):
                self._echoes += 1
                continue
            try:
                reply = parse_reply(raw)
            except Garbled:
                self.link.heard.note(raw)
                continue
            if reply.tag == tag and reply.checked and _counts(reply, seal):
                self.link.heard = Heard()
                return reply
            self.link.heard.note(raw)
            if reply.error and not reply.tag:
                return None
        return None

    def identify(self) -> Identity:
        """Who is there; a LinkError says what was heard instead of a pump."""
        self.link.send("")  # ends half a line that somebody has left
        try:
            identity = Identity.parse(self.ask("*IDN?"))
            protocol = int(self.ask("SYST:PROT?"))
        except (Refused, ValueError):
            raise NoProtocol(
                f"{self.link.port}: what is there does not speak the pump's protocol; {_FLASH}"
            ) from None
        if protocol != PROTOCOL:
            older, newer = ("the host tools", "it") if protocol > PROTOCOL else ("it", "the tools")
            raise WrongProtocol(
                f"{self.link.port}: pump {identity.version} speaks version {protocol} of the "
                f"protocol, these tools version {PROTOCOL}: {older} must be as new as {newer}"
            )
        self._met = True
        return identity

    def silence(self, header: str) -> PumpError:
        """Why nobody answered, by what was heard."""
        port, heard = self.link.port, self.link.heard
        rest = self.link.unfinished()
        if rest:
            heard.note(rest)
        kind: type[LinkError] = Garbage
        refused = _refusal(heard.last_text)
        if self._met and refused:
            return Refused(header, *refused)
        if self._met and heard.octets:
            why = f"every answer to {header} came damaged; look at cable, plugs and baud rate"
        elif _PROMPT.search(heard.last_text):
            kind = NoProtocol
            why = f"MicroPython runs there and no pump; {_FLASH}"
        elif self.link.boots or heard.last_text.startswith("cisterna"):
            kind = NoProtocol
            why = (
                f"it says {heard.last_text!r} and does not answer {header}: the firmware does not "
                f"dose, or is too old; {_FLASH}"
            )
        elif heard.unprintable * 10 > heard.octets:
            why = "only garbage comes: wrong baud rate, or noise on the line; look at both"
        elif self._echoes:
            why = "it sends back what it is sent: that is a terminal or a bridged plug, no pump"
        elif heard.octets:
            why = f"what is there is no pump; it says {heard.last_text[:60]!r}"
        else:
            kind = NoAnswer
            why = (
                f"no answer to {header} in {TRIES} tries of {self.timeout_s:g} s; is the pump "
                "powered, and the port the right one?"
            )
        return kind(f"{port}: {why}")


def spoilt(reply: Reply) -> bool:
    """True if the pump says that noise has changed what it heard: it can be sent again."""
    return reply.error is not None and reply.error[0] == COMMUNICATION_ERROR


def _refusal(text: str) -> tuple[int, str] | None:
    """(number, text) of a refusal that is not for noise."""
    try:
        error = parse_reply(text.encode()).error
    except Garbled:
        return None
    return None if error is None or error[0] in _SPOILT else error


def _counts(reply: Reply, seal: Seal | None) -> bool:
    if seal is None:
        return True
    return seal.proves(reply) or (not reply.mac and reply.error is not None)
