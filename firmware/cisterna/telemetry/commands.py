"""Every command of the telemetry interface: where the pump, its help, the client's tests and the
protocol page look them up. The rows themselves stand beside their functions, in reads, writes and
access.
"""

from ..base.compat import TYPE_CHECKING
from . import reads, writes
from .rows import Rows
from .wire import UNDEFINED_HEADER, CommandError

# isort: split
# Last, since the imports of the others lie less deep: a board's stack holds few in one another.
from . import access

if TYPE_CHECKING:
    from .desk import Call
    from .rows import Row

_OWN = Rows()
_FILES = (_OWN, reads.ROWS, writes.ROWS, access.ROWS)

# Mnemonics whose short form differs from the long one.
LONG = (
    "SYSTEM ERROR COUNT VERSION PROTOCOL STATUS MEASURE PRESSURE LEVEL SUPPLY PROGRAM STAGE "
    "COMMIT LIMITS CALIBRATION RESERVOIR VOLUME REFILL BOLUS PATIENT DELIVERY START SUSPEND "
    "RESUME ALARM ACKNOWLEDGE PAUSE CLOCK TELEMETRY PERIOD CONFIRM SERVICE CLEAR AUTHORITY "
    "HELLO PROVE PROVISION ROTATE"
)


@_OWN.add(
    "SYST:HELP?", "read | [header] | headers, or one command's line | All commands, or one of them"
)
def help_on(call: "Call") -> str:
    """The headers of all commands, or one command's line."""
    if call.args:
        return find(call.args[0]).describe()
    return ",".join(sorted(_headers()))


def _headers() -> "list[str]":
    return [header for rows in _FILES for header in rows.headers()]


def all_rows() -> "list[Row]":
    """All commands. A board looks them up one by one, with ``find``."""
    return [find(header) for header in _headers()]


def short(mnemonic: str) -> str:
    """SCPI's short form: four letters, or three if the fourth would be a vowel."""
    if mnemonic == "ACKNOWLEDGE":
        return "ACK"  # as everybody says
    if len(mnemonic) <= 4:
        return mnemonic
    return mnemonic[: 3 if mnemonic[3] in "AEIOU" else 4]


def find(header: str) -> "Row":
    """The row of a command, by its short or long name; CommandError if there is none."""
    row = _get(header)
    if row is None:
        row = _get(_shortened(header))
    if row is None:
        raise CommandError(UNDEFINED_HEADER, f"no command {header[:40]}; SYST:HELP? lists them")
    return row


def _get(header: str) -> "Row | None":
    for rows in _FILES:
        row = rows.get(header)
        if row is not None:
            return row
    return None


def _shortened(header: str) -> str:
    text = header.upper()
    query = "?" if text.endswith("?") else ""
    words = (text[:-1] if query else text).split(":")
    if words and not words[0]:  # a leading colon is SCPI's root
        words = words[1:]
    long = LONG.split()
    return ":".join([short(word) if word in long else word for word in words]) + query
