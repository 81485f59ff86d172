"""Checks a board's data and derives the calibration from it: on the board, and on the host.

A board file (``boards/cisterna_boards/<name>.py``) is plain data: NAME, PORT, PINS, MECHANICS,
DRIVER, SENSORS. Each table must be whole, since nothing here has a default: what a file forgets
would be another rig's figure. A clash is refused with its reason before a pin is touched.
"""

from ..base.compat import TYPE_CHECKING
from ..base.settings import CALIBRATION_FIELDS, Calibration, Limits
from ..base.units import LimitError, check_int, step_volume_pl
from .dosing import CATCH_UP_INTERVAL_US

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# Pins that each chip's module brings out, those that can only be inputs, and those of an ADC that
# works at any time. Left out: RP2040 23..25 and 29 (on the Pico: regulator, VBUS, LED, VSYS);
# ESP32 6..11 (its flash), 0, 2, 5, 12, 15 (strapping), 1 and 3 (the console's UART).
CHIPS: "dict[str, dict[str, tuple[int, ...]]]" = {
    "rp2": {
        "pins": tuple(range(23)) + (26, 27, 28),  # noqa: RUF005 - MicroPython has no *range
        "inputs": (),
        "adc": (26, 27, 28),
    },
    "esp32": {
        "pins": (4, 13, 14, 16, 17, 18, 19, 21, 22, 23, 25, 26, 27, 32, 33, 34, 35, 36, 39),
        "inputs": (34, 35, 36, 39),
        "adc": (32, 33, 34, 35, 36, 39),
    },
}

OUTPUTS = ("step", "dir", "enable", "buzzer", "lamp_high", "lamp_medium", "lamp_low")
INPUTS = ("count", "button", "service")
ANALOG = ("pressure", "level", "supply")
I2C = ("sda", "scl")
REQUIRED = OUTPUTS + INPUTS + ("pressure", "supply")
_STEP = "step_pl"

MECHANICS = (
    ("bore_um", 1_000, 100_000),
    ("lead_um", 100, 20_000),
    ("steps_per_turn", 20, 1_000),
    ("microsteps", 1, 256),
)
DRIVER = (
    ("max_steps_per_s", 1, 1_000_000),
    ("fastest_steps_per_s", 1, 1_000_000),
)


class Board:
    """A board that has been checked. ``pins`` by name; ``calibration``; fitted sensors.

    LimitError says which entry is wrong, its value, what is allowed and what to do.
    """

    def __init__(self, data: object) -> None:
        """``data`` is a board file's module, or anything with its names as attributes."""
        self.name = _get(data, "NAME")
        self.port = _get(data, "PORT")
        if self.port not in CHIPS:
            raise LimitError(f"PORT = {self.port!r} is not a known port; give rp2 or esp32")
        self.pins: "dict[str, int]" = dict(_get(data, "PINS"))
        mechanics = _table("MECHANICS", _get(data, "MECHANICS"), MECHANICS)
        self.driver = _table("DRIVER", _get(data, "DRIVER"), DRIVER)
        self._check_pins()
        self.has_level = "level" in self.pins
        self.has_encoder = "sda" in self.pins
        self.steps_per_turn = mechanics["steps_per_turn"] * mechanics["microsteps"]
        given = _get(data, "SENSORS")
        if _STEP in given:
            raise LimitError("SENSORS has step_pl; it follows from MECHANICS, leave it out")
        fields = [field for field in CALIBRATION_FIELDS if field[0] != _STEP]
        sensors = _table("SENSORS", given, fields)
        sensors[_STEP] = step_volume_pl(
            mechanics["bore_um"],
            mechanics["lead_um"],
            mechanics["steps_per_turn"],
            mechanics["microsteps"],
        )
        self.calibration = Calibration(sensors)
        self._check_speed()

    def _check_pins(self) -> None:
        chip, pins = CHIPS[self.port], self.pins
        known = OUTPUTS + INPUTS + ANALOG + I2C
        for name in sorted(pins):
            if name not in known:
                raise LimitError(f"PINS has {name!r}; known: {', '.join(sorted(known))}")
        for name in REQUIRED:
            if name not in pins:
                raise LimitError(f"PINS lacks {name!r}; give its pin number")
        if ("sda" in pins) != ("scl" in pins):
            raise LimitError("PINS has one of sda and scl; an encoder needs both")
        used: "dict[int, str]" = {}
        for name in sorted(pins):
            pin = pins[name]
            if type(pin) is not int or pin not in chip["pins"]:
                raise LimitError(
                    f"PINS {name!r} = {pin!r} is no free pin of {self.port}; "
                    f"choose from {_list(chip['pins'])}"
                )
            if pin in used:
                raise LimitError(
                    f"pin {pin} is used for {used[pin]!r} and {name!r}; give each its own"
                )
            used[pin] = name
            if name in OUTPUTS + I2C and pin in chip["inputs"]:
                raise LimitError(
                    f"PINS {name!r} = {pin} can only be an input on {self.port}; choose another"
                )
            if name in ANALOG and pin not in chip["adc"]:
                raise LimitError(
                    f"PINS {name!r} = {pin} has no ADC on {self.port}; "
                    f"choose from {_list(chip['adc'])}"
                )
        # An RP2040's pins are wired to one I2C each: 0/1, 4/5, .. are I2C0, 2/3, 6/7, .. I2C1.
        if self.port == "rp2" and "sda" in pins:
            sda, scl = pins["sda"], pins["scl"]
            if sda & 1 or scl != sda + 1:
                raise LimitError(
                    f"PINS 'sda' = {sda}, 'scl' = {scl} are no I2C pair; give an even pin and "
                    "the next"
                )

    def _check_speed(self) -> None:
        """The motor must keep up with the highest rate, and the driver with the motor."""
        fastest, most = self.driver["fastest_steps_per_s"], self.driver["max_steps_per_s"]
        if fastest > most:
            raise LimitError(
                f"DRIVER fastest_steps_per_s = {fastest} is above the driver's "
                f"max_steps_per_s = {most}; lower it"
            )
        need = 1_000_000 // CATCH_UP_INTERVAL_US
        top_rate = Limits().max_rate_nl_per_day
        need = max(need, -(-top_rate * 1000 // (self.calibration.step_pl * 86_400)))
        if fastest < need:
            raise LimitError(
                f"DRIVER fastest_steps_per_s = {fastest} is below the {need} steps/s that dosing "
                "needs; raise it, or use a coarser step"
            )

    @property
    def i2c(self) -> int:
        """Number of the I2C block that the encoder's pins belong to."""
        return self.pins["sda"] >> 1 & 1 if self.port == "rp2" else 0


def _get(data: object, name: str) -> "Any":
    value = getattr(data, name, None)
    if value is None:
        raise LimitError(f"the board file lacks {name}")
    return value


def _table(
    table: str, given: "dict[str, int]", fields: "Iterable[tuple[Any, ...]]"
) -> "dict[str, int]":
    """A table's figures; each of ``fields`` begins with name, lowest, highest."""
    known = [row[0] for row in fields]
    for name in sorted(given):
        if name not in known:
            raise LimitError(f"{table} has {name!r}; known: {', '.join(known)}")
    checked = {}
    for row in fields:
        name, low, high = row[:3]
        if name not in given:
            raise LimitError(f"{table} lacks {name!r}; give {low}..{high}")
        checked[name] = check_int(f"{table} {name}", given[name], low, high)
    return checked


def _list(numbers: "tuple[int, ...]") -> str:
    return ", ".join([str(number) for number in numbers])
