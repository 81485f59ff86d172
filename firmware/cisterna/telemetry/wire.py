"""The lines of the telemetry interface: bytes in, requests out, replies made. No I/O.

::

    request   [#tag ]HEADER[ arg,arg][ @session,counter,mac][ *crc]
    reply     [#tag ]payload[ @mac][ *crc]

A line is printable ASCII ended by LF; a CR before it is dropped. Headers are SCPI mnemonics, short
or long, in any case. ``crc`` is the CRC-32 of all bytes before `` *``, in 8 hex digits, capital
ones: in any other writing it is wrong, or a flipped bit in a letter of it would pass. A request
with a tag must carry one, so that a flipped bit can never make a framed line pass for a typed one.
``mac`` is 16 bytes in hex (sessions.py). Nothing here is trusted because its CRC is right: a CRC
is against noise.
"""

import binascii

from ..base.compat import const

# A profile of 24 segments for each of seven weekdays takes 2,900 bytes.
LINE_BYTES = const(3_072)
MAC_DIGITS = const(32)
_TAG_CHARS = const(8)
_INT_CHARS = const(18)
_CRC_CHARS = const(10)
_LF, _CR = const(10), const(13)

# SCPI 1999 error numbers and their texts.
INVALID_CHARACTER = const(-101)
SYNTAX = const(-102)
DATA_TYPE = const(-104)
NOT_ALLOWED = const(-108)
MISSING = const(-109)
UNDEFINED_HEADER = const(-113)
PROTECTED = const(-203)
CONFLICT = const(-221)
OUT_OF_RANGE = const(-222)
ILLEGAL_VALUE = const(-224)
SYSTEM = const(-310)
QUEUE_OVERFLOW = const(-350)
COMMUNICATION = const(-360)
OVERRUN = const(-363)
ERRORS = (
    (INVALID_CHARACTER, "Invalid character"),
    (SYNTAX, "Syntax error"),
    (DATA_TYPE, "Data type error"),
    (NOT_ALLOWED, "Parameter not allowed"),
    (MISSING, "Missing parameter"),
    (UNDEFINED_HEADER, "Undefined header"),
    (PROTECTED, "Command protected"),
    (CONFLICT, "Settings conflict"),
    (OUT_OF_RANGE, "Data out of range"),
    (ILLEGAL_VALUE, "Illegal parameter value"),
    (SYSTEM, "System error"),
    (QUEUE_OVERFLOW, "Queue overflow"),
    (COMMUNICATION, "Communication error"),
    (OVERRUN, "Input buffer overrun"),
)


class CommandError(Exception):
    """A line was refused; ``number`` is SCPI's, ``detail`` says what is wrong and what to do."""

    def __init__(self, number: int, detail: str) -> None:
        super().__init__(detail)
        self.number = number
        self.detail = detail


def error_text(number: int, detail: str) -> str:
    """``number,"text; detail"`` as SYST:ERR? and an ERR reply give it; never a quote inside."""
    for known, text in ERRORS:
        if known == number:
            detail = text + ("; " + detail if detail else "")
    detail = detail.replace('"', "'")
    return f'{number},"{detail}"'


class Request:
    """One line, taken apart. ``counter`` is -1 and ``mac`` empty where it carries none."""

    def __init__(self) -> None:
        self.line = b""
        self.tag = ""
        self.header = ""
        self.args: "list[str]" = []
        self.session = ""
        self.counter = -1
        self.mac = ""
        self.signed = b""  # what the MAC covers
        self.framed = False  # carries a CRC, and it is right


class LineDecoder:
    """Collects bytes into lines. What is not a line costs no memory and is refused at its end."""

    def __init__(self) -> None:
        self._line = bytearray(LINE_BYTES + 1)  # with the CR that may end it
        self._size = 0
        self._refusal = 0

    def feed(self, byte: int) -> "bytes | None":
        """Take one byte; the line, without its end, once that has come; CommandError if it is
        too long or has a byte that is not printable. An empty line is no line."""
        size = self._size
        if 0x20 <= byte < 0x7F and size <= LINE_BYTES:  # nearly always
            self._line[size] = byte
            self._size = size + 1
            return None
        if byte == _LF:
            return self._end()
        if size > LINE_BYTES:
            self._refusal = OVERRUN
        elif byte == _CR:
            self._line[size] = byte
            self._size = size + 1
        elif not self._refusal:
            self._refusal = INVALID_CHARACTER
        return None

    def _end(self) -> "bytes | None":
        size, refusal = self._size, self._refusal
        self._size = self._refusal = 0
        if size and self._line[size - 1] == _CR:
            size -= 1
        if refusal == OVERRUN or size > LINE_BYTES:
            raise CommandError(OVERRUN, f"a line has at most {LINE_BYTES} bytes")
        line = bytes(memoryview(self._line)[:size])
        if refusal or b"\r" in line:
            raise CommandError(INVALID_CHARACTER, "a line is printable ASCII and a line feed")
        return line or None


def parse(line: bytes) -> Request:
    """The request in a line; CommandError says what is wrong with it."""
    request = Request()
    request.line = line
    text = line.decode()
    found = text[-_CRC_CHARS:]
    if found.startswith(" *"):
        request.framed = found == crc_suffix(text[:-_CRC_CHARS])
        if not request.framed and len(found) == _CRC_CHARS and is_hex(found[2:]):
            raise CommandError(COMMUNICATION, "the CRC is wrong; send the line again")
    if request.framed:
        text = text[:-_CRC_CHARS]
    if text.startswith("#"):
        tag, _, text = text[1:].partition(" ")
        if not 1 <= len(tag) <= _TAG_CHARS or not _is_word(tag):
            raise CommandError(SYNTAX, f"a tag is 1..{_TAG_CHARS} letters and digits")
        if not request.framed:
            raise CommandError(COMMUNICATION, "a line with a tag needs a CRC")
        request.tag = tag
    at = text.rfind(" @")
    if at >= 0:
        _parse_authority(request, text[at + 2 :])
        text = text[:at]
    header, _, rest = text.partition(" ")
    request.header = header
    rest = rest.strip()
    if rest:
        request.args = rest.split(",")
        if " " in rest:
            request.args = [arg.strip() for arg in request.args]
            if [arg for arg in request.args if " " in arg]:
                raise CommandError(SYNTAX, "arguments are separated by commas")
    return request


def _parse_authority(request: Request, text: str) -> None:
    parts = text.split(",")
    if (
        len(parts) != 3
        or len(parts[0]) != 4
        or not is_hex(parts[0])
        or not 0 < len(parts[1]) <= _INT_CHARS
        or not parts[1].isdigit()
        or len(parts[2]) != MAC_DIGITS
        or not is_hex(parts[2])
    ):
        raise CommandError(
            SYNTAX, f"after @ come session, counter and a MAC of {MAC_DIGITS} digits"
        )
    end = request.line.rfind(b",")
    request.session, request.counter, request.mac = parts[0].lower(), int(parts[1]), parts[2]
    request.signed = request.line[:end]


def crc_suffix(text: str) -> str:
    """`` *`` and the CRC of a line."""
    return f" *{binascii.crc32(text.encode()):08X}"


def is_hex(text: str) -> bool:
    """True if all characters are hexadecimal digits, and their number is even."""
    try:
        binascii.unhexlify(text)
    except ValueError:
        return False
    return True


def to_int(name: str, text: str) -> int:
    """The whole number in ``text``; CommandError names the argument."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not 0 < len(digits) <= _INT_CHARS or not digits.isdigit():
        raise CommandError(DATA_TYPE, f"{name} = {text[:40]} is not a whole number")
    return int(text)


def _is_word(text: str) -> bool:
    return all("0" <= c <= "9" or "A" <= c <= "Z" or "a" <= c <= "z" for c in text)
