"""Changes in two steps: staged, confirmed by the button (and a second role), committed.

One change at a time is staged. It tells what it would change, with an echo: eight digits over that
very text, which must be sent back to confirm or commit it, so nobody commits what he was not
shown. A minute later it is gone. The pump checks everything again when it is committed.
"""

import binascii
import hashlib

from ..base.compat import TYPE_CHECKING, const
from ..base.roles import ROLES
from .wire import CONFLICT, PROTECTED, CommandError

if TYPE_CHECKING:
    from typing import Any

    from ..parts.button import ConfirmPress

EXPIRY_S = const(60)
_EXPIRY_US = const(60_000_000)
ECHO_DIGITS = const(8)


class Change:
    """What a STAGE command prepared: an order by its name, and its arguments after the time.

    ``what`` is the name of the command that stages it, ``summary`` JSON members that say what
    would change, ``needs_second`` that another role must confirm.
    """

    def __init__(
        self,
        what: str,
        summary: str,
        order: str,
        arguments: "tuple[Any, ...]",
        needs_second: bool = False,
    ) -> None:
        self.what = what
        self.summary = summary
        self.order = order
        self.arguments = arguments
        self.needs_second = needs_second


class Staging:
    """The change that is staged, if any."""

    def __init__(self, confirm_press: "ConfirmPress") -> None:
        self._confirm_press = confirm_press
        self._change: "Change | None" = None
        self._id = 0
        self._role = -1
        self._text = ""
        self._echo = ""
        self._confirmed = False
        self._until_us = 0

    def stage(self, now_us: int, change: Change, number: int, role: int) -> str:
        """Stage a change in place of any other; returns what it would do, as JSON."""
        self._change = change
        self._id, self._role = number, role
        self._confirmed = not change.needs_second
        self._until_us = now_us + _EXPIRY_US
        text = (
            f'{{"id":{number},"what":"{change.what}","role":"{ROLES[role]}",'
            f'"expires_s":{EXPIRY_S},"confirm":{int(change.needs_second)},{change.summary}'
        )
        digest = hashlib.sha256(text.encode()).digest()
        self._echo = binascii.hexlify(digest).decode()[:ECHO_DIGITS]
        self._text = f'{text},"echo":"{self._echo}"'
        self._confirm_press.want()
        return self._text + "}"

    def show(self, now_us: int) -> str:
        """What is staged and what it waits for, as JSON; an empty object for nothing."""
        if self._change is None or now_us >= self._until_us:
            return "{}"
        pressed, confirmed = int(self._confirm_press.pressed), int(self._confirmed)
        left_s = -(-(self._until_us - now_us) // 1_000_000)
        return f'{self._text},"pressed":{pressed},"confirmed":{confirmed},"left_s":{left_s}}}'

    def drop(self) -> None:
        """Forget what is staged."""
        self._change = None
        self._text = self._echo = ""
        self._confirm_press.drop()

    def expire(self, now_us: int) -> int:
        """Drop a change that was not committed in time; returns when that will be, or 0."""
        if self._change is None:
            return 0
        if now_us >= self._until_us:
            self.drop()
            return 0
        return self._until_us

    def _staged(self, now_us: int, number: int, echo: str) -> Change:
        self.expire(now_us)
        change = self._change
        if change is None or number != self._id:
            raise CommandError(
                CONFLICT,
                f"nothing with id {number} is staged; a staged change is gone after {EXPIRY_S} s: "
                "stage it again",
            )
        if echo.lower() != self._echo:
            raise CommandError(CONFLICT, "the echo is not that of what is staged; see STAG?")
        return change

    def confirm(self, now_us: int, number: int, echo: str, role: int) -> None:
        """A second role has seen the change and agrees."""
        change = self._staged(now_us, number, echo)
        if not change.needs_second:
            raise CommandError(CONFLICT, "this change needs no second role; commit it")
        if role == self._role:
            raise CommandError(PROTECTED, f"{ROLES[role]} staged it; another role must confirm")
        self._confirmed = True

    def to_commit(self, now_us: int, what: str, number: int, echo: str, role: int) -> Change:
        """The staged change if it may be done now; it stays staged until it is dropped."""
        change = self._staged(now_us, number, echo)
        if change.what != what:
            raise CommandError(CONFLICT, f"{change.what} is staged; commit that, or drop it")
        if role != self._role:
            raise CommandError(PROTECTED, f"{ROLES[self._role]} staged it and commits it")
        if not self._confirmed:
            raise CommandError(PROTECTED, "a second role must confirm it first, with CONF")
        if not self._confirm_press.pressed:
            raise CommandError(PROTECTED, "press the pump's button first")
        return change
