"""What can be changed on a pump: at once, or staged, shown, confirmed and committed."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, cast

from cisterna.parts.program import KINDS, Program
from pumpctl.models import wall_seconds
from pumpctl.staged import StagedChange

if TYPE_CHECKING:
    from pumpctl.client import Pump


class Changes(ABC):
    """The commands that change something; the roles that may are those of the pump's table.

    Each raises Refused, AuthorityError, LinkError, or ReplyLost where it is not sure to have been
    made. What is staged must be committed within a minute.
    """

    @abstractmethod
    def change(self, header: str, *args: object) -> str:
        """Make any change; its reply."""

    @abstractmethod
    def command(self, header: str, *args: object) -> str:
        """Any command that needs a session and does not outlast it; its reply."""

    def _stage(self, what: str, *args: object) -> StagedChange:
        return StagedChange(cast("Pump", self), self.command(what + ":STAG", *args))

    def stop(self) -> None:
        """Stop delivery, a bolus as well."""
        self.change("DEL:STOP")

    def suspend(self) -> None:
        """Hold delivery for two minutes; repeat it to hold it longer."""
        self.change("DEL:SUSP")

    def resume(self) -> None:
        """Go on after a suspension or a fault that has cleared."""
        self.change("DEL:RES")

    def patient_bolus(self) -> None:
        """Give the patient bolus of the program."""
        self.change("BOL:PAT")

    def acknowledge(self, *faults: str) -> None:
        """Acknowledge alarms by name, all if none is named."""
        self.change("ALAR:ACK", *(faults or ("ALL",)))

    def pause_audio(self, seconds: int) -> None:
        """Silence the buzzer for at most 120 s."""
        self.change("ALAR:PAUS", seconds)

    def test_alarms(self) -> None:
        """Sound every priority, one after the other."""
        self.change("ALAR:TEST")

    def set_clock(self, when: datetime) -> None:
        """Set the pump's wall clock to a local time."""
        self.change("CLOC:SET", wall_seconds(when))

    def restart(self) -> None:
        """Restart the pump's processor; the pump refuses while it delivers."""
        self.change("*RST")

    def stage_program(self, program: Program) -> StagedChange:
        """A new program, in the form of the pump's core."""
        segments = [value for segment in program.segments for value in segment]
        return self._stage(
            "PROG",
            KINDS[program.kind],
            program.concentration_ug_per_ml,
            program.bolus_dose_ng,
            program.bolus_s,
            program.lockout_s,
            program.daily_cap,
            *segments,
        )

    def stage_refill(
        self, volume_nl: int, concentration_ug_per_ml: int, residual_nl: int | None = None
    ) -> StagedChange:
        """A refill; ``residual_nl`` is what was drawn out before, if it was measured."""
        residual = [] if residual_nl is None else [residual_nl]
        return self._stage("RES:REF", volume_nl, concentration_ug_per_ml, *residual)

    def stage_bolus(self, dose_ng: int, duration_s: int) -> StagedChange:
        """A single bolus."""
        return self._stage("BOL", dose_ng, duration_s)

    def stage_start(self) -> StagedChange:
        """Delivery by the program."""
        return self._stage("DEL:STAR")

    def stage_limits(self, limits: Mapping[str, int]) -> StagedChange:
        """Limits by name; those not named stay."""
        return self._stage("LIM", *(item for pair in limits.items() for item in pair))

    def stage_service(self, fault: str) -> StagedChange:
        """The release of a fault that only service may let go."""
        return self._stage("SERV:CLE", fault)
