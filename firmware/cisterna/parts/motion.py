"""Count the steps that moved: pulses on the STEP line, less those that the encoder shows lost.

Without an encoder every pulse counts as a step. The encoder resolves 0.8 microstep and jitters by
one count, so a difference of a count or two means nothing; a difference of 3 steps or more at two
looks in a row is booked as lost (F03).
"""

from ..base.compat import TYPE_CHECKING, const

if TYPE_CHECKING:
    from ..base.ports import Motion, StepCounter

LOST_STEPS = const(3)
# Steps that must follow their pulses before a stall counts as over.
RECOVERED_STEPS = const(16)


class MotionWitness:
    """Steps of one motor, by the pulse counter and, where there is one, the encoder.

    ``stalled`` is true while the screw does not follow the pulses, ``runaway`` once it has moved
    3 steps more than were pulsed, ``dead`` while the encoder gives no reading. ``lost_steps``
    sums the steps lost.
    """

    def __init__(self, counter: "StepCounter", encoder: "Motion | None") -> None:
        self._counter = counter
        self._encoder = encoder
        self._pulses_seen = counter.count()
        self._pulses = 0  # forward pulses since the origin
        self._moved = 0
        self._slip = 0
        self._suspect = False
        self._followed = 0
        self._origin: "int | None" = None
        self.stalled = False
        self.runaway = False
        self.dead = False
        self.lost_steps = 0
        # Steps of the last look that had moved before it, and were booked as lost until then.
        self.recovered = 0
        self.pulses = 0  # all pulses since power-on, either way
        self._find_origin()

    def _find_origin(self) -> None:
        if self._encoder is not None:
            position = self._encoder.position()
            self.dead = position is None
            self._origin = position
            self._pulses = self._moved = self._slip = 0
            self._suspect = False

    def look(self) -> int:
        """Forward steps that moved since the last look."""
        count = self._counter.count()
        new = count - self._pulses_seen
        self._pulses_seen = count
        self.recovered = 0
        self.pulses += new
        self._pulses += new
        encoder = self._encoder
        if encoder is None:
            return new
        position = encoder.position()
        if position is None or self._origin is None:
            self.dead = position is None
            self._origin = None
            if position is not None:
                self._find_origin()
            return new
        self.dead = False
        slip = self._pulses - (position - self._origin) - self._slip
        if -LOST_STEPS < slip < LOST_STEPS:
            self._suspect = False
            if self.stalled:
                self._followed += new
                if self._followed >= RECOVERED_STEPS:
                    self.stalled = False
                    # Part of the stall that ends; left out, a little noise would make another.
                    self._book(slip)
        elif not self._suspect:
            self._suspect = True
        else:
            self._suspect = False
            self._book(slip)
            if slip > 0:
                self.stalled = True
                self._followed = 0
            elif self._slip <= -LOST_STEPS:
                self.runaway = True
            # Else a stuck encoder moves again, and fewer steps were lost than were booked.
        moved = self._pulses - self._slip
        if moved <= self._moved:
            return 0
        gained = moved - self._moved
        self._moved = moved
        self.recovered = max(0, gained - new)
        return gained

    def _book(self, slip: int) -> None:
        self._slip += slip
        self.lost_steps += slip

    def look_back(self) -> int:
        """Reverse steps pulsed since the last look; the encoder's origin starts anew after."""
        count = self._counter.count()
        new = count - self._pulses_seen
        self._pulses_seen = count
        self.pulses += new
        self._find_origin()
        return new
