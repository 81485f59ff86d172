"""Telemetry lines: the state at a chosen period, and every logged event at once.

Each line is ``~`` and a JSON object with a sequence number and how many lines were lost so far, so
that a listener knows what it has missed.
"""

from ..base.compat import TYPE_CHECKING, const
from ..events import describe
from .figures import members, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..base.ports import Link
    from ..pump import Pump

MIN_PERIOD_MS = const(100)
# Events of one tick that are kept until they are told; a boot makes a handful.
_KEPT = const(16)


class Stream:
    """The telemetry lines of one pump. ``period_ms`` is 0 while they are off."""

    def __init__(self, pump: "Pump", link: "Link", sign: "Callable[[str], str]") -> None:
        """``sign`` gives what is to follow a line."""
        self._pump = pump
        self._link = link
        self._sign = sign
        self._events: "list[tuple[int, int, int, int, int]]" = []
        self._missed = 0
        self._sequence = 0
        self._due_us = 0
        self.period_ms = 0
        pump.log.on_add = self._hear

    def set_period(self, now_us: int, period_ms: int) -> None:
        """Send the state every ``period_ms``, the first time now; 0 for no lines at all."""
        self.period_ms = period_ms
        self._due_us = now_us
        self._events.clear()

    def _hear(self, now_us: int, sequence: int, event: int, subject: int, value: int) -> None:
        if not self.period_ms:
            return
        if len(self._events) >= _KEPT:
            self._missed += 1
            self._sequence += 1  # a gap, as after a line that did not go
        else:
            self._events.append((now_us, sequence, event, subject, value))

    @property
    def dropped(self) -> int:
        """Lines that were lost since the pump started."""
        return self._link.dropped + self._missed

    @property
    def waiting(self) -> bool:
        """True if events are to be told."""
        return bool(self._events)

    def tell(self) -> None:
        """Send the events that were logged since the last call."""
        while self._events:
            at_us, sequence, event, subject, value = self._events.pop(0)
            name, detail = describe(event, subject, value)
            pairs: "list[tuple[str, object]]" = [("event", name), ("detail", detail)]
            pairs.append(("log", sequence))
            self._send(at_us, members(pairs))

    def poll(self, now_us: int) -> int:
        """Send the state if that is due; returns when it is next, or 0."""
        if not self.period_ms:
            return 0
        if now_us >= self._due_us:
            self._send(now_us, state(self._pump))
            # What a busy pump could not send in time is not made up.
            self._due_us = max(self._due_us + self.period_ms * 1000, now_us + 1)
        return self._due_us

    def _send(self, now_us: int, text: str) -> None:
        head = members(
            [("seq", self._sequence), ("dropped", self.dropped), ("t_ms", now_us // 1000)]
        )
        self._sequence += 1
        line = "~{" + head + "," + text + "}"
        self._link.write((line + self._sign(line) + "\n").encode())
