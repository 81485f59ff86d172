"""Read every sensor four times a second, and ask for a tick when something has changed.

A tick runs when a step is due, which may be minutes away; the sampler notices what happens in
between. What a change means is for the tick to decide. Windows are raw readings, set from outside,
so a look is a handful of integer comparisons.
"""

from ..base.compat import TYPE_CHECKING, const
from ..base.ports import INVALID

if TYPE_CHECKING:
    from ..base.ports import Hal, Sensor
    from ..base.settings import Calibration

PERIOD_US = const(250_000)
# F10: a sensor is called dead after 2 s out of range, stuck after 8 s of the very same reading.
# A working sensor has noise of more than one count of its converter, so it does not repeat that
# often.
DEAD_LOOKS = const(8)
STUCK_LOOKS = const(32)
# Looks in a row outside a window; a spike in a single look is ignored.
OUTSIDE_LOOKS = const(2)
# A button held for 9 s is stuck, so the alarm comes within 10 s wherever the looks fall.
HELD_LOOKS = const(36)
# The pulses counted may differ from those commanded by this many, either way (D12).
EXTRA_PULSES = const(3)


class Channel:
    """One sensor: ``faulty`` if it is dead or stuck, ``outside`` its window ``low..high`` raw.

    Readings outside ``valid_low..valid_high`` cannot come from a sensor that works.
    """

    def __init__(self, sensor: "Sensor", valid_low: int, valid_high: int) -> None:
        self.sensor = sensor
        self.valid_low = valid_low
        self.valid_high = valid_high
        self.low = 0
        self.high = 65_535
        self.raw = INVALID
        self.faulty = False
        self.outside = False
        self._same = 0
        self._bad = 0
        self._out = 0

    def look(self) -> bool:
        """Take a reading; True if ``faulty`` or ``outside`` changed."""
        raw = self.sensor.read()
        self._same = self._same + 1 if raw == self.raw else 0
        self.raw = raw
        self._bad = 0 if self.valid_low <= raw <= self.valid_high else self._bad + 1
        faulty = self._bad >= DEAD_LOOKS or self._same >= STUCK_LOOKS
        if self.faulty and not faulty:
            # It works again once a reading is in range and differs from the one before.
            faulty = self._bad > 0 or self._same > 0
        inside = self.low <= raw <= self.high
        self._out = 0 if inside or self._bad else self._out + 1
        outside = self._out >= OUTSIDE_LOOKS
        changed = faulty != self.faulty or outside != self.outside
        self.faulty, self.outside = faulty, outside
        return changed

    def value(self) -> "int | None":
        """A raw reading taken now; None if the sensor is faulty or out of its valid range."""
        raw = self.sensor.read()
        if self.faulty or not self.valid_low <= raw <= self.valid_high:
            return None
        return raw

    def forget(self) -> None:
        """Start the count of looks outside again, because the window has moved."""
        self.outside = False
        self._out = 0

    def quiet(self, raw_low: int, raw_high: int) -> bool:
        """True if no reading within ``raw_low..raw_high`` could change anything here."""
        if self.faulty or self._bad or raw_low < self.valid_low or raw_high > self.valid_high:
            return False
        if self.outside:
            return raw_low > self.high or raw_high < self.low
        return self._out == 0 and raw_low >= self.low and raw_high <= self.high


class Sampler:
    """All sensors. Call ``look`` every PERIOD_US; a true answer asks for a tick.

    ``attention`` stays set until the tick takes it. ``presses`` counts the button presses that
    the controller has not taken yet, ``looks`` the looks that were completed.
    """

    def __init__(self, hal: "Hal", calibration: "Calibration") -> None:
        supply_max = min(65_534, 6_000 * calibration.supply_raw_per_mv)
        self.pressure = Channel(hal.pressure, 1_000, 64_000)
        self.level = Channel(hal.level, 1_000, 64_000) if hal.level is not None else None
        self.supply = Channel(hal.supply, 1_000, supply_max)
        self._channels = [self.pressure, self.supply]
        if self.level is not None:
            self._channels.append(self.level)
        self._encoder = hal.encoder
        self._button = hal.button
        self._stepper = hal.stepper
        self._counter = hal.counter
        self._origin = self._counter.count() - self._stepper.emitted()
        self._blind = 0
        self._held = 0
        self.attention = False
        self.looks = 0
        self.encoder_dead = False
        self.presses = 0
        self.stuck_button = False
        self.mismatch = False

    def look(self) -> bool:
        """Look at everything once; True if the tick should run now."""
        changed = False
        for channel in self._channels:
            if channel.look():
                changed = True
        if self._look_encoder() or self._look_button():
            changed = True
        extra = self._counter.count() - self._stepper.emitted() - self._origin
        if not -EXTRA_PULSES <= extra <= EXTRA_PULSES and not self.mismatch:
            self.mismatch = changed = True
        self.looks += 1
        # While the line is above its limit every look asks: the tick's own reading may be below.
        if changed or self.pressure.outside:
            self.attention = True
            return True
        return False

    def forget_level(self) -> None:
        """Start the count of level readings outside again: the reservoir was refilled."""
        if self.level is not None:
            self.level.forget()

    def forgive_mismatch(self) -> None:
        """Accept the pulses counted so far as right, and clear the mismatch (service)."""
        self._origin = self._counter.count() - self._stepper.emitted()
        self.mismatch = False

    def _look_encoder(self) -> bool:
        if self._encoder is None:
            return False
        blind = self._encoder.position() is None
        self._blind = self._blind + 1 if blind else 0
        dead = self._blind >= DEAD_LOOKS
        changed = dead != self.encoder_dead
        self.encoder_dead = dead
        return changed

    def _look_button(self) -> bool:
        if self._button.pressed():
            self._held += 1
            if self._held == 1:
                self.presses += 1
                return True
            if self._held == HELD_LOOKS:
                self.stuck_button = True
                return True
            return False
        self._held = 0
        if self.stuck_button:
            self.stuck_button = False
            return True
        return False
