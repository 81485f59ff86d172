"""What the telemetry interface IS: keys, sessions, the staged change, the stream, the queue of
errors, what a hand on the pump has opened for a while, and counts.

Like the pump it has few verbs. What happens to a line is the server's; what a command does stands
in reads and writes.
"""

from .. import events
from ..base.compat import TYPE_CHECKING, const
from ..base.roles import ROLES
from .keys import Keys
from .sessions import Sessions
from .staging import Staging
from .stream import Stream
from .wire import QUEUE_OVERFLOW

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..base.ports import Link
    from ..orders import Orders
    from ..pump import Pump
    from .rows import Row
    from .sessions import Session
    from .wire import Request

_QUEUE = const(16)
# Whoever wipes the keys holds the button for so long from the start on, and then has so long.
_WIPE_HOLD_US = const(5_000_000)
_WIPE_WINDOW_US = const(60_000_000)
_WATCH_US = const(200_000)
_SERVICE = ROLES.index("service")
# Rows of events.EVENTS' KEYS.
PROVISIONED, ROTATED, WIPED = 0, 1, 2


class Call:
    """One command being carried out. ``args`` are checked; ``now_us`` is pump time."""

    def __init__(self, desk: "Desk", request: "Request", row: "Row", now_us: int) -> None:
        self.desk: "Desk" = desk
        self.request = request
        self.row = row
        self.now_us: int = now_us
        self.session: "Session | None" = None
        self.accepted = False  # its counter was
        self.args: "list[Any]" = []


class Desk:
    """The interface of one pump, whose orders are ``orders``.

    ``restart``: somebody with the right to has asked for one. ``outcome`` is that of the last
    change. ``provision_until_us`` and ``wipe_until_us`` end what the button allows.
    """

    def __init__(
        self,
        orders: "Orders",
        pump: "Pump",
        link: "Link",
        entropy: "Callable[[int], bytes]",
        name: str,
        serial: str,
    ) -> None:
        """``entropy`` gives so many random bytes; ``name`` and ``serial`` tell which board."""
        self.pump = pump
        self.orders = orders
        self.link = link
        self.name = name
        self.serial = serial
        store = pump.hal.store
        self.keys = Keys(store)
        self.sessions = Sessions(self.keys, store, entropy, pump.log)
        self.sessions.on_end = self._on_end
        self.staging = Staging(pump.confirm_press)
        self.stream = Stream(pump, link, self._sign_report)
        self.errors: "list[tuple[int, str]]" = []
        self.outcome = "unknown" if self.sessions.counter.changed else "none"
        self.restart = False
        self.paused_by: "Session | None" = None
        self.provision_until_us = 0
        self.wipe_until_us = 0
        self._booted_us = pump.now_us
        self._held = pump.hal.button.pressed()
        self.lines = 0  # taken
        self.refused = 0  # of them
        self.corrupt = 0  # of those: CRC, characters, length

    def refuse(self, number: int, detail: str) -> None:
        """Count a refused line, and queue why it was."""
        self.refused += 1
        if len(self.errors) < _QUEUE:
            self.errors.append((number, detail))
        else:
            self.errors[-1] = (QUEUE_OVERFLOW, "")

    def act(self, now_us: int, order: str, arguments: "tuple[Any, ...]") -> None:
        """Do what was staged: one of the pump's orders by its name, or the desk's ``rotate``."""
        if order == "rotate":
            self._rotate(now_us, *arguments)
        else:
            getattr(self.orders, order)(now_us, *arguments)

    def log_keys(self, now_us: int, what: int) -> None:
        """Log what was done to the keys."""
        self.pump.log.add(now_us, events.KEYS, what, 0)

    def _rotate(self, now_us: int, role: int, key: bytes) -> None:
        """Put a new key in force; sessions that the old one opened end, but for service's own,
        which is the one that changes it."""
        self.keys.rotate(role, key)
        self.sessions.withdraw()
        for session in list(self.sessions.open):
            if session.role == role and role != _SERVICE:
                self.sessions.end(session)
        self.log_keys(now_us, ROTATED)

    def expire(self, now_us: int) -> int:
        """End what is over, open what a held button opens; returns when to look again, or 0."""
        due_us = 0
        for at_us in (
            self.sessions.expire(now_us),
            self.staging.expire(now_us),
            self._expire_provision(now_us),
            self._watch_wipe(now_us),
            self.stream.poll(now_us),
        ):
            if at_us and (not due_us or at_us < due_us):
                due_us = at_us
        return due_us

    def _expire_provision(self, now_us: int) -> int:
        if self.provision_until_us and now_us >= self.provision_until_us:
            self.provision_until_us = 0
            self.pump.confirm_press.drop()
        return self.provision_until_us

    def _watch_wipe(self, now_us: int) -> int:
        """Allow a wipe once the button has been held from the start on."""
        if not self._held:
            return 0
        if not self.pump.hal.button.pressed():
            self._held = False
            return 0
        if now_us - self._booted_us < _WIPE_HOLD_US:
            return now_us + _WATCH_US
        self._held = False
        self.wipe_until_us = now_us + _WIPE_WINDOW_US
        return 0

    def _on_end(self, session: "Session") -> None:
        """A pause of the audio ends with the session that asked for it (A04)."""
        if session is self.paused_by:
            self.paused_by = None
            self.pump.alarms.end_pause()
            self.pump.replan()

    def _sign_report(self, line: str) -> str:
        """The MAC after a telemetry line, if a session wants one; the one opened last signs."""
        for session in reversed(self.sessions.open):
            if session.telemetry_mac:
                return " @" + session.sign_report(line)
        return ""
