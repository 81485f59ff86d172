"""The telemetry interface of one pump: bytes in, lines out. A line's way:

1. A line has printable characters, at most LINE_BYTES of them, and a right CRC if it has any; its
   syntax is right; its command exists.
2. If it carries a MAC, that proves a session. A line that had a reply before gets the same again,
   and its way ends. Its counter is above all before it.
3. The command's row lets the session's role give it, or anybody.
4. Its arguments are what the row says, as many and each by itself.
5. Its counter is taken up; that of a change is stored, with the tag, and logged.
6. The command is carried out, or what it prepares is staged. The pump's own checks (limits, mode,
   alarms) hold for every role.
7. The reply goes out: with the tag, signed for a session, with a CRC if it has a tag.

A line that fails at one of these is answered with ERR, and changes nothing but counts and, from 5
on, its counter. Arguments of long lines are checked piece by piece, and so is a long program: the
pump's loop calls ``proceed`` between other things until ``busy`` is over. Lines are taken one at a
time, so nothing else is answered meanwhile.
"""

from .. import events
from ..base.compat import TYPE_CHECKING, const
from ..base.modes import ModeError
from ..base.roles import ROLES
from ..base.units import LimitError
from ..orders import Refused
from ..parts.dosing import NEVER_US
from . import commands
from .desk import Call, Desk
from .rows import CHANGE, OPEN, READ, SESSION
from .staging import Change
from .wire import (
    COMMUNICATION,
    CONFLICT,
    OUT_OF_RANGE,
    PROTECTED,
    SYSTEM,
    CommandError,
    LineDecoder,
    crc_suffix,
    error_text,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from ..base.ports import Link
    from ..controller import Controller
    from ..orders import Orders
    from .sessions import Session
    from .wire import Request

    # What is done a piece at a time; each goes on at the pump time that it is sent.
    Pieces = Generator[None, int, Any]

# So many arguments are checked in one piece.
_PIECE = const(30)


class Telemetry:
    """Feed it with ``receive``, and call its ``tick`` in place of the pump's. ``desk`` is what it
    serves; ``busy``: ``proceed`` is to be called until the line that came is answered."""

    def __init__(
        self,
        controller: "Controller",
        orders: "Orders",
        link: "Link",
        entropy: "Callable[[int], bytes]",
        name: str,
        serial: str,
    ) -> None:
        """``entropy`` gives so many random bytes; ``name`` and ``serial`` tell which board."""
        self._controller = controller
        self.desk = Desk(orders, controller.pump, link, entropy, name, serial)
        self._link = link
        self._decoder = LineDecoder()
        # For a byte that ends no line, in a shorter way than ``receive``.
        self.collect = self._decoder.feed
        self._way: "Pieces | None" = None

    @property
    def busy(self) -> bool:
        """True while a line is not yet answered."""
        return self._way is not None

    def receive(self, now_us: int, byte: int) -> bool:
        """Take one byte; True if it ended a line that may have changed something: tick then."""
        try:
            line = self._decoder.feed(byte)
        except CommandError as refusal:
            self.desk.lines += 1
            self.desk.corrupt += 1
            self._write(self._refuse(refusal.number, refusal.detail))
            return False
        if line is None:
            return False
        self.desk.lines += 1
        self._way = self._answer(now_us, line)
        return self.proceed(None)

    def proceed(self, now_us: "int | None") -> bool:
        """Do the next piece of the answer; True if that was the last and the line may have
        changed something: tick then. None begins."""
        way, self._way = self._way, None
        assert way is not None
        try:
            way.send(now_us)  # type: ignore[arg-type]
        except StopIteration as end:
            return bool(end.value)
        self._way = way
        return False

    def _answer(self, now_us: int, line: bytes) -> "Pieces":
        """Carry out one line and reply to it; gives True if it was more than a read."""
        desk = self.desk
        call: "Call | None" = None
        tag = ""
        try:
            request = parse(line)
            tag = request.tag
            if len(request.args) > _PIECE:
                now_us = yield
            call = Call(desk, request, commands.find(request.header), now_us)
            if request.mac:
                session = desk.sessions.check(now_us, request)
                again = session.reply_to(line)
                if again:
                    self._write(again)
                    return False
                call.session = session
                desk.sessions.check_counter(request)
            _check_right(call)
            call.row.check(request.args)
            for place in range(len(request.args)):
                if place % _PIECE == 0 and len(request.args) > _PIECE:
                    call.now_us = yield
                call.args.append(call.row.value(place, request.args[place]))
            if call.session is not None:
                self._take_up(call, call.session, request)
            payload = yield from self._carry_out(call)
        except CommandError as refusal:
            desk.corrupt += refusal.number == COMMUNICATION
            payload = self._refuse(refusal.number, refusal.detail)
        except LimitError as refusal:
            payload = self._refuse(OUT_OF_RANGE, str(refusal))
        except (Refused, ModeError) as refusal:
            payload = self._refuse(CONFLICT, str(refusal))
        self._reply(call, tag, payload)
        return (call is not None and call.row.kind != READ) or desk.stream.waiting

    def _take_up(self, call: Call, session: "Session", request: "Request") -> None:
        """The line's counter is used, whatever comes of it; that of a change for good."""
        desk = self.desk
        session.used_us = call.now_us
        call.accepted = True
        if call.row.kind == CHANGE:
            desk.outcome = "unknown"
            desk.sessions.counter.persist(request.counter, request.tag)
            desk.pump.log.add(call.now_us, events.COMMAND, session.role, request.counter)
        else:
            desk.sessions.counter.accept(request.counter)

    def _carry_out(self, call: Call) -> "Pieces":
        row, desk = call.row, self.desk
        if row.kind == READ:
            try:
                return str(row.act(call))
            except CommandError:
                raise
            except Exception as failure:  # a question must never stop a pump
                raise CommandError(SYSTEM, f"{type(failure).__name__}: {failure}") from failure
        try:
            result = row.act(call)
            if hasattr(result, "send"):
                result = yield from result
        except (CommandError, LimitError, Refused, ModeError):
            if row.kind == CHANGE:
                desk.outcome = "refused"
            raise
        if row.kind == CHANGE:
            desk.outcome = "done"
        if isinstance(result, Change):
            assert call.session is not None
            role, number = call.session.role, call.request.counter
            return desk.staging.stage(call.now_us, result, number, role)
        return str(result)

    def _refuse(self, number: int, detail: str) -> str:
        self.desk.refuse(number, detail)
        return "ERR " + error_text(number, detail)

    def _reply(self, call: "Call | None", tag: str, payload: str) -> None:
        text = f"#{tag} {payload}" if tag else payload
        session = call.session if call is not None else None
        if call is not None and session is not None:
            text += " @" + session.sign(call.request.counter, text)
        if tag:
            text += crc_suffix(text)
        if call is not None and session is not None and call.accepted:
            session.remember(call.request.line, text)
        self._write(text)

    def _write(self, text: str) -> None:
        self._link.write(text.encode() + b"\n")

    def tick(self, now_us: int) -> int:
        """Tick the pump, and do what is due here; returns when to be called next."""
        due_us = self.desk.expire(now_us) or NEVER_US
        due_us = min(due_us, self._controller.tick(now_us))
        self.desk.stream.tell()
        return due_us


def _check_right(call: Call) -> None:
    """Refuse a command to whoever may not give it."""
    row, request, session = call.row, call.request, call.session
    if row.kind >= SESSION:
        if session is None or not request.tag:
            raise CommandError(
                PROTECTED, f"{row.header} needs a session: tag, counter, MAC and CRC"
            )
        if not row.may(session.role):
            raise CommandError(PROTECTED, f"the role {ROLES[session.role]} may not {row.header}")
    elif row.kind == OPEN and row.header.startswith("KEY:") and not request.tag:
        raise CommandError(PROTECTED, f"{row.header} needs a tag and a CRC")
