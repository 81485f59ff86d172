"""Checks of what both boards share; ``shared_calls.py <paths, by colons> <check>``."""

import sys

sys.path[:0] = sys.argv[1].split(":")

from hal.annunciator import MAX_WAIT_MS, Annunciator  # noqa: E402
from hal.as5600 import AS5600, MAGNET_FOUND, MAGNET_TOO_WEAK  # noqa: E402
from hal.console import Console  # noqa: E402

WRAP = 1 << 30


def same(found, wanted):
    if found != wanted:
        raise AssertionError(f"found {found}, not {wanted}")


class Magnet:
    """The chip on the bus; ANGLE holds nonsense, so that nobody reads it."""

    def __init__(self):
        self.angle = 0
        self.status = MAGNET_FOUND
        self.answers = True

    def readfrom_mem_into(self, address, register, into):
        if address != 0x36 or not self.answers:
            raise OSError(19)
        angle = self.angle % 4_096
        registers = {0x0B: self.status, 0x0C: 0xF0 | angle >> 8, 0x0D: angle & 255, 0x0E: 7}
        for place in range(len(into)):
            into[place] = registers[register + place]


def encoder_turns():
    """Over the wrap, both ways, for many turns: the screw's own position."""
    for reverse, sign in ((False, 1), (True, -1)):
        magnet = Magnet()
        magnet.angle = 4_000
        encoder = AS5600(magnet, 3_200, reverse)
        same(encoder.position(), 0)
        counts = 0
        for stride, times in ((1, 5_000), (-1, 9_000), (2_047, 90), (-2_048, 90), (700, 800)):
            for _ in range(times):
                counts += stride
                magnet.angle += stride
                same(encoder.position(), (sign * counts * 3_200 + 2_048) // 4_096)


def encoder_dead():
    magnet = Magnet()
    encoder = AS5600(magnet, 3_200)
    same(encoder.position(), 0)
    magnet.answers = False
    same((encoder.position(), encoder.status), (None, 0))
    magnet.answers = True
    magnet.angle = 1_024
    same(encoder.position(), 800)
    magnet.status = MAGNET_TOO_WEAK
    same((encoder.position(), encoder.status), (None, MAGNET_TOO_WEAK))
    magnet.status = MAGNET_FOUND | MAGNET_TOO_WEAK
    same((encoder.position(), encoder.status), (800, MAGNET_FOUND | MAGNET_TOO_WEAK))


class Played:
    """What sounds and shines, as (time in ms, on), from an annunciator that is stepped when due.

    ``late_ms``: how late each step comes.
    """

    def __init__(self, late_ms=0):
        self.now_ms = WRAP - 3_000
        self.late_ms = late_ms
        self.tone = []
        self.lamps = ([], [], [])
        self.steps = 0
        hear = [self._to(heard) for heard in (self.tone,) + self.lamps]  # noqa: RUF005
        self.annunciator = Annunciator(hear[0], tuple(hear[1:]))

    def _to(self, heard):
        def put(on):
            if not heard and not on:
                return
            if not heard or heard[-1][1] != on:
                heard.append((self.now_ms, on))

        return put

    def run(self, ms):
        end_ms = self.now_ms + ms
        while self.now_ms < end_ms:
            wait_ms = self.annunciator.step(self.now_ms % WRAP)
            assert 0 < wait_ms <= MAX_WAIT_MS or self.late_ms or wait_ms > 0, wait_ms
            self.now_ms += min(wait_ms, MAX_WAIT_MS) + self.late_ms
            self.steps += 1

    def lengths(self, heard):
        """Times between the changes: on, off, on, .."""
        return [heard[place][0] - heard[place - 1][0] for place in range(1, len(heard))]


def bursts(lengths, pulses):
    """Lengths of pulses, of gaps within bursts, and between bursts (from end to start)."""
    per_burst = 2 * pulses
    on = lengths[0::2]
    off = lengths[1::2]
    between = off[pulses - 1 :: pulses]
    within = [gap for place, gap in enumerate(off) if place % pulses != pulses - 1]
    assert len(lengths) > 3 * per_burst, len(lengths)
    return on, within, between


def high():
    for late_ms in (0, 20):
        played = Played(late_ms)
        played.annunciator.show(3, True)
        played.run(40_000)
        on, within, between = bursts(played.lengths(played.tone), 10)
        assert all(75 <= ms <= 200 for ms in on), on
        for place in range(9):
            gaps = within[place::9]
            if place == 4:
                assert all(350 <= ms <= 1_300 for ms in gaps), gaps
            elif place in (2, 7):  # 3 + 2: longer than the others
                assert all(ms >= 200 for ms in gaps), gaps
            else:
                assert all(50 <= ms <= 125 for ms in gaps), gaps
        assert all(2_500 <= ms <= 15_000 for ms in between), between
        starts = [at for at, on in played.tone if on][::10]
        for place in range(1, len(starts)):
            assert 2_500 <= starts[place] - starts[place - 1] <= 15_000
        flash(played, 2, 1_400, 2_800)


def flash(played, lamp, low_mhz, high_mhz):
    """The lamp flashes at a frequency in mHz, the others are dark."""
    lengths = played.lengths(played.lamps[lamp])
    assert len(lengths) > 10
    for place in range(0, len(lengths) - 1, 2):
        period_ms = lengths[place] + lengths[place + 1]
        assert low_mhz <= 1_000_000 // period_ms <= high_mhz, period_ms
        assert 20 <= 100 * lengths[place] // period_ms <= 60
    for other in (0, 1, 2):
        assert other == lamp or not played.lamps[other]


def medium():
    played = Played()
    played.annunciator.show(2, True)
    played.run(60_000)
    on, within, between = bursts(played.lengths(played.tone), 3)
    assert all(125 <= ms <= 250 for ms in on)
    assert all(125 <= ms <= 250 for ms in within)
    assert all(2_500 <= ms <= 30_000 for ms in between)
    flash(played, 1, 400, 800)


def low():
    played = Played()
    played.annunciator.show(1, True)
    played.run(120_000)
    on, _, between = bursts(played.lengths(played.tone), 2)
    assert all(125 <= ms <= 250 for ms in on)
    assert all(ms > 15_000 for ms in between)
    same(len(played.lamps[0]), 1)
    same(played.lamps[1:], ([], []))


def changes():
    """Silence, another priority and the end are taken up at the next step, which is soon."""
    played = Played()
    steps = played.steps
    played.run(10_000)
    assert played.steps - steps <= 40
    played.annunciator.show(3, True)
    played.run(400)
    played.annunciator.show(3, True)  # goes on where it was
    played.run(100)
    same(played.lengths(played.tone)[:2], [150, 100])
    at_ms = played.now_ms
    played.annunciator.show(3, False)
    played.run(30_000)
    assert played.tone[-1][0] <= at_ms
    same(played.tone[-1][1], 0)
    assert len(played.lamps[2]) > 100
    at_ms = played.now_ms
    played.annunciator.show(1, True)
    played.run(100)
    same((played.lamps[2][-1][1], played.lamps[0][-1]), (0, (at_ms, 1)))
    same(played.tone[-1], (at_ms, 1))
    at_ms = played.now_ms
    played.annunciator.show(0, True)
    played.run(1_000)
    same((played.tone[-1], played.lamps[0][-1]), ((at_ms, 0), (at_ms, 0)))
    played.annunciator.show(3, True)
    played.run(100)
    played.annunciator.close()
    same((played.tone[-1][1], played.lamps[2][-1][1]), (0, 0))


class Host:
    """The other end of a console: takes ``room`` bytes, and would block for ever beyond them."""

    def __init__(self, room):
        self.room = room
        self.got = bytearray()
        self.sent = bytearray()
        self.console = Console(
            self,
            self,
            lambda: len(self.sent) > 0,
            lambda wait_ms: [self] if self.room > 0 else [],
            ring_bytes=64,
        )

    def write(self, data):
        assert len(data) == 1 <= self.room, "would block"
        self.room -= 1
        self.got += data
        return 1

    def readinto(self, into):
        assert len(into) == 1 <= len(self.sent), "would block"
        into[0] = self.sent[0]
        self.sent = self.sent[1:]
        return 1


def never_reads():
    """A host that never reads: nothing blocks, whole lines are dropped and counted."""
    host = Host(room=5)
    console = host.console
    for number in range(100):
        console.write(b"line %02d\n" % number)
        console.flush()
    same(bytes(host.got), b"line ")
    same((console.held, console.dropped), (59, 92))
    # It reads at last: whole lines, in order, and then what is said from now on.
    host.room = 1_000
    while console.flush():
        pass
    assert console.write(b"after\n")
    console.flush()
    wanted = b"".join([b"line %02d\n" % number for number in range(8)])
    same(bytes(host.got), wanted + b"after\n")
    same(console.dropped, 92)


def ring_wraps():
    """Whatever fits comes out whole and in order, round and round the ring."""
    host = Host(room=0)
    console = host.console
    wanted = b""
    for number in range(500):
        line = bytes([65 + number % 26]) * (1 + number % 64)
        if console.write(line):
            wanted += line
        host.room = number % 17
        console.flush(limit=13)
    host.room = 1_000
    console.flush(limit=1_000)
    same(bytes(host.got), wanted)
    assert 0 < console.dropped < 500
    assert not console.write(b"x" * 65)
    assert console.write(b"x" * 64)
    host.room = 1_000
    same(console.flush(limit=10), 54)


def reads():
    host = Host(room=0)
    same(host.console.read(), -1)
    host.sent += b"*\x00\xff"
    same([host.console.read() for _ in range(4)], [42, 0, 255, -1])


check = sys.argv[2]
globals()[check]()
print("passed", check)
