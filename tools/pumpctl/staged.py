"""A change in two steps: what the pump says it would do, then its button, then the commit."""

import hashlib
from collections.abc import Callable
from typing import Protocol

from pumpctl.errors import AuthorityError, NotConfirmed, PumpError, Refused
from pumpctl.models import Staged
from pumpctl.replies import parse
from pumpctl.transport import Transport

_POLL_S = 0.25
_ECHO = ',"echo"'


class Sender(Protocol):
    """What a staged change needs of a client: a Pump has it."""

    @property
    def transport(self) -> Transport:
        """By whose time it waits."""

    def query(self, header: str, *args: object) -> str:
        """A read command; its reply."""

    def command(self, header: str, *args: object) -> str:
        """A command that needs a session and does not outlast it; its reply."""

    def change(self, header: str, *args: object) -> str:
        """A change; its reply."""


def waiting(sender: Sender) -> Staged | None:
    """The change that is staged on the pump; None if there is none."""
    text = sender.query("STAG?")
    return None if text == "{}" else parse(Staged, text)


class StagedChange:
    """A change that the pump has prepared. ``details`` is what the pump said it would do.

    The pump's button must be pressed within ``left_s``; where ``needs_second``, another role must
    confirm, too. Nothing happens before ``commit``.
    """

    def __init__(
        self, sender: Sender, text: str, committed: Callable[[], object] | None = None
    ) -> None:
        """``text`` is the reply of STAGE or STAG?; PumpError: its echo does not fit the rest.

        ``committed`` is called once the pump has done it.
        """
        self._sender = sender
        self._now_s = sender.transport.now_s
        self._committed = committed
        self.details = parse(Staged, text)
        left_s = self.details.left_s
        self._until_s = self._now_s() + (self.details.expires_s if left_s is None else left_s)
        shown, _, _ = text.partition(_ECHO)
        if hashlib.sha256(shown.encode("ascii")).hexdigest()[:8] != self.details.echo.lower():
            raise PumpError(
                f"the echo of the staged {self.details.what} does not fit what the pump says it "
                "would do; nothing was changed: stage it again"
            )

    @property
    def needs_second(self) -> bool:
        """True if another role must confirm before it can be committed."""
        return self.details.confirm

    @property
    def left_s(self) -> float:
        """Seconds until the pump forgets it; 0 if it has."""
        return max(0.0, self._until_s - self._now_s())

    @property
    def rows(self) -> list[tuple[str, object, object]]:
        """(name with its unit, old, new) of what would change; None where there is no such."""
        extra = dict(self.details.model_extra or {})
        rows: list[tuple[str, object, object]] = []
        for name, value in extra.items():
            if name.startswith("old_"):
                rows.append((name[4:], value, extra.get(f"new_{name[4:]}")))
            elif not (name.startswith("new_") and f"old_{name[4:]}" in extra):
                rows.append((name.removeprefix("new_"), None, value))
        return rows

    @property
    def summary(self) -> str:
        """What would change, a line each."""
        lines = [f"{self.details.what}, change {self.details.id}"]
        for name, old, new in self.rows:
            lines.append(f"  {name}: {new}" if old is None else f"  {name}: {old} -> {new}")
        if self.details.change_permille is not None:
            lines.append(f"  daily dose changes by {self.details.change_permille / 10:+.1f} %")
        return "\n".join(lines)

    def state(self) -> Staged | None:
        """What the pump says of it now; None if it is gone or another has taken its place."""
        staged = waiting(self._sender)
        return staged if staged and staged.echo == self.details.echo else None

    def confirm(self, second: Sender) -> None:
        """Confirm it with another role's session; Refused or AuthorityError."""
        second.command("CONF", self.details.id, self.details.echo)

    def wait_for_press(self, tell: Callable[[float], None] | None = None) -> None:
        """Wait for the button; NotConfirmed if it is not pressed in time.

        ``tell`` is called now and then with the seconds left.
        """
        while (state := self.state()) and not state.pressed:
            if tell:
                tell(self.left_s)
            self._sender.transport.sleep(_POLL_S)
        if state is None:
            raise NotConfirmed(
                f"the pump's button was not pressed within {self.details.expires_s} s; nothing "
                "was changed: stage it again"
            )

    def commit(self) -> None:
        """Have the pump do it. NotConfirmed: the button or the second role is missing."""
        try:
            self._sender.change(f"{self.details.what}:COMM", self.details.id, self.details.echo)
        except (AuthorityError, Refused) as error:
            state = self.state()
            if state is None or (state.pressed and state.confirmed):
                raise
            raise NotConfirmed(f"{error}; nothing was changed") from None
        if self._committed:
            self._committed()

    def drop(self) -> None:
        """Have the pump forget it."""
        self._sender.command("STAG:DROP")
