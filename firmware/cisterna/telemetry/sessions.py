"""Who is at the other end: sessions opened with a key, and the MAC on every line of theirs.

- A session begins with a nonce from each side, so that nothing said in one is good in another.
- Each line of a session carries a counter above all that went before. Before a change is acted
  on, its counter and tag are stored, so a replay is refused after a reboot, too.
- A line that comes again byte for byte, as after a lost reply, gets the reply it got, and nothing
  is done twice.
- FAILURES wrong MACs close the door for a minute, then for two, four, up to an hour; whoever
  is inside stays, and delivery never notices.
- A session ends after IDLE_US without a good line, and with the power.
"""

import binascii
import hashlib
import struct

from .. import events
from ..base.compat import TYPE_CHECKING, const
from ..base.journal import Record
from ..base.roles import ROLES
from .keys import Hmac, same
from .wire import PROTECTED, CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..base.journal import EventLog
    from ..base.ports import Store
    from .keys import Keys
    from .wire import Request

FAILURES = const(5)
BACK_OFF_S = const(60)
MAX_BACK_OFF_S = const(3_600)
IDLE_US = const(180_000_000)
# Two, so that a second person can confirm what the first one has staged.
MAX_SESSIONS = const(2)
NONCE_BYTES = const(16)

_COUNTER = "<Q8s"
_MAX_COUNTER = 10**15


class Counter:
    """The highest counter accepted, and the tag of the last change; both survive a reboot."""

    def __init__(self, store: "Store") -> None:
        self._record = Record(store, "counter")
        _, data = self._record.load()
        self.value, self.tag = 0, ""
        if len(data) == struct.calcsize(_COUNTER):
            self.value, tag = struct.unpack(_COUNTER, data)
            self.tag = tag.rstrip(b"\0").decode()
        self.changed = self.value  # the last counter that a change used

    def accept(self, value: int) -> None:
        """Take up the counter of a line that changes nothing; a reboot forgets it."""
        self.value = value

    def persist(self, value: int, tag: str) -> None:
        """Store the counter and tag of a change that is about to be made."""
        self._record.save(struct.pack(_COUNTER, value, tag.encode()))
        self.value = self.changed = value
        self.tag = tag


class Session:
    """One end that has proved a role's key. ``name`` is its four digits."""

    def __init__(self, name: str, role: int, key: bytes, now_us: int) -> None:
        self.name = name
        self.role = role
        self._hmac = Hmac(key)
        self.used_us = now_us
        self.telemetry_mac = False
        self._line = b""
        self._reply = ""

    def wrap(self, counter: int) -> bytes:
        """What a new key is XORed with on its way in the line of that counter."""
        return self._hmac.digest(b"wrap %d" % counter)

    def proof(self, of: bytes) -> str:
        """What shows that this end has the key, too: each end says another word."""
        return self._hmac.mac(of)

    def proves(self, request: "Request") -> bool:
        """True if a line carries the right MAC."""
        return same(self._hmac.mac(b"C", request.signed), request.mac)

    def sign(self, counter: int, reply: str) -> str:
        """The MAC of a reply, in hex."""
        return self._hmac.mac(b"R%d " % counter, reply.encode())

    def sign_report(self, line: str) -> str:
        """The MAC of a telemetry line, in hex."""
        return self._hmac.mac(b"T", line.encode())

    def remember(self, line: bytes, reply: str) -> None:
        """Keep the reply to the last line whose counter was accepted."""
        self._line, self._reply = hashlib.sha256(line).digest(), reply

    def reply_to(self, line: bytes) -> str:
        """The reply that this very line has had; empty if it is another."""
        return self._reply if self._line == hashlib.sha256(line).digest() else ""


class Sessions:
    """The sessions of one link."""

    def __init__(
        self,
        keys: "Keys",
        store: "Store",
        entropy: "Callable[[int], bytes]",
        log: "EventLog",
    ) -> None:
        """``entropy`` gives so many random bytes. Times of all methods are pump time."""
        self.counter = Counter(store)
        self.open: "list[Session]" = []
        self.on_end: "Callable[[Session], None]" = _ignore
        self.failures = 0  # in all
        self._keys = keys
        self._entropy = entropy
        self._log = log
        self._pending: "Session | None" = None
        self._row = 0  # of failures in a row
        self._back_off_s = BACK_OFF_S
        self._barred_until_us = 0
        self._made = 0

    def hello(self, now_us: int, role: int, nonce: str) -> str:
        """Offer a session: its name, the pump's nonce and the counter. Nothing is granted yet."""
        self._check_barred(now_us)
        key = self._keys.of(role)
        if key is None:
            raise CommandError(
                PROTECTED,
                "the keys are damaged; wipe them and provision anew"
                if self._keys.damaged
                else "the pump has no keys; provision it first",
            )
        self._made = (self._made + 1) & 0xFFFF
        # Not the same again even if the chip's noise fails: counter and time move on.
        seed = self._entropy(NONCE_BYTES) + b"%d %d %d" % (self.counter.value, now_us, self._made)
        digest = hashlib.sha256(seed).digest()
        own = binascii.hexlify(digest[:NONCE_BYTES]).decode()
        name = binascii.hexlify(digest[NONCE_BYTES : NONCE_BYTES + 2]).decode()
        while [session for session in self.open if session.name == name]:
            name = f"{(int(name, 16) + 1) & 0xFFFF:04x}"
        # The counter is part of it: a host that was told another one fails to prove itself.
        ends = f"{own} {self.counter.value}"
        text = f"cisterna session 1 {ROLES[role]} {name} {nonce.lower()} {ends}"
        self._pending = Session(name, role, Hmac(key).digest(text.encode()), now_us)
        return f"{name},{own},{self.counter.value}"

    def prove(self, now_us: int, name: str, proof: str) -> str:
        """Open the session that was offered; returns the pump's own proof."""
        self._check_barred(now_us)
        offered, self._pending = self._pending, None
        if offered is None or offered.name != name.lower():
            raise CommandError(PROTECTED, "no session was offered; begin with AUTH:HELL")
        if not same(offered.proof(b"host"), proof.lower()):
            self._fail(now_us, offered.role)
            raise CommandError(PROTECTED, f"wrong key for the role {ROLES[offered.role]}")
        self._row, self._back_off_s = 0, BACK_OFF_S
        rivals = [session for session in self.open if session.role == offered.role]
        if rivals or len(self.open) >= MAX_SESSIONS:
            self.end(rivals[0] if rivals else min(self.open, key=lambda session: session.used_us))
        offered.used_us = now_us
        self.open.append(offered)
        self._log.add(now_us, events.SESSION, offered.role, self.counter.value)
        return offered.proof(b"pump")

    def check(self, now_us: int, request: "Request") -> Session:
        """The session of a line that carries a MAC, in small letters; CommandError if it proves
        nothing."""
        self.expire(now_us)
        for session in self.open:
            if session.name == request.session:
                break
        else:
            raise CommandError(
                PROTECTED, "no such session; it has ended or the pump restarted: open a new one"
            )
        if not session.proves(request):
            self._check_barred(now_us)
            self._fail(now_us, session.role)
            raise CommandError(PROTECTED, "wrong MAC")
        return session

    def check_counter(self, request: "Request") -> None:
        """Refuse a counter that is not above all before it."""
        if not self.counter.value < request.counter < _MAX_COUNTER:
            raise CommandError(
                PROTECTED,
                f"counter {request.counter} is not above {self.counter.value}; nothing was done",
            )

    def _check_barred(self, now_us: int) -> None:
        left_us = self._barred_until_us - now_us
        if left_us > 0:
            wait_s = -(-left_us // 1_000_000)
            raise CommandError(PROTECTED, f"too many failures; wait {wait_s} s")

    def _fail(self, now_us: int, role: int) -> None:
        self.failures += 1
        self._row += 1
        # One entry for the first of a row and one for the bar: guesses must not flood the log.
        if self._row == 1 or self._row >= FAILURES:
            self._log.add(now_us, events.AUTH_FAILED, role, self._row)
        if self._row >= FAILURES:
            self._row = 0
            self._barred_until_us = now_us + self._back_off_s * 1_000_000
            self._back_off_s = min(MAX_BACK_OFF_S, 2 * self._back_off_s)

    def barred_s(self, now_us: int) -> int:
        """Seconds until a session can be opened again."""
        return max(0, -(-(self._barred_until_us - now_us) // 1_000_000))

    def end(self, session: Session) -> None:
        """End a session."""
        if session in self.open:
            self.open.remove(session)
            self.on_end(session)

    def withdraw(self) -> None:
        """Take back what was offered: its key may have gone."""
        self._pending = None

    def end_all(self) -> None:
        """End every session: the link or the keys have gone."""
        self.withdraw()
        for session in list(self.open):
            self.end(session)

    def expire(self, now_us: int) -> int:
        """End what has idled; returns when to look again, or 0 if no session is open."""
        due_us = 0
        for session in list(self.open):
            end_us = session.used_us + IDLE_US
            if now_us >= end_us:
                self.end(session)
            elif not due_us or end_us < due_us:
                due_us = end_us
        return due_us


def _ignore(session: Session) -> None:
    """Nobody wants to know."""
