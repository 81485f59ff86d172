"""A simulated pump in the same process, as a transport: ``Pump.open("sim")`` talks to one."""

import shutil
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pumpctl import sim_rigs
from pumpctl.errors import LinkLost
from pumpctl.keys import KeyRing

SERIAL = "SIM0001"
# How finely it is known when the pump said something.
_SLICE_US = 10_000
_NAP_S = 0.01


class SimulatedPump:
    """A pump that delivers, at the end of a cable, and a hand at its button.

    All times are the pump's. Without ``speed`` they pass only when the client waits, which takes
    no longer than to compute it, and in ``run`` and ``press``. With it they pass so many times as
    fast as the host's, and what the host cannot keep up with is made up for later. ``rig`` is the
    simulated rig itself; ``keys`` what its keys are kept in, a temporary file if none was given.
    """

    port = "sim"

    def __init__(
        self, keys: KeyRing | Path | str | None = None, speed: float | None = None
    ) -> None:
        if keys is None:
            folder = tempfile.mkdtemp()
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            keys = Path(folder) / "keys.toml"
        self.keys = keys if isinstance(keys, KeyRing) else KeyRing(keys)
        self.rig, _ = sim_rigs.delivering(sim_rigs.plan(), SERIAL)
        sim_rigs.provision(self.rig, self.keys)
        self._speed = speed
        self._interrupted = False
        self._pace()

    def press(self, seconds: float = 0.6) -> None:
        """Press the button for so long, and let the pump see that it is let go."""
        with self._alive():
            self.rig.press_and_release(seconds)
            self._pace()

    def run(self, seconds: float) -> None:
        """Let so much time pass at once."""
        with self._alive():
            self.rig.run_for(seconds)
            self._pace()

    # A transport.

    def reopen(self) -> None:
        """Plug the cable in again."""

    def close(self) -> None:
        """Pull the cable. What the pump says meanwhile is lost; its keys last as long as this."""
        self.rig.link.take()

    def write(self, data: bytes) -> None:
        """Type something."""
        with self._alive():
            self._catch_up()
            self.rig.send(data)

    def read(self, timeout_s: float) -> bytes:
        """What the pump has said; its time passes while it says nothing."""
        end_us = self.rig.now_us + round(timeout_s * 1e6)
        with self._alive():
            self._catch_up()
            while not (said := self.rig.link.take()) and self.rig.now_us < end_us:
                self._wait_until(min(end_us, self.rig.now_us + _SLICE_US))
        return said

    def now_s(self) -> float:
        """The pump's time, from the beginning of the simulation."""
        return self.rig.now_us / 1e6

    def sleep(self, seconds: float) -> None:
        """Let so much of the pump's time pass."""
        with self._alive():
            self._wait_until(self.rig.now_us + round(seconds * 1e6))

    def _pace(self) -> None:
        """Count the host's time from now on."""
        self._began_s, self._began_us = time.monotonic(), self.rig.now_us

    def _catch_up(self) -> None:
        """Let what the host's clock says has passed pass, if it counts."""
        if self._speed is not None:
            passed_us = (time.monotonic() - self._began_s) * self._speed * 1e6
            self.rig.run_until(max(self.rig.now_us, self._began_us + round(passed_us)))

    def _wait_until(self, end_us: int) -> None:
        if self._speed is None:
            self.rig.run_until(end_us)
            return
        while self.rig.now_us < end_us:
            time.sleep(min(_NAP_S, (end_us - self.rig.now_us) / 1e6 / self._speed))
            self._catch_up()

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """Whatever breaks in, as a Ctrl-C does, leaves the simulation in the middle of a step."""
        if self._interrupted:
            raise LinkLost(f"{self.port}: the simulation was interrupted; open a new one")
        self._interrupted = True
        yield
        self._interrupted = False
