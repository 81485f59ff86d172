"""A pump, as scripts and notebooks see it.

with Pump.open("socket://127.0.0.1:5025", role="clinician") as pump:
    print(pump.status().mode)
    change = pump.stage_bolus(dose_ng=20_000, duration_s=600)
    print(change.summary)
    change.wait_for_press()
    change.commit()
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pumpctl.errors import AuthorityError, LinkError
from pumpctl.find import only_port
from pumpctl.framing import Seal
from pumpctl.keying import Keying
from pumpctl.keys import KeyRing
from pumpctl.link import Link
from pumpctl.reconcile import Reconciled
from pumpctl.session import PATIENCE_S, Session
from pumpctl.talk import TIMEOUT_S, Identity, Talk
from pumpctl.telemetry import Telemetry


class Pump(Keying):
    """One pump over one link, from one thread.

    ``identity`` says which. Every failure is a PumpError whose text is one line that says what to
    do. A change whose reply was lost raises ReplyLost; where the pump could not be asked what
    became of it, it is asked before anything else once it is back, here or in another program on
    this host, and ``reconciled`` says what it said.
    """

    def __init__(
        self, talk: Talk, identity: Identity, keys: KeyRing, patience_s: float = PATIENCE_S
    ) -> None:
        """Use ``open``."""
        self.identity = identity
        self.keys = keys
        self._patience_s = patience_s
        self._talk = talk
        self._session: Session | None = None

    @classmethod
    def open(
        cls,
        port: str = "",
        role: str = "",
        keys: KeyRing | Path | str | None = None,
        timeout_s: float = TIMEOUT_S,
        patience_s: float = PATIENCE_S,
    ) -> Self:
        """Find the pump, see who it is, and open a session if a role is given.

        ``port`` is a device or a URL of pyserial (``socket://host:port``); without one the only
        board on USB is taken. ``keys`` is the keys file, else ``$CISTERNA_KEYS`` or
        ~/.config/cisterna/keys.toml. A reply may take ``timeout_s``, a link that was cut while
        something was changed may take ``patience_s`` to come back.
        """
        link = Link(port or only_port())
        try:
            talk = Talk(link, timeout_s)
            ring = keys if isinstance(keys, KeyRing) else KeyRing(keys)
            pump = cls(talk, talk.identify(), ring, patience_s)
            if role:
                pump._login(role)
        except BaseException:
            link.close()
            raise
        return pump

    def _login(self, role: str) -> None:
        self._session = Session(
            self._talk, self.keys, self.identity.serial, role, self.reconnect, self._patience_s
        )
        self._session.open()

    def as_role(self, role: str) -> Self:
        """The same pump in another role's session on the same link, as to confirm a change.

        Closing either closes the link of both.
        """
        other = type(self)(self._talk, self.identity, self.keys, self._patience_s)
        other._login(role)
        return other

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the link. The session is left to idle away: ending it would cost a write to
        the pump's flash, and its key is gone with this object."""
        self._talk.link.close()

    def reconnect(self, patience_s: float = PATIENCE_S) -> None:
        """Open the link anew after it was cut; LinkError if pump or port are not back in time."""
        self._talk.link.reopen(patience_s)
        identity = self._talk.identify()
        if identity.serial != self.identity.serial:
            raise LinkError(
                f"{self._talk.link.port}: pump {identity.serial} is there now, not "
                f"{self.identity.serial}; name the port of the right one"
            )
        self.identity = identity

    @property
    def talk(self) -> Talk:
        """Requests without authority, and the link below them."""
        return self._talk

    @property
    def reconciled(self) -> list[Reconciled]:
        """What became of changes whose replies were lost, here or in another program."""
        return self._session.reconciled if self._session else []

    @property
    def role(self) -> str:
        """The session's role; empty without a session."""
        return self._session.role if self._session else ""

    def query(self, header: str, *args: object) -> str:
        """Any read command; in a session its reply is proved to be the pump's."""
        if self._session:
            return self._session.ask(header, args)
        return self._talk.ask(header, *args)

    def change(self, header: str, *args: object) -> str:
        """Any command that changes something; made once, or an exception says what is known."""
        return self._in_session(header).change(header, args)

    def command(self, header: str, *args: object) -> str:
        """Any command that needs a session and does not outlast it, such as the STAGE ones."""
        return self._in_session(header).ask(header, args)

    def _wrapped(self, header: str, args: Callable[[Seal], Sequence[object]]) -> str:
        return self._in_session(header).ask(header, args)

    def _in_session(self, header: str) -> Session:
        if not self._session:
            raise AuthorityError(f"{header} needs a role; open the pump with one")
        return self._session

    def leave(self) -> None:
        """End the session on the pump; reading goes on without one."""
        self.command("AUTH:BYE")
        self._session = None

    def telemetry(self, period_ms: int = 1_000, signed: bool = False) -> Telemetry:
        """What the pump sends by itself: iterate it for Sample and Happening.

        ``signed`` takes only lines with the session's MAC.
        """
        return Telemetry(self, period_ms, signed)

    def proves_telemetry(self, text: str, mac: str) -> bool:
        """True if the MAC of a telemetry line is this session's."""
        return self._session is not None and self._session.proves_telemetry(text, mac)
