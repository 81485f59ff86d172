"""A session with authority: opened with a role's key, every line signed, every reply proved.

The rules for a change, so that it is made once or not at all and nobody is left in doubt:

- it is noted on the disk before it is sent;
- while its reply does not come it is sent again byte for byte, which the pump answers from memory;
- if that does not help, the pump is asked with SYST:LAST? what it accepted last, first as anybody
  may, then signed and with a higher counter, after which the lost line is worth nothing;
- a change that the pump is known never to have taken up, since its session had ended or another
  one's counter was ahead, is signed anew. Nothing else is ever sent twice as a different line.
"""

import re
import secrets
from collections.abc import Callable, Sequence

from pumpctl.errors import PROTECTED, AuthorityError, LinkError, PumpError, Refused, ReplyLost
from pumpctl.exchange import TRIES, Exchange, spoilt
from pumpctl.framing import NONCE_BYTES, Reply, Seal, SessionKey, new_tag, request, same_mac
from pumpctl.keys import KeyRing
from pumpctl.outcome import Outcome, Pending, Reconciled
from pumpctl.reconcile import LastChange, Notes

# A pump ends a session after 180 s without a good line.
IDLE_S = 170.0
PATIENCE_S = 10.0
_SETTLE_TRIES = 3
_COUNTER = re.compile(r"counter \d+ is not above (\d{1,15})")
_HELLO = re.compile(r"([0-9a-f]{4}),([0-9a-f]{32}),(\d{1,15})")

Args = Sequence[object] | Callable[[Seal], Sequence[object]]


class Session:
    """One role's session with one pump. ``reconnect`` brings the link back after it was cut.

    ``reconciled``: what became of changes whose replies were lost, as far as it was asked later.
    """

    def __init__(
        self,
        exchange: Exchange,
        keys: KeyRing,
        serial: str,
        role: str,
        reconnect: Callable[[float], None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.role = role
        self.patience_s = patience_s
        self.reconciled: list[Reconciled] = []
        self._exchange = exchange
        self._now_s = exchange.link.transport.now_s
        self._keys = keys
        self._serial = serial
        self._reconnect = reconnect
        self._notes = Notes(keys.path)
        self._doubtful: list[Pending] = []
        self._key: SessionKey | None = None
        self._counter = 0
        self._used_s = 0.0

    def open(self) -> None:
        """Open it, and settle what is noted on this host."""
        self._hello()
        self._doubtful = self._notes.of(self._serial)
        self._catch_up()

    def _hello(self) -> None:
        next_key = self._keys.next_key(self._serial, self.role)
        try:
            self._prove(self._keys.key(self._serial, self.role))
        except AuthorityError:
            if next_key is None:
                raise
            self._prove(next_key)
            self._keys.promote(self._serial, self.role)

    def _prove(self, role_key: bytes) -> None:
        self._key = None
        nonce = secrets.token_hex(NONCE_BYTES)
        try:
            hello = self._exchange.ask("AUTH:HELL", self.role, nonce)
            found = _HELLO.fullmatch(hello.lower())
            if not found:
                raise AuthorityError(f"pump {self._serial} offered no session but {hello[:60]!r}")
            name, pump_nonce, counter = found[1], found[2], int(found[3])
            key = SessionKey.agree(role_key, self.role, name, nonce, pump_nonce, counter)
            proof = self._exchange.ask("AUTH:PROV", name, key.proof("host"))
        except Refused as error:
            raise self._no_session(error) from None
        if not same_mac(proof, key.proof("pump")):
            raise AuthorityError(
                f"what answers as pump {self._serial} did not prove that it has the {self.role} "
                "key; do not trust it: look who is on the line"
            )
        self._key = key
        self._counter = max(self._counter, counter)
        self._used_s = self._now_s()

    def _no_session(self, error: Refused) -> AuthorityError:
        return AuthorityError(
            f"no {self.role} session with pump {self._serial}: {error.text}; is "
            f"{self._keys.path} the keys file of who provisioned it?"
        )

    def _fresh(self) -> SessionKey:
        """The key of a session that is open as far as can be known."""
        if self._key is None or self._now_s() - self._used_s > IDLE_S:
            self._hello()
        assert self._key is not None
        return self._key

    def _seal(self, floor: int = 0) -> Seal:
        key = self._fresh()
        self._counter = max(self._counter, floor) + 1
        return key.seal(self._counter)

    def _proved(self, seal: Seal, reply: Reply | None) -> bool:
        """True if the reply is the pump's own, in this session."""
        if reply is None or not seal.proves(reply):
            return False
        self._used_s = self._now_s()
        return True

    def _behind(self, reply: Reply) -> bool:
        """True if another session was ahead with its counter; ours is brought up to it."""
        number, text = reply.error or (0, "")
        found = _COUNTER.search(text)
        if number != PROTECTED or not found:
            return False
        self._counter = max(self._counter, int(found[1]))
        return True

    def proves_telemetry(self, text: str, mac: str) -> bool:
        """True if the MAC of a telemetry line is this session's."""
        return self._key is not None and same_mac(mac, self._key.telemetry_mac(text))

    def forget(self) -> None:
        """The session is gone, as after a restart or a cut link; the next line opens another."""
        self._key = None

    def ask(self, header: str, args: Args = ()) -> str:
        """What may be done twice: a read, or what does not outlast the session. The reply is
        proved to be the pump's. Refused, AuthorityError or LinkError."""
        self._catch_up()
        return _conclude(header, lambda: self._read(header, args))

    def change(self, header: str, args: Args = ()) -> str:
        """Make a change; its reply. Refused, AuthorityError or ReplyLost."""
        self._catch_up()
        return _conclude(header, lambda: self._attempt(header, args))

    def _read(self, header: str, args: Args = (), floor: int = 0) -> tuple[Reply, bool]:
        """The reply, and False if session or counter had gone by."""
        seal, tag = self._seal(floor), new_tag()
        values = args(seal) if callable(args) else args
        reply, _ = self._insist(request(header, values, tag, seal), tag, seal)
        if reply is None:
            raise self._exchange.silence(header)
        if self._proved(seal, reply):
            return reply, not self._behind(reply)
        self.forget()
        return reply, False

    def _attempt(self, header: str, args: Args) -> tuple[Reply, bool]:
        """Send a change; its reply, and False if session or counter had gone by, so that the
        pump never took it up."""
        seal, tag = self._seal(), new_tag()
        values = args(seal) if callable(args) else args
        line = request(header, values, tag, seal)
        pending = Pending(self._serial, tag, seal.counter, header)
        self._notes.put(pending)
        try:
            reply, sent = self._insist(line, tag, seal)
        except LinkError as error:
            return self._settle(pending, line, seal, cut=error), True
        if reply is not None and self._proved(seal, reply):
            behind = self._behind(reply)
            # Of a line that was sent twice, the first may have been taken up.
            if not behind or sent == 1:
                self._notes.drop(pending)
                return reply, not behind
        settled = self._settle(pending, line, seal, refused=reply)
        return settled, settled is not reply

    def _insist(self, line: str, tag: str, seal: Seal) -> tuple[Reply | None, int]:
        """The reply to a line, sent again as it is while none comes, and how often it was sent."""
        for sent in range(1, TRIES + 1):
            reply = self._exchange.once(line, tag, seal)
            if reply is not None and not spoilt(reply):
                return reply, sent
        return None, TRIES

    def _settle(
        self,
        pending: Pending,
        line: str,
        seal: Seal,
        cut: LinkError | None = None,
        refused: Reply | None = None,
    ) -> Reply:
        """Find out what became of a change: its reply, ``refused`` if the pump never took it up,
        or ReplyLost."""
        why = str(cut) if cut else f"no reply to {pending.header}"
        end_s = self._now_s() + self.patience_s
        for _ in range(_SETTLE_TRIES):
            try:
                if cut:
                    self._reconnect(max(0.0, end_s - self._now_s()))
                    cut = None
                last = LastChange.parse(self._exchange.ask("SYST:LAST?"))
                if last.is_of(pending):
                    reply = self._exchange.once(line, pending.tag, seal)
                    if reply and self._proved(seal, reply) and not self._behind(reply):
                        self._notes.drop(pending)
                        return reply
                reconciled = self._judge(pending)
            except LinkError as error:
                cut = error
                continue
            except PumpError as error:
                self._doubtful.append(pending)
                raise ReplyLost(f"{why}, and the pump cannot be asked: {error}") from None
            if refused is not None and reconciled.outcome is Outcome.NOT_ACCEPTED:
                return refused
            raise ReplyLost(f"{why}; {_advice(reconciled)}", reconciled) from None
        self._doubtful.append(pending)
        raise ReplyLost(
            f"{why}, and the pump cannot be reached; before anything else it will be asked what "
            f"became of {pending.header}: {cut}"
        )

    def _judge(self, pending: Pending) -> Reconciled:
        """Ask, signed with a counter above that of the change, so that the answer is final."""
        header = "SYST:LAST?"
        last = _conclude(header, lambda: self._read(header, floor=pending.counter))
        reconciled = LastChange.parse(last).judge(pending)
        self._notes.drop(pending)
        return reconciled

    def _catch_up(self) -> None:
        """Before anything else, ask what became of changes whose replies were lost."""
        while self._doubtful:
            self.reconciled.append(self._judge(self._doubtful[0]))
            del self._doubtful[0]


def _conclude(header: str, once: Callable[[], tuple[Reply, bool]]) -> str:
    """The payload of a reply that is final, or after TRIES of the last; a refusal is raised."""
    for _ in range(TRIES):
        reply, final = once()
        if final:
            break
    if reply.error:
        raise refusal(header, *reply.error)
    return reply.payload


def _advice(reconciled: Reconciled) -> str:
    header = reconciled.pending.header
    if reconciled.outcome is Outcome.NOT_ACCEPTED:
        return f"the pump did not accept {header}: give it again"
    if reconciled.outcome is Outcome.ACCEPTED:
        return f"the pump accepted {header} and did it"
    if reconciled.outcome is Outcome.REFUSED:
        return f"the pump refused {header}; nothing was done"
    return f"{reconciled}; look at the pump's state and log before you go on"


def refusal(header: str, number: int, text: str) -> Refused | AuthorityError:
    """The exception for a refusal: want of authority is told apart."""
    if number == PROTECTED:
        return AuthorityError(f"pump refused {header}: {text} ({number})")
    return Refused(header, number, text)
