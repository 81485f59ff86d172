"""Ends what would go on for good: after so many seconds, or on a signal."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


class _Ended(BaseException):
    """The block is to end; no Exception, so that nothing on the way takes it for a fault."""


@contextmanager
def until(seconds: float | None, *signals: signal.Signals) -> Iterator[None]:
    """Leave the block, wherever it is, after so many seconds or on one of the signals."""

    def end(number: int, frame: FrameType | None) -> None:
        raise _Ended

    former = {number: signal.signal(number, end) for number in (signal.SIGALRM, *signals)}
    try:
        with suppress(_Ended):
            if seconds is not None:
                signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in former.items():
            signal.signal(number, handler)
