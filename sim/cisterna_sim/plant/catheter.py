"""The catheter as plug flow: what goes in comes out in order, unmixed, one volume later."""

from collections import deque


class Catheter:
    """A queue of plugs of fluid, each of one concentration, of constant total volume.

    Concentrations are in ng/nL; 1 ug/mL is 0.001 ng/nL.
    """

    __slots__ = ("_plugs", "volume_nl")

    def __init__(self, volume_nl: float, concentration_ng_per_nl: float) -> None:
        self.volume_nl = volume_nl
        self._plugs = deque([(volume_nl, concentration_ng_per_nl)])

    @property
    def content_ng(self) -> float:
        """Drug inside."""
        return sum(volume * concentration for volume, concentration in self._plugs)

    def push(self, volume_nl: float, concentration_ng_per_nl: float) -> float:
        """Push fluid in at the pump's end; return the drug in ng that leaves at the tip."""
        plugs = self._plugs
        last_nl, last = plugs[-1]
        if last == concentration_ng_per_nl:
            if len(plugs) == 1:
                return volume_nl * last
            plugs[-1] = (last_nl + volume_nl, last)
        else:
            plugs.append((volume_nl, concentration_ng_per_nl))
        out_ng = 0.0
        while True:
            first_nl, first = plugs[0]
            if len(plugs) == 1:
                # Nothing but this plug is left; its volume is the catheter's, rounding and all.
                plugs[0] = (self.volume_nl, first)
                return out_ng + volume_nl * first
            if first_nl > volume_nl:
                plugs[0] = (first_nl - volume_nl, first)
                return out_ng + volume_nl * first
            plugs.popleft()
            out_ng += first_nl * first
            volume_nl -= first_nl
