"""The telemetry interface of one pump: bytes in, lines out.

What happens to a line, in this order, each step ending it with an error if it fails: characters
and length, CRC, syntax; the MAC, if there is one; the counter; the command; the role; the
arguments. Only then is its counter stored and the command carried out, whose own checks (limits,
mode, alarms) hold for every role. Nothing that fails changes anything but counts.
"""

from .. import events
from ..base.compat import TYPE_CHECKING, const
from ..base.modes import ModeError
from ..base.roles import ROLES
from ..base.units import LimitError
from ..orders import Orders, Refused
from ..parts.dosing import NEVER_US
from . import commands
from .commands import CHANGE, HEADER, KIND, OPEN, READ, ROLES_MASK, SESSION
from .keys import Keys
from .reads import obj
from .sessions import Sessions
from .staging import Change, Staging
from .stream import Reports
from .wire import (
    COMMUNICATION,
    CONFLICT,
    OUT_OF_RANGE,
    PROTECTED,
    QUEUE_OVERFLOW,
    SYSTEM,
    CommandError,
    LineDecoder,
    crc_suffix,
    error_text,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..base.ports import Link
    from ..controller import Controller
    from .sessions import Session
    from .wire import Request

_QUEUE = const(16)
# Whoever wipes the keys holds the button for so long from the start on, and then has so long.
_WIPE_HOLD_US = const(5_000_000)
_WIPE_WINDOW_US = const(60_000_000)
_WATCH_US = const(200_000)


class Call:
    """One command being carried out. ``args`` are checked; ``now_us`` is pump time."""

    def __init__(
        self, desk: "Telemetry", request: "Request", row: "tuple[Any, ...]", now_us: int
    ) -> None:
        self.desk: "Telemetry" = desk
        self.request = request
        self.row = row
        self.now_us: int = now_us
        self.session: "Session | None" = None
        self.accepted = False  # its counter was
        self.args: "list[Any]" = []


class Telemetry:
    """Feed it with ``receive``, and call its ``tick`` in place of the pump's.

    ``restart``: somebody with the right to has asked for one. ``orders`` are the pump's.
    """

    def __init__(
        self,
        controller: "Controller",
        orders: Orders,
        link: "Link",
        entropy: "Callable[[int], bytes]",
        name: str,
        serial: str,
    ) -> None:
        """``entropy`` gives so many random bytes; ``name`` and ``serial`` tell which board."""
        self._controller = controller
        self.pump = pump = controller.pump
        self.orders = orders
        self.link = link
        self.name = name
        self.serial = serial
        store = pump.hal.store
        self.keys = Keys(store)
        self.sessions = Sessions(self.keys, store, entropy, pump.log)
        self.sessions.on_end = self._on_end
        self.staging: "Staging" = Staging(pump.confirm_press)
        self.reports: "Reports" = Reports(pump, link, self._sign_report)
        self.errors: "list[tuple[int, str]]" = []
        self.outcome = "unknown" if self.sessions.counter.changed else "none"
        self.restart = False
        self.paused_by: "Session | None" = None
        self.provision_until_us = 0
        self.wipe_until_us = 0
        self._booted_us = pump.now_us
        self._held = pump.hal.button.pressed()
        self._decoder = LineDecoder()
        self.lines = 0  # taken
        self.refused = 0  # of them
        self.corrupt = 0  # of those: CRC, characters, length

    def receive(self, now_us: int, byte: int) -> bool:
        """Take one byte; True if it ended a line that may have changed something: tick then."""
        try:
            line = self._decoder.feed(byte)
        except CommandError as refusal:
            self.lines += 1
            self.corrupt += 1
            self._write(self._refuse(refusal.number, refusal.detail))
            return False
        if line is None:
            return False
        self.lines += 1
        return self._answer(now_us, line)

    def _answer(self, now_us: int, line: bytes) -> bool:
        """Carry out one line and reply to it; True if it was more than a read."""
        call: "Call | None" = None
        tag = ""
        try:
            request = parse(line)
            tag = request.tag
            call = Call(self, request, commands.find(request.header), now_us)
            if request.mac:
                session = self.sessions.check(call.now_us, request)
                again = session.reply_to(line)
                if again:
                    self._write(again)
                    return False
                call.session = session
                self.sessions.check_counter(request)
            self._admit(call)
            payload = self._carry_out(call)
        except CommandError as refusal:
            self.corrupt += refusal.number == COMMUNICATION
            payload = self._refuse(refusal.number, refusal.detail)
        except LimitError as refusal:
            payload = self._refuse(OUT_OF_RANGE, str(refusal))
        except (Refused, ModeError) as refusal:
            payload = self._refuse(CONFLICT, str(refusal))
        self._reply(call, tag, payload)
        return (call is not None and call.row[KIND] != READ) or self.reports.waiting

    def _admit(self, call: Call) -> None:
        """Refuse a command whose sender may not give it, or whose arguments are wrong; then its
        counter is taken up."""
        row, request, session = call.row, call.request, call.session
        kind = row[KIND]
        if kind >= SESSION:
            if session is None or not request.tag:
                raise CommandError(
                    PROTECTED,
                    "{} needs a session: tag, counter, MAC and CRC".format(row[HEADER]),
                )
            if not row[ROLES_MASK] >> session.role & 1:
                raise CommandError(
                    PROTECTED, "the role {} may not {}".format(ROLES[session.role], row[HEADER])
                )
        elif kind == OPEN and row[HEADER].startswith("KEY:") and not request.tag:
            raise CommandError(PROTECTED, "{} needs a tag and a CRC".format(row[HEADER]))
        call.args = commands.arguments(row, request.args)
        if session is None:
            return
        session.used_us = call.now_us
        call.accepted = True
        if kind == CHANGE:
            self.outcome = "unknown"
            self.sessions.counter.persist(request.counter, request.tag)
            self.pump.log.add(call.now_us, events.COMMAND, session.role, request.counter)
        else:
            self.sessions.counter.accept(request.counter)

    def _carry_out(self, call: Call) -> str:
        handler, kind = commands.handler(call.row), call.row[KIND]
        if kind == READ:
            try:
                return str(handler(call))
            except CommandError:
                raise
            except Exception as failure:  # a question must never stop a pump
                raise CommandError(
                    SYSTEM, "{}: {}".format(type(failure).__name__, failure)
                ) from failure
        try:
            result = handler(call)
        except (CommandError, LimitError, Refused, ModeError):
            if kind == CHANGE:
                self.outcome = "refused"
            raise
        if kind == CHANGE:
            self.outcome = "done"
        if isinstance(result, Change):
            assert call.session is not None
            return self.staging.stage(call.now_us, result, call.request.counter, call.session.role)
        return str(result)

    def _refuse(self, number: int, detail: str) -> str:
        self.refused += 1
        if len(self.errors) < _QUEUE:
            self.errors.append((number, detail))
        else:
            self.errors[-1] = (QUEUE_OVERFLOW, "")
        return "ERR " + error_text(number, detail)

    def _reply(self, call: "Call | None", tag: str, payload: str) -> None:
        text = "#{} {}".format(tag, payload) if tag else payload
        session = call.session if call is not None else None
        if call is not None and session is not None:
            text += " @" + self.sessions.sign(session, call.request.counter, text)
        if tag:
            text += crc_suffix(text)
        if call is not None and session is not None and call.accepted:
            session.remember(call.request.line, text)
        self._write(text)

    def _write(self, text: str) -> None:
        self.link.write(text.encode() + b"\n")

    def _sign_report(self, line: str) -> str:
        """The MAC after a telemetry line, if a session wants one; the last that does, gets it."""
        for session in reversed(self.sessions.open):
            if session.telemetry_mac:
                return " @" + session.sign_report(line)
        return ""

    def tick(self, now_us: int) -> int:
        """Tick the pump, and do what is due here; returns when to be called next."""
        due_us = self._poll(now_us)
        due_us = min(due_us, self._controller.tick(now_us))
        self.reports.tell()
        return due_us

    def _poll(self, now_us: int) -> int:
        """End what has expired, send what is due; returns when to look again."""
        due_us = NEVER_US
        for at_us in (
            self.sessions.expire(now_us),
            self.staging.expire(now_us),
            self._expire_provision(now_us),
            self._watch_wipe(now_us),
            self.reports.poll(now_us),
        ):
            if at_us:
                due_us = min(due_us, at_us)
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

    def link_lost(self, now_us: int) -> int:
        """The cable is out: its sessions end and its telemetry is off; delivery goes on. Ticks;
        returns when to tick next."""
        self.sessions.end_all()
        self.staging.drop()
        self.reports.set_period(now_us, 0)
        return self.tick(now_us)

    def _on_end(self, session: "Session") -> None:
        """A pause of the audio ends with the session that asked for it (A04)."""
        if session is self.paused_by:
            self.paused_by = None
            self.pump.alarms.end_pause()
            self.pump.replan()

    def link_counts(self) -> str:
        """SYST:LINK?"""
        return obj(
            [
                ("lines", self.lines),
                ("refused", self.refused),
                ("corrupt", self.corrupt),
                ("wrong_macs", self.sessions.failures),
                ("dropped", self.reports.dropped),
            ]
        )

    def authority(self, now_us: int) -> str:
        """AUTH?"""
        return obj(
            [
                ("provisioned", self.keys.provisioned),
                ("damaged", self.keys.damaged),
                ("sessions", [[s.name, ROLES[s.role]] for s in self.sessions.open]),
                ("counter", self.sessions.counter.value),
                ("barred_s", self.sessions.barred_s(now_us)),
            ]
        )

    def key_prints(self) -> str:
        """KEY?"""
        return obj([(ROLES[role], self.keys.fingerprint(role)) for role in range(len(ROLES))])
