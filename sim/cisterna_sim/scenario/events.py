"""What a scenario makes happen: an event is a moment and one action with its own parameters.

The moment is a time (``at``) or a condition (``when``, with a delay ``after_s``). An event fires
once. Faults that last have an action that ends them; there is no implied end.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from cisterna_sim.scenario.programs import ProgramTable, Table
from cisterna_sim.scenario.values import ALARM, ALARM_OR_ALL, ALL_ALARMS, SPAN, Exact, Number


class When(Table):
    """A condition; exactly one of the four. ``bolus``: a bolus begins to run."""

    alarm: Annotated[str, ALARM] | None = None
    alarm_gone: Annotated[str, ALARM] | None = None
    bolus: Literal[True] | None = None
    remaining_below_nl: Annotated[int, Exact(0, 20, "mL", places=6)] | None = Field(
        None, alias="remaining_below_ml"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise PydanticCustomError(
                "refused", "allowed: one of alarm, alarm_gone, bolus, remaining_below_ml"
            )
        return self


class Moment(Table):
    """When an event fires: ``at_s`` seconds after the start, or ``after_s`` after ``when``."""

    at_s: Annotated[int, SPAN] | None = Field(None, alias="at")
    when: When | None = None
    after_s: Annotated[float, Number(0, 8_640_000, "s")] = 0.0

    @model_validator(mode="after")
    def _at_or_when(self) -> Self:
        if (self.at_s is None) == (self.when is None):
            raise PydanticCustomError("refused", "allowed: either at or when, and one of them")
        if self.at_s is not None and "after_s" in self.model_fields_set:
            raise PydanticCustomError("refused", "allowed: after_s only together with when")
        return self


# The actions that take no parameter.
BareAction = Literal[
    "release",  # the occlusion ends
    "disconnect",  # the catheter comes off: all flow leaks, none reaches the tip
    "reconnect",  # the catheter is put on again
    "stall",  # the rotor stands still whatever the pulses
    "stall_end",  # the rotor follows again
    "free_flow_end",  # the siphon ends
    "pressure_dead",  # the pressure sensor reads 0
    "pressure_stuck",  # the pressure sensor repeats its last reading
    "pressure_ok",  # the pressure sensor is well again
    "level_dead",  # the level sensor reads 0
    "level_stuck",  # the level sensor repeats its last reading
    "level_ok",  # the level sensor is well again
    "encoder_dead",  # the encoder gives no reading
    "encoder_stuck",  # the encoder repeats its last reading
    "encoder_ok",  # the encoder is well again
    "button_stuck",  # the button is held from now on
    "button_ok",  # the button is let go
    "start",  # start delivery
    "stop",  # stop delivery
    "suspend",  # suspend delivery
    "resume",  # resume after a suspension or a fault
    "pause_audio",  # silence the buzzer for a while
]


class Bare(Moment):
    """An action without parameters."""

    do: BareAction


class Occlude(Moment):
    """The catheter is blocked by ``fraction``; 1 lets nothing through."""

    do: Literal["occlude"]
    fraction: Annotated[float, Number(0.01, 1)] = 1.0


class Leak(Moment):
    """``fraction`` of the flow leaks out before the catheter; 0 ends it."""

    do: Literal["leak"]
    fraction: Annotated[float, Number(0, 1)]


class LoseSteps(Moment):
    """Each pulse is lost with this probability; 0 ends it."""

    do: Literal["lose_steps"]
    probability: Annotated[float, Number(0, 1)]


class FreeFlow(Moment):
    """Drug is drawn out of the syringe without the motor."""

    do: Literal["free_flow"]
    ml_per_h: Annotated[float, Number(0.001, 50, "mL/h")]


class PowerLoss(Moment):
    """The supply is gone for so long, then comes back."""

    do: Literal["power_loss"]
    seconds: Annotated[float, Number(0.1, 864_000, "s")]


class BrownOut(Moment):
    """The supply sags to ``mv`` for so long."""

    do: Literal["brown_out"]
    mv: Annotated[int, Number(0, 5000, "mV", whole=True)]
    seconds: Annotated[float, Number(0.001, 864_000, "s")]


class ExtraPulses(Moment):
    """Pulses appear on the STEP line that nobody commanded."""

    do: Literal["extra_pulses"]
    count: Annotated[int, Number(1, 1_000_000, "pulses", whole=True)]


class Press(Moment):
    """The patient presses the button."""

    do: Literal["press"]
    seconds: Annotated[float, Number(0.05, 3600, "s")] = 0.5


class SingleBolus(Moment):
    """The clinician orders one bolus; the pump may refuse it."""

    do: Literal["single_bolus"]
    dose_ng: Annotated[int, Exact(0.001, 1000, "ug")] = Field(alias="dose_ug")
    duration_min: Annotated[int, Number(1, 240, "min", whole=True)]


class Acknowledge(Moment):
    """One alarm, or all of them, are acknowledged."""

    do: Literal["acknowledge"]
    alarm: Annotated[str, ALARM_OR_ALL] = ALL_ALARMS


class Refill(Moment):
    """What is left is withdrawn and measured, then ``fill_nl`` of fresh drug is put in.

    ``residual_nl`` is what the nurse believes to have measured; None means the true volume.
    """

    do: Literal["refill"]
    fill_nl: Annotated[int, Exact(0.1, 20, "mL", places=6)] = Field(alias="ml")
    residual_nl: Annotated[int, Exact(0, 20, "mL", places=6)] | None = Field(
        None, alias="residual_ml"
    )


class SetClock(Moment):
    """The pump's clock is set to the scenario's local time plus ``shift_s``."""

    do: Literal["set_clock"]
    shift_s: Annotated[int, Number(-604_800, 604_800, "s", whole=True)]


class SetProgram(Moment):
    """The clinician programs another therapy."""

    do: Literal["set_program"]
    program: ProgramTable


Event = Annotated[
    Bare
    | Occlude
    | Leak
    | LoseSteps
    | FreeFlow
    | PowerLoss
    | BrownOut
    | ExtraPulses
    | Press
    | SingleBolus
    | Acknowledge
    | Refill
    | SetClock
    | SetProgram,
    Field(discriminator="do"),
]
