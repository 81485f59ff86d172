"""What can be asked of a pump. Reading changes nothing; any role will do, and none as well."""

from abc import ABC, abstractmethod
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from pumpctl import models
from pumpctl.errors import PumpError
from pumpctl.log import BATCH, Log
from pumpctl.reconcile import LastChange

_Answer = TypeVar("_Answer", bound=BaseModel)
# SCPI's not-a-number.
_NOT_MEASURED = "9.91E37"


class Reads(ABC):
    """The read commands. Each raises LinkError if the link fails."""

    @abstractmethod
    def query(self, header: str, *args: object) -> str:
        """The payload of the reply to any read command."""

    def parse(self, kind: type[_Answer], text: str) -> _Answer:
        """A JSON reply; PumpError if it is not of that kind."""
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "reply"
            raise PumpError(
                f"the pump's answer is not a {kind.__name__}: {place}: {first['msg']}; host tools "
                "and firmware must be of the same version"
            ) from None

    def _integer(self, header: str) -> int | None:
        text = self.query(header)
        return None if text == _NOT_MEASURED else _int(header, text)

    def status(self) -> models.Status:
        """Everything at a glance."""
        return self.parse(models.Status, self.query("STAT?"))

    def program(self) -> models.Therapy | None:
        """The program in use; None if the pump has none."""
        text = self.query("PROG?")
        return None if text == "{}" else self.parse(models.Therapy, text)

    def rate_nl_per_day(self) -> int:
        """The rate at which the pump delivers now."""
        return _int("PROG:RATE?", self.query("PROG:RATE?"))

    def limits(self) -> dict[str, int]:
        """What no program or bolus may pass, by name with its unit."""
        return self._settings("LIM?")

    def calibration(self) -> dict[str, int]:
        """What the pump's mechanics and sensors are, by name with its unit."""
        return self._settings("CAL?")

    def _settings(self, header: str) -> dict[str, int]:
        return self.parse(models.Settings, self.query(header)).root

    def reservoir(self) -> models.Reservoir:
        """The account of the reservoir."""
        return self.parse(models.Reservoir, self.query("RES?"))

    def remaining_nl(self) -> int | None:
        """The least that the reservoir can hold; None if that is not known."""
        return self._integer("RES:VOL?")

    def bolus(self) -> models.Bolus:
        """What runs, what was given, what the patient may have."""
        return self.parse(models.Bolus, self.query("BOL?"))

    def alarms(self) -> models.Alarms:
        """The alarms that stand."""
        return self.parse(models.Alarms, self.query("ALAR?"))

    def pressure_pa(self) -> int | None:
        """Line pressure; None if it cannot be measured."""
        return self._integer("MEAS:PRES?")

    def level_nl(self) -> int | None:
        """Measured content; None if it cannot be measured."""
        return self._integer("MEAS:LEV?")

    def supply_mv(self) -> int | None:
        """Supply voltage; None if it cannot be measured."""
        return self._integer("MEAS:SUPP?")

    def clock(self) -> models.Clock:
        """The pump's clocks."""
        return self.parse(models.Clock, self.query("CLOC?"))

    def staged(self) -> models.Staged | None:
        """The change that is staged; None if there is none."""
        text = self.query("STAG?")
        return None if text == "{}" else self.parse(models.Staged, text)

    def last_change(self) -> LastChange:
        """The last change that the pump accepted, from whomever."""
        return LastChange.parse(self.query("SYST:LAST?"))

    def link_counters(self) -> dict[str, int]:
        """What the pump counts of its link: lines, errors, drops."""
        return self._settings("SYST:LINK?")

    def errors(self) -> list[tuple[int, str]]:
        """Empty the pump's queue of refusals: (number, text), oldest first."""
        found = []
        while not (text := self.query("SYST:ERR?")).startswith("0,"):
            number, _, rest = text.partition(",")
            found.append((_int("SYST:ERR?", number), rest.strip('"')))
        return found

    def help(self, header: str = "") -> str:
        """The pump's own help: all headers, or what one command takes and who may give it."""
        return self.query("SYST:HELP?", *([header] if header else []))

    def log_range(self) -> tuple[int, int]:
        """(sequence of the oldest entry kept, that of the next to come)."""
        first, _, following = self.query("LOG:COUN?").partition(",")
        return _int("LOG:COUN?", first), _int("LOG:COUN?", following)

    def download_log(self, since: int = 0) -> Log:
        """The event log from a sequence number on, its chain verified.

        Entries that the pump drops or adds meanwhile are left out at the one end and taken in at
        the other.
        """
        first, following = self.log_range()
        log = Log()
        place = max(first, since)
        while place < following:
            place = log.add_page(self.query("LOG?", place, min(BATCH, following - place)))
            if not place:
                break
        return log


def _int(header: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise PumpError(f"the pump answers {header} with {text[:60]!r}, no number") from None
