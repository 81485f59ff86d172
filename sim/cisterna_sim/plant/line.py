"""Pressure and flow between the syringe and the end of the catheter.

An elastic line (compliance C) ends in a check valve; behind it stands a connector, where a leak or
a disconnection sits, and the catheter (resistance R, Poiseuille), which ends in the spinal fluid:

    stored = C * P
    tip    = max(0, P - crack - csf) / R
    leaked = max(0, P - crack) * (leak conductance)

An occlusion stands ahead of the connector: it takes the fraction ``f`` off both conductances.
Nothing flows back: not through the valve, nor from the spinal fluid up the catheter to a leak.

The outflow never falls as P rises, and it is piecewise linear, so between two changes from outside
the pressure moves one way only, along one exponential a piece, and the moment at which it passes
from a piece to the next has a closed form. ``relax`` walks the pieces; it never takes a time step.
"""

import math

from .config import PlantConfig

WATER_VISCOSITY_PA_S = 0.69e-3
"""Water at 37 C; stands in for drug solution and spinal fluid (recall)."""

VACUUM_PA = -80_000.0
"""Line pressure at which a backward step draws no more: gas would come out (choice)."""

_SETTLED_TAUS = 40.0  # exp(-40) is below a float's resolution
_OPEN_CONNECTOR = 20.0  # conductance of a disconnected line, in catheters (choice)


def poiseuille_conductance(diameter_mm: float, length_cm: float) -> float:
    """Conductance of a round tube filled with water at 37 C, in nL/(us Pa)."""
    radius_m = diameter_mm * 0.5e-3
    return math.pi * radius_m**4 / (8 * WATER_VISCOSITY_PA_S * length_cm * 1e-2) * 1e6


class Line:
    """Fluid stored in the line, in nL above that at 0 Pa gauge, and what drives it out."""

    __slots__ = ("_base_rate", "_ceiling_nl", "_crack_pa", "_csf_pa", "_disconnected", "_inflow",
                 "_leak_fraction", "_leak_opens_nl", "_leak_rate", "_occluded", "_settled_us",
                 "_simple", "_tip_opens_nl", "_tip_rate", "compliance_nl_per_pa",
                 "stored_nl")  # fmt: skip

    def __init__(self, config: PlantConfig, csf_pa: float) -> None:
        """A line at rest against ``csf_pa``: at the valve's cracking pressure above it."""
        compliance = config.compliance_ul_per_kpa  # uL/kPa is nL/Pa
        conductance = poiseuille_conductance(config.catheter_id_mm, config.catheter_length_cm)
        self.compliance_nl_per_pa = compliance
        self._base_rate = conductance / compliance
        self._crack_pa = config.check_valve_kpa * 1e3
        self._ceiling_nl = config.siphon_head_kpa * 1e3 * compliance
        self._csf_pa = csf_pa
        self._occluded = 0.0
        self._leak_fraction = 0.0
        self._disconnected = False
        self._inflow = 0.0
        self._derive()
        self.stored_nl = self._tip_opens_nl

    @property
    def tau_us(self) -> float:
        """Time constant of an open line: R * C."""
        return 1.0 / self._base_rate

    def set_csf(self, pressure_pa: float) -> None:
        """Pressure of the spinal fluid at the tip."""
        self._csf_pa = pressure_pa
        self._derive()

    def occlude(self, fraction: float) -> None:
        """Narrow the outlet: R becomes R / (1 - fraction); 1 closes it, 0 opens it."""
        self._occluded = fraction
        self._derive()

    def leak(self, fraction: float) -> None:
        """Open a leak at the connector that has that fraction of the two conductances."""
        self._leak_fraction = fraction
        self._derive()

    def disconnect(self, off: bool) -> None:
        """Take the catheter off its connector, or put it back."""
        self._disconnected = off
        self._derive()

    def free_flow(self, rate_nl_per_us: float) -> None:
        """Let fluid run in by itself at that rate, up to the siphon's head; 0 ends it."""
        self._inflow = rate_nl_per_us
        self._derive()

    def _derive(self) -> None:
        passing = (1.0 - self._occluded) * self._base_rate
        fraction = self._leak_fraction
        if self._disconnected:
            tip, leak = 0.0, _OPEN_CONNECTOR
        elif fraction >= 1.0:
            tip, leak = 0.0, 1.0
        else:
            tip, leak = 1.0, fraction / (1.0 - fraction)
        self._tip_rate = tip * passing
        self._leak_rate = leak * passing
        self._leak_opens_nl = self._crack_pa * self.compliance_nl_per_pa
        self._tip_opens_nl = (self._crack_pa + self._csf_pa) * self.compliance_nl_per_pa
        self._simple = self._leak_rate == 0.0 and self._inflow == 0.0
        self._settled_us = _SETTLED_TAUS / self._tip_rate if self._tip_rate else math.inf

    def relax(self, span_us: int, available_nl: float) -> tuple[float, float, float]:
        """Let ``span_us`` pass with nothing changed from outside.

        ``available_nl`` is what a free flow can still draw. Returns what went out of the tip,
        what leaked, and what a free flow drew in, in nL.
        """
        if not self._simple:
            self.stored_nl, tip, leaked, drawn = self._walk(span_us, available_nl)
            return tip, leaked, drawn
        stored = self.stored_nl
        excess = stored - self._tip_opens_nl
        if excess <= 0.0:
            return 0.0, 0.0, 0.0
        if span_us >= self._settled_us:
            self.stored_nl = self._tip_opens_nl
            return excess, 0.0, 0.0
        out = -excess * math.expm1(-self._tip_rate * span_us)
        self.stored_nl = stored - out
        return out, 0.0, 0.0

    def _walk(self, left: float, available: float) -> tuple[float, float, float, float]:
        """Piece by piece through ``left`` us: stored at the end, tip, leaked, drawn."""
        stored = self.stored_nl
        tip_rate, leak_rate = self._tip_rate, self._leak_rate
        tip_opens, leak_opens = self._tip_opens_nl, self._leak_opens_nl
        ceiling = self._ceiling_nl if self._inflow else math.inf
        tip = leaked = drawn = 0.0
        while left > 0.0:
            tip_flow = tip_rate * max(0.0, stored - tip_opens)
            leak_flow = leak_rate * max(0.0, stored - leak_opens)
            inflow = self._inflow if available > 0.0 and stored <= ceiling else 0.0
            if stored == ceiling:
                # The siphon holds its head: it runs in as fast as the line lets out, no faster.
                inflow = min(inflow, tip_flow + leak_flow)
            net = inflow - (tip_flow + leak_flow)
            lasts = available / inflow if inflow else math.inf
            if net == 0.0:
                span = min(left, lasts)
                tip += tip_flow * span
                leaked += leak_flow * span
                taken = tip_flow * span + leak_flow * span
            else:
                after, span, tip_part, leak_part = self._piece(
                    stored, net, inflow, min(left, lasts), ceiling
                )
                tip += tip_part
                leaked += leak_part
                taken = inflow * span
                stored = after
            drawn += taken
            available = 0.0 if span == lasts else available - taken
            left -= span
        return stored, tip, leaked, drawn

    def _piece(
        self, stored: float, net: float, inflow: float, longest: float, ceiling: float
    ) -> tuple[float, float, float, float]:
        """One exponential, to the end of ``longest`` us or of its piece, whichever comes first.

        Returns stored at its end, its length in us, tip and leaked.
        """
        tip_opens, leak_opens = self._tip_opens_nl, self._leak_opens_nl
        knots = (leak_opens, tip_opens, ceiling)
        if net > 0.0:
            edge = min((knot for knot in knots if knot > stored), default=math.inf)
            tip_rate = self._tip_rate if stored >= tip_opens else 0.0
            leak_rate = self._leak_rate if stored >= leak_opens else 0.0
        else:
            edge = max((knot for knot in knots if knot < stored), default=-math.inf)
            tip_rate = self._tip_rate if stored > tip_opens else 0.0
            leak_rate = self._leak_rate if stored > leak_opens else 0.0
        rate = tip_rate + leak_rate
        if rate == 0.0:
            until_edge = (edge - stored) / inflow
            span = min(longest, until_edge)
            return (edge if span == until_edge else stored + inflow * span), span, 0.0, 0.0
        rest = (inflow + tip_rate * tip_opens + leak_rate * leak_opens) / rate
        from_rest, edge_from_rest = stored - rest, edge - rest
        reaches = from_rest * edge_from_rest > 0.0 and abs(edge_from_rest) < abs(from_rest)
        until_edge = math.log(from_rest / edge_from_rest) / rate if reaches else math.inf
        span = min(longest, until_edge)
        after = edge if span == until_edge else rest + from_rest * math.exp(-rate * span)
        # The sum comes from the balance of volume, so that nothing is lost to rounding.
        out = max(0.0, stored + inflow * span - after)
        tip = tip_rate * ((rest - tip_opens) * span + (stored - after) / rate)
        tip = min(out, max(0.0, tip)) if leak_rate else out
        return after, span, tip, out - tip
