"""Count what moved: pulses on the STEP line, checked against the encoder where there is one.

``moved`` follows the pulses less what the encoder shows to be lost. The encoder resolves 0.8
microstep and jitters by one count, so single counts tell nothing; a difference of 3 steps that
two looks in a row agree on is a loss (F03).
"""

from ..base.compat import TYPE_CHECKING, const

if TYPE_CHECKING:
    from ..base.ports import Motion, StepCounter

LOST_STEPS = const(3)
# Steps that must follow their pulses before a stall counts as over.
RECOVERED_STEPS = const(16)


class MotionWitness:
    """Owner of the counter and the encoder.

    ``look`` tells how many forward steps moved since the last look, ``stalled`` and
    ``lost_steps`` what was lost. ``dead``: the encoder gives no reading.
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
        # Of the steps of the last look: moved before it, and taken for lost until then.
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
                    # Below the threshold and part of this stall: else noise makes it another one.
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
            # Else an encoder that stuck moves again, and shows that less was lost than it seemed.
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
