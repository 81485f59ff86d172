"""The fakes' time, in us: it goes on by a little with every look at it, and runs what is due.

What it runs stands for a soft timer: it comes between two bytecodes of whatever looks at the time.
"""

WRAP = 1 << 30


class Clock:
    """``us`` is the time since the start; the board's own count starts just before a wrap."""

    def __init__(self):
        self.us = 0
        self.look_us = 2
        self.calls = []
        self._due = []

    def ticks_us(self):
        """Stands for time.ticks_us."""
        self.advance(self.look_us)
        return (self.us + WRAP - 500) % WRAP

    def at(self, us, act):
        """Let ``act`` happen at ``us``."""
        self._due.append((us, act))

    def advance(self, us):
        """Let time pass."""
        end_us = self.us + us
        while self._due:
            self._due.sort(key=lambda due: due[0])
            if self._due[0][0] > end_us:
                break
            at_us, act = self._due.pop(0)
            self.us = max(self.us, at_us)
            act()
        self.us = max(self.us, end_us)

    def note(self, *call):
        """Keep account of a call of the hardware."""
        self.calls.append(call)

    def taken(self):
        """The calls since the last time this was asked."""
        calls, self.calls = self.calls, []
        return calls


clock = Clock()
