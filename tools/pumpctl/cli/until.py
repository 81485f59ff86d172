"""Ends what would go on for good: after so many seconds, or on a signal."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


class _Ended(BaseException):
    """The block is to end; no Exception, so that nothing on the way takes it for a fault."""


@contextmanager
def until(seconds: float | None, *signals: signal.Signals) -> Iterator[None]:
    """Leave the block, wherever it is, after so many seconds or on one of the signals.

    A signal that is ignored stays so, as with any Unix command: a script's background job is not
    ended by the Ctrl-C that is meant for the foreground.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise _Ended

    heard = [number for number in signals if signal.getsignal(number) != signal.SIG_IGN]
    former = {number: signal.signal(number, end) for number in (signal.SIGALRM, *heard)}
    try:
        with suppress(_Ended):
            if seconds is not None:
                signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in former.items():
            signal.signal(number, handler)
