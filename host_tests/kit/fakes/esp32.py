"""What the ESP32 files use of ``esp32``: an RMT that plays, and a PCNT that counts what it hears.

The RMT is that of MicroPython 1.25: nothing stops a sequence, 64 symbols a channel, one driver a
channel; a write while it plays would wait for ever, which is an error here.
"""

from fake_clock import clock


class Line:
    """What the driver's STEP input sees: times of rising edges and of pulses that were cut off."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.edges = []
        self.runts = []


line = Line()
installed = set()  # channels that have a driver


class RMT:
    # From the call of write_pulses to the first edge, and to its return.
    start_us = 25
    return_us = 40

    def __init__(self, channel, *, pin, clock_div, idle_level):
        assert channel not in installed, "the driver is installed already"
        assert not idle_level
        clock.note("rmt", channel, pin.number, clock_div)
        installed.add(channel)
        self.channel = channel
        self.tick_us = clock_div // 80
        self.pin = pin
        self.ends_us = 0
        self.high = False
        self.run = 0
        pin.owner = self

    def write_pulses(self, durations, data):
        assert self.wait_done(timeout=0), "would wait until the sequence has been played"
        assert len(durations) == len(data) > 0
        assert len(durations) <= 126, "does not fit into the channel's memory"
        assert all(type(d) is int and 1 <= d <= 32_767 for d in durations)
        assert all(type(level) is bool for level in data)
        assert not data[-1], "ends high"
        clock.note("write", tuple(durations), tuple([int(level) for level in data]))
        at_us = clock.us + RMT.start_us
        was = False
        for place, level in enumerate(data):
            if level != was:
                clock.at(at_us, lambda level=level: self.drive(level))
            was = level
            at_us += durations[place] * self.tick_us
        self.ends_us = at_us
        clock.advance(RMT.return_us)

    def drive(self, level):
        self.high = level
        if self.pin.owner is self and level:
            line.edges.append(clock.us)

    def pin_taken(self):
        if self.high:
            line.runts.append(clock.us)

    def wait_done(self, *, timeout=0):
        assert timeout == 0, "would wait"
        return clock.us >= self.ends_us

    def deinit(self):
        assert clock.us >= self.ends_us, "still plays, on whatever pin it is given"
        clock.note("deinit")
        installed.discard(self.channel)


class PCNT:
    INCREMENT = 1

    def __init__(self, unit, *, pin, rising, min, max):
        clock.note("pcnt", unit, pin.number, rising, min, max)
        self.limit = max
        self.origin = None

    def start(self):
        self.origin = len(line.edges)

    def value(self):
        return (len(line.edges) - self.origin) % self.limit
