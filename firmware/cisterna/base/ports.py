"""What the core needs from the world, one small protocol a capability.

A board's HAL and the simulator's each implement these; the core never asks which it has.
Every call returns at once. Readings are raw integers; ``INVALID`` stands for "no reading".
"""

from .compat import TYPE_CHECKING, const

INVALID = const(-1)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class Stepper(Protocol):
        """The motor driver. Nothing moves but by a burst, and a burst is bounded."""

        def burst(self, steps: int, interval_us: int) -> None:
            """Emit ``|steps|`` pulses ``interval_us`` apart, the first one now; negative reverses.

            Never called while busy, never with 0 steps.
            """

        def abort(self) -> None:
            """Stop at once, in mid-burst; pulses not yet emitted are lost."""

        def emitted(self) -> int:
            """Pulses emitted since power-on, in either direction; never goes down."""

        def busy(self) -> bool:
            """True while a burst still has pulses to emit."""

        def enable(self, on: bool) -> None:
            """Energise the motor, or take its current away."""

    class StepCounter(Protocol):
        """An independent count of the pulses on the driver's STEP line."""

        def count(self) -> int:
            """Pulses seen since power-on, in either direction; never goes down."""

    class Motion(Protocol):
        """Verified motion: an encoder on the lead screw (optional)."""

        def position(self) -> "int | None":
            """Screw position in microsteps, forward positive; None if unreadable."""

    class Sensor(Protocol):
        """A raw analogue channel: line pressure, reservoir level or supply voltage."""

        def read(self) -> int:
            """Raw reading 0..65535, or INVALID."""

    class Button(Protocol):
        """The physical button."""

        def pressed(self) -> bool:
            """True while the button is held."""

    class Signal(Protocol):
        """Buzzer and lamps; they play a priority's pattern by themselves once told."""

        def show(self, priority: int, audible: bool) -> None:
            """Play the pattern of ``priority`` (0 is silence), sounding only if ``audible``."""

    class Store(Protocol):
        """Non-volatile memory: named records and an event ring."""

        def read(self, name: str) -> "bytes | None":
            """The record of that name, or None where there is none."""

        def write(self, name: str, data: bytes) -> None:
            """Replace the record; on return it is stored. A power cut may leave it torn."""

        def append(self, entry: bytes) -> None:
            """Add an entry to the event ring; the oldest are dropped when it is full."""

        def entries(self, skip: int = 0) -> "Iterator[bytes]":
            """The entries that the ring holds, oldest first, without the first ``skip``."""

    class Link(Protocol):
        """The telemetry line. Writing never waits: what does not go is dropped and counted."""

        @property
        def local(self) -> bool:
            """True if it is a cable in somebody's hand: USB, not radio or network."""

        @property
        def dropped(self) -> int:
            """Lines dropped so far."""

        def write(self, line: bytes) -> bool:
            """Send a line; False if it was dropped, all of it."""

    class Hal(Protocol):
        """All ports of one pump. ``encoder`` and ``level`` are None where not fitted."""

        @property
        def stepper(self) -> Stepper: ...

        @property
        def counter(self) -> StepCounter: ...

        @property
        def encoder(self) -> "Motion | None": ...

        @property
        def pressure(self) -> Sensor: ...

        @property
        def level(self) -> "Sensor | None": ...

        @property
        def supply(self) -> Sensor: ...

        @property
        def button(self) -> Button: ...

        @property
        def signal(self) -> Signal: ...

        @property
        def store(self) -> Store: ...
