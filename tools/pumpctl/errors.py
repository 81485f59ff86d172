"""What can go wrong between a host and a pump, each with what to do, in one line.

``exit_code`` is what a command that fails with it should exit with.
"""

from pumpctl.outcome import Reconciled

# SCPI's numbers, as far as the client acts on them.
COMMUNICATION_ERROR = -360
LINE_TOO_LONG = -363
PROTECTED = -203
UNDEFINED_HEADER = -113


class PumpError(Exception):
    """Anything that kept a pump from being talked to or from doing what was asked."""

    exit_code = 1


class BadValue(PumpError):
    """The host will not send this: a value that no pump takes. Nothing was sent."""

    exit_code = 2


class NoPump(PumpError):
    """No port was given, and not exactly one pump was found."""

    exit_code = 3


class LinkError(PumpError):
    """The link does not work."""

    exit_code = 4


class PortMissing(LinkError):
    """There is no such port, or nobody listens there."""


class PortBusy(LinkError):
    """Another program holds the port."""


class PortDenied(LinkError):
    """The user may not open the port."""


class LinkLost(LinkError):
    """The link was cut: a pulled cable, a board that reset its USB, a closed connection."""


class NoAnswer(LinkError):
    """Nothing was heard in time."""


class Garbage(LinkError):
    """Something was heard, and it is not the protocol: wrong baud rate, noise, other device."""


class NoProtocol(LinkError):
    """A pump, or its MicroPython, that does not speak the protocol."""


class WrongProtocol(LinkError):
    """A version of the protocol that this client does not speak."""


class Refused(PumpError):
    """The pump refused; nothing was changed. ``number`` is SCPI's, ``text`` the pump's own."""

    exit_code = 5

    def __init__(self, header: str, number: int, text: str) -> None:
        hint = ""
        if number == UNDEFINED_HEADER:
            hint = "; its firmware is of another version than these tools: make flash"
        super().__init__(f"pump refused {header}: {text} ({number}){hint}")
        self.header = header
        self.number = number
        self.text = text


class AuthorityError(PumpError):
    """Keys, role or session do not allow it; nothing was changed."""

    exit_code = 6


class NotConfirmed(PumpError):
    """The button was not pressed, or nobody confirmed, in time; nothing was changed."""

    exit_code = 7


class ReplyLost(PumpError):
    """A change was sent and its reply never came. ``reconciled`` says what the pump made of it.

    None: the pump could not be asked yet; the next ``Pump.open`` on this host asks first.
    """

    exit_code = 8

    def __init__(self, message: str, reconciled: Reconciled | None = None) -> None:
        super().__init__(message)
        self.reconciled = reconciled
