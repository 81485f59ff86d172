"""The wires between a Pico's pins and the rig: what boards/wiring draws, in software."""

from collections.abc import Callable
from typing import Any

from rp2040py.gpio_pin import GPIOPinState

from cisterna_sim.emulated.chip import Chip
from cisterna_sim.plant import Plant

_FIRST_ADC_PIN = 26
_AS5600 = 0x36
_STATUS, _RAW_ANGLE = 0x0B, 0x0C
_MAGNET_FOUND = 0x20


class Wiring:
    """Joins the pins of ``chip`` to ``plant``. ``pins`` is a board file's PINS.

    ``pulses`` holds every rising edge of STEP: (true time in us, +1 forward or -1 back).
    ``advance`` brings the plant to the chip's present; it is called before every act on it.
    """

    def __init__(
        self,
        chip: Chip,
        plant: Plant,
        pins: dict[str, int],
        now_us: Callable[[], int],
    ) -> None:
        self._drive = chip.drive
        self._mcu: Any = chip.mcu
        mcu: Any = chip.mcu
        self._plant = plant
        self._pins = pins
        self._now_us = now_us
        self.pulses: list[tuple[int, int]] = []
        self.enabled_us: int | None = None
        mcu.gpio[pins["step"]].add_listener(self._on_step)
        mcu.gpio[pins["enable"]].add_listener(self._on_enable)
        instruments = plant.instruments
        self._analog = {
            pins["pressure"] - _FIRST_ADC_PIN: instruments.read_pressure,
            pins["level"] - _FIRST_ADC_PIN: instruments.read_level,
            pins["supply"] - _FIRST_ADC_PIN: instruments.read_supply,
        }
        self._convert = mcu.adc.on_adc_read
        mcu.adc.on_adc_read = self._on_conversion
        self._wire_encoder(mcu.i2c[pins["sda"] >> 1 & 1])

    def advance(self) -> None:
        """Bring the plant to the present."""
        self._plant.advance(self._now_us())

    def press(self, held: bool) -> None:
        """Hold the button down, or let it go: it closes to ground, against a pull-up."""
        pin = self._pins["button"]
        if held:
            self._drive(pin, False)
        else:
            self._mcu.gpio[pin].release_input()

    @property
    def lamps(self) -> int:
        """Which lamps are lit: bit 0 low, bit 1 medium, bit 2 high."""
        names = ("lamp_low", "lamp_medium", "lamp_high")
        lit = [self._mcu.gpio[self._pins[name]].value == GPIOPinState.HIGH for name in names]
        return sum(bit << place for place, bit in enumerate(lit))

    def release(self) -> None:
        """The chip was reset: its pins float, and the pull-up on ENABLE turns the driver off."""
        self.advance()
        self._plant.enable(False)
        self.enabled_us = None

    def _on_step(self, value: GPIOPinState, before: GPIOPinState) -> None:
        high = value == GPIOPinState.HIGH
        self._drive(self._pins["count"], high)
        if high:
            self.advance()
            backward = self._mcu.gpio[self._pins["dir"]].value == GPIOPinState.HIGH
            self._plant.step(-1 if backward else 1)
            self.pulses.append((self._plant.now_us, -1 if backward else 1))

    def _on_enable(self, value: GPIOPinState, before: GPIOPinState) -> None:
        self.advance()
        on = value == GPIOPinState.LOW
        self._plant.enable(on)
        self.enabled_us = self._plant.now_us if on else None

    def _on_conversion(self, channel: int) -> None:
        if channel in self._analog:
            self.advance()
            self._mcu.adc.channel_values[channel] = self._analog[channel]() >> 4
        self._convert(channel)

    def _wire_encoder(self, bus: Any) -> None:
        registers = bytearray(256)
        place = 0

        def connect(address: int, mode: int) -> None:
            angle = None
            if address == _AS5600:
                self.advance()
                angle = self._plant.instruments.read_angle()
            if angle is not None:
                registers[_STATUS] = _MAGNET_FOUND
                registers[_RAW_ANGLE : _RAW_ANGLE + 2] = angle.to_bytes(2, "big")
            bus.complete_connect(angle is not None)

        def write(value: int) -> None:
            nonlocal place
            place = value
            bus.complete_write(True)

        def read(_more: bool) -> None:
            nonlocal place
            value = registers[place]
            place = place + 1 & 0xFF
            bus.complete_read(value)

        bus.on_connect, bus.on_write_byte, bus.on_read_byte = connect, write, read
