"""``python -m host_tests.kit.fuzz``: a storm of lines on a delivering pump, as many as one likes.

Noise, frames with something changed, replays, frames of roles without the right, wrong MACs, and
questions come down the line of a pump with two sessions open and a program staged and pressed for,
so that one good frame would set it. After each batch nothing may have changed, and a twin without
the storm must have made the same steps.
"""

import gc
import random
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable

import click

from cisterna.telemetry.commands import all_rows
from cisterna.telemetry.rows import READ
from host_tests.kit.desk import Desk, Session, example, framed
from host_tests.kit.roles import MAY

BATCH = 1_000
SECONDS = 20
# Beyond the counters of the questions that go along.
AHEAD = 10**12
_READS = [row.header for row in all_rows() if row.kind == READ]
_OPEN = ["*CLS", "TEL:PER", "AUTH:HELL", "AUTH:PROV", "KEY:PROV", "KEY:WIPE"]
_SLIPS = [("clinician", "king"), ("0", "z"), ("0", ","), ("0", "")]
_ERROR = re.compile(rb"^(?:#\w+ )?ERR (-\d+)", re.MULTILINE)
# What the storm may do: questions count up, anybody may ask for telemetry lines.
_MAY_MOVE = ("counter", "sessions", "reports")


class Troubled(AssertionError):
    """The storm has changed something, or moved a step."""


class Watched:
    """A delivering pump with a clinician's and a service's session."""

    def __init__(self) -> None:
        self.desk = Desk(dose_ug_per_day=900, limits={"max_daily_dose_ng": 1_000_000})
        self.clinician = self.desk.open("clinician")
        self.service = self.desk.open("service")
        for session, text in (
            (self.clinician, "DEL:SUSP"),
            (self.service, "DEL:RES"),
            (self.clinician, "BOL:PAT"),
            (self.service, "ALAR:PAUS 1"),
        ):
            assert session.ask(text) == "OK"
        self.desk.run(900)
        self.clinician, self.service = self.desk.open("clinician"), self.desk.open("service")
        for session in (self.clinician, self.service):
            assert session.ask("ALAR:ACK ALL") == "OK"

    def ready(self) -> str:
        """Stage a program and press the button; the COMMIT that is all it waits for."""
        change = self.clinician.stage(example("PROG:STAG"))
        self.desk.press()
        assert not change["confirm"]
        return f"PROG:COMM {change['id']},{change['echo']}"


class Storm:
    """Lines for a pump, and the watch over it; ``seed`` makes the same storm again."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.pump, self.twin = Watched(), Watched()
        self.desk = self.pump.desk
        sessions = (self.pump.clinician, self.pump.service)
        self.sent = [line.encode() for line in self.desk.sent if " @" in line]
        # Good frames of all that these sessions may do: only ever sent with something changed.
        self.good = [
            session.frame(example(header), AHEAD).encode()
            for header, roles in MAY.items()
            for session in sessions
            if session.role[0] in roles and not header.endswith("COMM")
        ]
        # Good frames of those who may not: sent as they are.
        self.forbidden = [
            session.frame(example(header), AHEAD).encode()
            for header, roles in MAY.items()
            for session in sessions
            if session.role[0] not in roles
        ]
        self.kinds: list[Callable[[], bytes]] = [
            self.noise, self.text, self.mutant, self.mutant, self.mutant, self.reframed,
            self.reframed, self.replay, self.unsigned, self.wrong_mac, self.without_right,
            self.question, self.signed_question, self.opening,
        ]  # fmt: skip
        self.errors: Counter[int] = Counter()
        self.steps = 0
        self.bytes = 0
        self._intact = {*self.good}

    @property
    def lines(self) -> int:
        """Lines that the pump has taken."""
        return int(self.desk.telemetry.lines)

    # -- one line each, without its end ---------------------------------------------------------

    def noise(self) -> bytes:
        """Any bytes, now and then more than a line holds."""
        if self.random.random() < 0.02:
            return b"~" * self.random.randrange(3_000, 4_000)
        return self.random.randbytes(self.random.randrange(1, 80))

    def text(self) -> bytes:
        """Characters that lines are made of."""
        return bytes(self.random.choices(b'#*@:?,. \r0123459AZaz~"', k=self.random.randrange(40)))

    def mutant(self) -> bytes:
        """A frame with something changed."""
        line = bytearray(self.random.choice(self.random.choice((self.good, self.sent))))
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            self._change(line)
        return bytes(line)

    def reframed(self) -> bytes:
        """The same, with the CRC that then is right."""
        return framed(self.mutant()[:-10].decode("latin-1")).encode("latin-1")

    def _change(self, line: bytearray) -> None:
        pick = self.random.randrange
        place, other = pick(len(line) + 1), pick(len(line) + 1)
        low, high = min(place, other), max(place, other)
        match pick(8):
            case 0 | 1 if place < len(line):
                line[place] ^= 1 << pick(8)
            case 2 if place < len(line):
                line[place] = pick(0x20, 0x7F)
            case 3:
                line.insert(place, pick(0x20, 0x7F))
            case 4:
                del line[place:]
            case 5:
                del line[low : min(high, low + 8)]
            case 6 if high < len(line):
                line[low], line[high] = line[high], line[low]
            case _:
                line[low:high] = self.random.choice(self.good)[low:high]

    def replay(self) -> bytes:
        """A line that was taken once."""
        return self.random.choice(self.sent)

    def unsigned(self) -> bytes:
        """A change without a session."""
        text = example(self.random.choice(list(MAY)))
        return (framed(f"#f1 {text}") if self.random.random() < 0.5 else text).encode()

    def wrong_mac(self) -> bytes:
        """A change in an open session, signed by somebody else."""
        session = self.random.choice((self.pump.clinician, self.pump.service))
        stranger = Session(self.desk, session.role, session.name, self.random.randbytes(32))
        return stranger.frame(example(self.random.choice(list(MAY))), AHEAD).encode()

    def without_right(self) -> bytes:
        """A change whose role may not make it."""
        return self.random.choice(self.forbidden)

    def asked(self) -> str:
        """A question, often with arguments that are wrong, or otherwise changed."""
        text = bytearray(example(self.random.choice(_READS)).encode())
        if self.random.random() < 0.3:
            text += b" %d,%d" % (self.random.randrange(-5, 5000), self.random.randrange(-5, 20))
        if self.random.random() < 0.3:
            self._change(text)
        return text.decode("latin-1")

    def question(self) -> bytes:
        """A question, typed or framed."""
        text = self.asked()
        return (framed(f"#q {text}") if self.random.random() < 0.5 else text).encode("latin-1")

    def signed_question(self) -> bytes:
        """A question in a session: renews it and counts up."""
        session = self.random.choice((self.pump.clinician, self.pump.service))
        return session.frame(self.asked()).encode("latin-1")

    def opening(self) -> bytes:
        """What is open to anybody."""
        text = example(self.random.choice(_OPEN))
        if text.startswith("TEL:PER"):
            text = f"TEL:PER {self.random.choice((0, 50, 100, 1_000, 60_000))}"
        if self.random.random() < 0.3:
            text = text.replace(*self.random.choice(_SLIPS))
        return (framed(f"#o {text}") if self.random.random() < 0.5 else text).encode()

    # -- the storm ------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send bytes as a line, unless a line of them is one that is never sent."""
        if any(line.removesuffix(b"\r") in self._intact for line in data.split(b"\n")):
            return
        self.bytes += len(data) + 1
        self.desk.rig.send(data + b"\n")

    def batch(self, lines: int = BATCH) -> None:
        """A batch of lines; then look at the pump, and let time pass."""
        commit = self.pump.ready()
        self.twin.ready()
        self.good.append(self.pump.clinician.frame(commit, AHEAD).encode())
        self._intact.add(self.good[-1])
        for watched in (self.pump, self.twin):
            watched.desk.order("acknowledge", 0)  # a tick, so that no pulse waits to be counted
        self.desk.rig.link.take()
        before = self.facts()
        for _ in range(lines):
            self.send(self.random.choice(self.kinds)())
        self.errors.update(int(number) for number in _ERROR.findall(self.desk.rig.link.take()))
        after = self.facts()
        if after != before:
            moved = [name for name in before if before[name] != after[name]]
            raise Troubled([(name, before[name], after[name]) for name in moved])
        self._intact.discard(self.good.pop())
        for watched in (self.pump, self.twin):
            watched.service.ask("STAT?")
            watched.desk.run(SECONDS)
            watched.desk.sent.clear()
        ours, theirs = self.desk, self.twin.desk
        if (ours.emitted, ours.mode) != (theirs.emitted, theirs.mode):
            raise Troubled((ours.emitted, ours.mode), (theirs.emitted, theirs.mode))
        self.steps = ours.emitted

    def facts(self) -> dict[str, object]:
        """All that a storm must leave as it is."""
        facts = self.desk.facts()
        names = [session.name for session in self.desk.telemetry.sessions.open]
        for name in _MAY_MOVE:
            del facts[name]
        return {**facts, "names": names, "changed": self.desk.telemetry.sessions.counter.changed}


def blocks() -> int:
    """Blocks of memory in use, after all that is unused was given back."""
    gc.collect()
    return sys.getallocatedblocks()


def peak_kib() -> int:
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--lines", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def main(lines: int, seed: int) -> None:
    """Send so many lines of noise and damaged frames to a delivering pump."""
    storm = Storm(seed)
    for _ in range(20):  # until caches and the queue of errors are full
        storm.batch()
    before, peak, warm = blocks(), peak_kib(), storm.lines
    begun_s = time.monotonic()
    while storm.lines < lines:
        try:
            storm.batch()
        except BaseException:
            click.echo(f"seed {seed}, before line {storm.lines}:", err=True)
            raise
    seconds = time.monotonic() - begun_s
    refused = ", ".join(f"{number}: {count}" for number, count in sorted(storm.errors.items()))
    click.echo(f"{storm.lines} lines, {storm.bytes} bytes, seed {seed}")
    click.echo(f"{(storm.lines - warm) / seconds:.0f} lines/s over {seconds:.0f} s")
    click.echo(f"refused {sum(storm.errors.values())}: {refused}")
    click.echo(f"{storm.steps} steps, all as without the storm; nothing changed")
    click.echo(f"memory: {before} blocks before, {blocks()} after;"
               f" peak {peak} KiB before, {peak_kib()} KiB after")  # fmt: skip


if __name__ == "__main__":
    main()
