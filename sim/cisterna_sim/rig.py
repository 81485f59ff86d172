"""The simulated rig: the pump's own core on the plant, with time that jumps from event to event.

Between two things that happen nothing is computed: the clock goes straight to the next step, tick,
plant event or cue. A board also looks at its sensors four times a second in between. Here those
looks are left out as long as they could not tell anything, which the plant can say beforehand, as
sensor noise has a bound. They are taken at full rate while a reading may leave its window, around
every cue, and while fluid flows by itself. ``full_rate`` takes them all, with the same events.
"""

import math
from collections.abc import Callable

from cisterna.base import faults
from cisterna.base.journal import decode_entry
from cisterna.base.settings import Calibration, Limits
from cisterna.controller import Controller
from cisterna.orders import Orders, Refused
from cisterna.parts.program import Program
from cisterna.parts.sampler import PERIOD_US, Channel
from cisterna.pump import Pump
from cisterna_sim.clock import BoardClock
from cisterna_sim.hal import NEVER, SimButton, SimHal, SimStepper
from cisterna_sim.plant import Plant, PlantConfig
from cisterna_sim.plant.sensors import AnalogSensor
from cisterna_sim.rig_board import default_calibration
from cisterna_sim.store import DictStore, PowerCut

# Looks at full rate before and after a cue: longer than any sensor fault takes to be called one.
_BEFORE_CUE_US = 10_000_000
_AFTER_CUE_US = 15_000_000
# Drift and temperature of a sensor, beyond its noise.
_DRIFT_PA = 2_000
# How far the level may fall until its looks are thought over.
_LEVEL_AHEAD_NL = 10_000.0
# Of a button that is never let go the pump has seen all by then.
_PRESS_SEEN_S = 60.0
# By then the self-test is over.
SELFTEST_S = 3
# The mask of every alarm, for ``orders.acknowledge``.
ALL_ALARMS = (1 << len(faults.FAULTS)) - 1
# Below this the board resets rather than browns out (choice).
RESET_MV = 2_000

EventHook = Callable[[int, int, int, int], None]


class Rig:
    """A pump on a plant, powered or not.

    ``pump``, ``controller`` and ``orders`` are the firmware of this boot; ``hal`` its ports. True
    time is ``now_us``, the pump's time ``pump_us``. ``on_event(pump time in 10 ms, event, subject,
    value)`` hears the event log.
    """

    stepper_type = SimStepper

    def __init__(
        self,
        config: PlantConfig,
        calibration: Calibration | None = None,
        *,
        t0_us: int = 0,
        encoder: bool = True,
        level: bool = True,
        store: DictStore | None = None,
        full_rate: bool = False,
        on_event: EventHook | None = None,
    ) -> None:
        self.config = config
        self.plant = Plant(config, t0_us)
        self.calibration = calibration if calibration is not None else default_calibration()
        self.store = store if store is not None else DictStore()
        self.store.on_event = self._hear
        self.button = SimButton(self.plant)
        self.full_rate = full_rate
        self.on_event = on_event
        self._fitted = (encoder, level)
        self._watch_until_us: float = -NEVER
        self._restless = False
        self._cues: list[tuple[int, int, Callable[[], None]]] = []
        self._cue_number = 0
        self._level_low = -1
        self._level_until_nl = NEVER
        self._quiet_level = False
        self._programmed_units = 0
        self._rate = 0
        self._rate_since_us = 0
        self.powered = False
        self.ticks = 0
        self.looks = 0
        self.power_up(0)

    def power_up(self, cause: int) -> None:
        """Boot the board at the present; ``cause`` is a row of events.BOOT_CAUSES."""
        plant = self.plant
        plant.power(True)
        self.clock = BoardClock(plant.now_us, self.config.oscillator_ppm)
        self.hal = SimHal(plant, self.store, self.button, *self._fitted, self.stepper_type)
        self.powered = True
        try:
            self.boot(cause)
        except PowerCut:
            self.power_down()
            raise
        self._due_us: float = plant.now_us
        self._aim_quiet()
        self.attend()

    def boot(self, cause: int) -> None:
        """Make the firmware of this boot: what ``power_up`` calls once the ports are there."""
        self.wake(Pump(self.hal, self.calibration))
        self.controller = Controller(self.pump, cause)
        self.orders = Orders(self.controller)

    def wake(self, pump: Pump) -> None:
        """Take ``pump`` as the one of this boot, and start the board's clock at its time."""
        self.pump = pump
        plant, ppm = self.plant, self.config.oscillator_ppm
        self.clock = BoardClock(plant.now_us, ppm, pump.now_us)
        self._rate_since_us = self.pump_us

    def tick_firmware(self, now_us: int) -> int:
        """Tick the firmware; when it wants to be ticked next."""
        return self.controller.tick(now_us)

    def power_down(self) -> None:
        """Cut the power at the present."""
        self._account_rate(0)
        self.hal.stepper.abort()
        self.plant.power(False)
        self.powered = False
        self._due_us = NEVER

    @property
    def now_us(self) -> int:
        """True time."""
        return self.plant.now_us

    @property
    def pump_us(self) -> int:
        """The pump's time now."""
        return self.clock.at(self.plant.now_us)

    def order(self, method: Callable[..., object], *args: object) -> object:
        """Give one of ``orders`` now; what it raises comes through. Refused without power."""
        if not self.powered:
            raise Refused("the pump has no power; wait until it is back")
        try:
            return method(self.pump_us, *args)
        except PowerCut:
            self.power_down()
            raise
        finally:
            if self.powered:
                self._tick()
            self.attend()

    def set_up(
        self,
        program: Program,
        *,
        limits: Limits | None = None,
        wall_us: int | None = None,
        start: bool = True,
    ) -> None:
        """Do what a clinic does with a new pump once its self-test is over, and start it.

        The refill is told as the plant was filled; ``wall_us`` is the local time now.
        """
        orders = self.orders
        if limits is not None:
            self.order(orders.set_limits, limits)
        if wall_us is not None:
            self.order(orders.set_clock, wall_us)
        self.order(
            orders.refill, round(self.config.fill_ml * 1e6), program.concentration_ug_per_ml
        )
        self.order(orders.set_program, program)
        self.order(orders.acknowledge, ALL_ALARMS)
        if start:
            self.order(orders.start)

    def press(self, seconds: float = 0.6) -> None:
        """Press the button now, and hold it for so long; infinity for ever, 0 to let it go."""
        self.button.until_us = self.now_us + seconds * 1e6
        self.attend(_PRESS_SEEN_S if math.isinf(seconds) else seconds)

    def cue(self, at_us: int, act: Callable[[], None]) -> None:
        """Let ``act`` happen at true time ``at_us``, with full attention around it."""
        self._cue_number += 1
        self._cues.append((at_us, self._cue_number, act))
        self._cues.sort(key=lambda cue: cue[:2], reverse=True)

    def attend(self, seconds: float = 0.0) -> None:
        """Look at the sensors at full rate for a while, and for ``seconds`` more."""
        until_us = self.plant.now_us + _AFTER_CUE_US + round(seconds * 1e6)
        self._watch_until_us = max(self._watch_until_us, until_us)

    def free_flow(self, ml_per_h: float) -> None:
        """Let fluid flow without the motor, or end it with 0."""
        self.plant.free_flow(ml_per_h)
        self._restless = ml_per_h > 0
        self.attend()

    @property
    def programmed_nl(self) -> float:
        """Volume that program and boluses have asked for so far."""
        units = self._programmed_units
        if self.powered:
            units += self._rate * (self.pump_us - self._rate_since_us)
        return units / 86_400_000_000

    def _account_rate(self, rate: int) -> None:
        pump_us = self.pump_us
        self._programmed_units += self._rate * (pump_us - self._rate_since_us)
        self._rate, self._rate_since_us = rate, pump_us

    def _hear(self, entry: bytes) -> None:
        if self.on_event is not None:
            _, stamp, event, subject, value = decode_entry(entry)
            self.on_event(stamp, event, subject, value)

    def run_until(self, end_us: int) -> None:
        """Let everything happen up to and at ``end_us``; a PowerCut comes through, power off."""
        plant = self.plant
        while True:
            now_us = plant.now_us
            stepper = self.hal.stepper
            t_us = min(end_us, self._due_us, stepper.next_us, plant.next_event_us)
            cue_us: float = NEVER
            if self._cues:
                cue_us = self._cues[-1][0]
                # Stop over where attention begins.
                before_us = cue_us - _BEFORE_CUE_US
                t_us = min(t_us, cue_us if now_us >= before_us else before_us)
            watching = self.powered and self._watching(now_us, cue_us)
            if watching:
                t_us = min(t_us, (now_us // PERIOD_US + 1) * PERIOD_US)
            at_us = int(t_us)
            plant.advance(at_us)
            if at_us >= stepper.next_us:
                stepper.pulse()
            while self._cues and self._cues[-1][0] <= at_us:
                self.attend()
                self._cues.pop()[2]()
                self.attend()
            if self.powered:
                if watching and at_us % PERIOD_US == 0:
                    self.looks += 1
                    if self.pump.sampler.look():
                        self._due_us = at_us
                if at_us >= self._due_us:
                    self._tick()
            if at_us >= end_us:
                return

    def run_for(self, seconds: float) -> None:
        """Let everything happen for so long."""
        self.run_until(self.plant.now_us + round(seconds * 1e6))

    def _tick(self) -> None:
        self.ticks += 1
        pump = self.pump
        try:
            due_us = self.tick_firmware(self.pump_us)
        except PowerCut:
            self.power_down()
            raise
        self._due_us = self.clock.true_us(due_us)
        rate = pump.dosing.rate_nl_per_day
        if rate != self._rate:
            self._account_rate(rate)

    def _watching(self, now_us: int, cue_us: float) -> bool:
        attentive = now_us < self._watch_until_us or now_us >= cue_us - _BEFORE_CUE_US
        if self.full_rate or self._restless or attentive:
            self._aimed = False
            return True
        level = self.pump.sampler.level
        moved = level is not None and (
            level.low != self._level_low or self.plant.level_nl < self._level_until_nl
        )
        if moved or not self._aimed:
            self._aim_quiet()
        quiet_pressure = self._pressure_low_pa < self.plant.pressure_pa < self._pressure_high_pa
        # A look may change what is quiet.
        self._aimed = quiet = self._quiet_level and quiet_pressure
        return not quiet

    def _aim_quiet(self) -> None:
        """Work out within which truths no reading can change anything."""
        sampler, instruments, plant = self.pump.sampler, self.plant.instruments, self.plant
        now_us = plant.now_us
        self._aimed = True
        self._quiet_level = self._quiet(
            sampler.supply, instruments.supply, plant.supply_mv(now_us)
        )
        if sampler.level is not None:
            # Good until the window moves, as it does with the account, or the level has fallen.
            self._level_until_nl = plant.level_nl - _LEVEL_AHEAD_NL
            for level_nl in (plant.level_nl, self._level_until_nl):
                self._quiet_level &= self._quiet(sampler.level, instruments.level, level_nl)
            self._level_low = sampler.level.low
        calibration, channel = self.calibration, sampler.pressure
        bound_pa = instruments.pressure.bound_raw * calibration.pressure_pa_per_256 / 256
        margin_pa = bound_pa + _DRIFT_PA + abs(instruments.pressure.offset)
        low, high = max(channel.low, channel.valid_low), min(channel.high, channel.valid_high)
        self._pressure_low_pa = calibration.pressure_pa(low) + margin_pa
        self._pressure_high_pa = calibration.pressure_pa(high) - margin_pa
        if instruments.pressure.state != "ok" and channel.faulty:
            self._pressure_low_pa, self._pressure_high_pa = -math.inf, math.inf
        elif instruments.pressure.state != "ok" or not channel.quiet(low, low):
            self._pressure_low_pa = self._pressure_high_pa = 0.0

    def _quiet(self, channel: Channel, sensor: AnalogSensor, value: float) -> bool:
        if sensor.state != "ok":
            return channel.faulty
        raw = sensor.clean(value, self.plant.now_us)
        return channel.quiet(math.floor(raw - sensor.bound_raw), math.ceil(raw + sensor.bound_raw))
