"""What a pump sends by itself: a sample each period, and events as they happen."""

from collections.abc import Generator
from contextlib import suppress
from typing import Protocol

from pumpctl.errors import LinkError, NoAnswer, PumpError
from pumpctl.framing import Garbled, parse_telemetry
from pumpctl.link import Link
from pumpctl.models import LogEvent, Sample
from pumpctl.replies import parse

# How many periods may go by without a line before something is wrong, and at least so long.
_PERIODS = 3
_LEAST_S = 2.0


class Source(Protocol):
    """What a stream needs of a client: a Pump has it."""

    @property
    def link(self) -> Link:
        """Where the lines come from."""

    def query(self, header: str, *args: object) -> str:
        """A read command; its reply."""

    def command(self, header: str, *args: object) -> str:
        """A command that needs a session; its reply."""

    def proves_telemetry(self, text: str, mac: str) -> bool:
        """True if the MAC of a telemetry line is the session's."""


class Stream:
    """Turns telemetry on while it is iterated, and off afterwards.

    ``lost`` counts lines that went missing on the way or that the pump had no room for; ``bad``
    those that were damaged or, if ``signed``, not proved to be the pump's. The pump may be asked
    anything in between.
    """

    def __init__(self, source: Source, period_ms: int, signed: bool) -> None:
        self.lost = 0
        self.bad = 0
        self._source = source
        self._period_ms = period_ms
        self._signed = signed
        self._seq: int | None = None

    def __iter__(self) -> Generator[Sample | LogEvent, None, None]:
        """Samples and events as they come; NoAnswer if they stop, LinkLost if the link is cut."""
        link = self._source.link
        now_s = link.transport.now_s
        boots = self._begin()
        patience_s = max(_LEAST_S, _PERIODS * self._period_ms / 1000)
        end_s = now_s() + patience_s
        try:
            while True:
                line = link.telemetry(max(0.0, min(_LEAST_S, end_s - now_s())))
                if link.boots > boots:
                    boots = self._begin()
                    end_s = now_s() + patience_s
                item = None if line is None else self._read(line)
                if item is not None:
                    end_s = now_s() + patience_s
                    yield item
                elif now_s() >= end_s:
                    raise NoAnswer(
                        f"{link.port}: telemetry has stopped, nothing for {patience_s:g} s; is "
                        "another program talking to the pump?"
                    )
        finally:
            with suppress(LinkError):
                self._source.query("TEL:PER", 0)

    def _begin(self) -> int:
        """Turn it on; how often the pump has restarted so far."""
        self._seq = None
        if self._signed:
            self._source.command("TEL:MAC", 1)
        self._source.query("TEL:PER", self._period_ms)
        return self._source.link.boots

    def _read(self, line: bytes) -> Sample | LogEvent | None:
        try:
            text, mac = parse_telemetry(line)
            item: Sample | LogEvent
            item = parse(LogEvent, text) if '"event":' in text else parse(Sample, text)
        except (Garbled, PumpError):
            self.bad += 1
            return None
        if self._signed and not self._source.proves_telemetry(text, mac):
            self.bad += 1
            return None
        if self._seq is not None:
            self.lost += max(0, item.seq - self._seq - 1)
        self._seq = item.seq
        return item
