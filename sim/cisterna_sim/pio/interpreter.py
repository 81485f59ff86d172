"""An interpreter of PIO programs, exact to the cycle, that does not sit through waiting.

Time is in cycles of the system clock. A state machine executes on the ticks of its divider; one
that is stalled costs nothing until a pin or a FIFO changes, and a loop that only counts X or Y
down is passed in one go. It knows what our programs use: JMP, WAIT on a pin, OUT to a register,
PUSH, PULL, MOV, side-set, delay, wrap, and instructions given by hand.

Left out: the two cycles by which a pin's synchroniser delays an input.
"""

from collections import deque
from collections.abc import Callable
from copy import copy
from operator import attrgetter

from cisterna_sim.pio.asm import JMP, MOV_FROM, MOV_TO, OUT, WAIT, Program

NEVER = 1 << 62
FIFO_WORDS = 4
_MASK = 0xFFFF_FFFF

EdgeHook = Callable[[int, int, int], None]


class Pins:
    """Levels of the pins. ``wires`` are pairs: the second pin follows the first."""

    def __init__(self, wires: tuple[tuple[int, int], ...] = ()) -> None:
        self.levels = 0
        self.hooks: list[EdgeHook] = []
        self._wires = wires

    def level(self, pin: int) -> int:
        """0 or 1."""
        return self.levels >> pin & 1

    def drive(self, pin: int, level: int, cycle: int) -> None:
        """Set a level; if it changes, every hook hears (pin, level, cycle)."""
        if self.level(pin) == level:
            return
        self.levels ^= 1 << pin
        for hook in self.hooks:
            hook(pin, level, cycle)
        for source, follower in self._wires:
            if source == pin:
                self.drive(follower, level, cycle)


class StateMachine:
    """One state machine. ``due`` is the cycle of its next instruction, NEVER while it stalls."""

    def __init__(self, pins: Pins) -> None:
        self._pins = pins
        self.x = self.y = self.isr = self.osr = self.pc = 0
        self.tx: deque[int] = deque()
        self.rx: deque[int] = deque()
        self.enabled = False
        self.due = NEVER
        self._phase = 0

    def configure(
        self,
        program: Program,
        divider: int,
        cycle: int,
        side_pin: int = 0,
        in_pin: int = 0,
        jmp_pin: int = 0,
    ) -> None:
        """Stop, go to the program's start; the side-set pin takes its initial level last. X and Y
        stay.

        The FIFOs stay, too: the chip's library empties them, rp2040py does not, so the firmware
        has to do it.
        """
        self.enable(False, cycle)
        self.program, self.divider = program, divider
        self._side_pin, self._in_pin, self._jmp_pin = side_pin, in_pin, jmp_pin
        self.isr = self.pc = 0
        if program.side_init is not None:
            self._pins.drive(side_pin, program.side_init & 1, cycle)

    def restart(self, cycle: int) -> None:
        """Go to the program's start. The side-set of the jump there is 0."""
        self.isr = self.pc = 0
        if self.program.side_bits and not self.program.side_optional:
            self._pins.drive(self._side_pin, 0, cycle)
        if self.enabled:
            self.due = cycle + self.divider

    def enable(self, on: bool, cycle: int) -> None:
        """Let it run from ``cycle`` on, or stop it where it is."""
        if on and not self.enabled:
            self._phase = self.due = cycle
        elif not on:
            self.due = NEVER
        self.enabled = on

    def wake(self, cycle: int) -> None:
        """Something changed at ``cycle``: look again at the next tick, if stalled."""
        if self.enabled and self.due == NEVER:
            self.due = cycle + self.divider - (cycle - self._phase) % self.divider

    def execute(self, word: int, cycle: int) -> None:
        """Execute an instruction given by hand; the program loses a cycle if it runs."""
        self._side(word, cycle)
        target = self._do(word)
        if target is None:
            raise ValueError(f"instruction {word:#06x} given by hand stalls")
        if target >= 0:
            self.pc = target
        if self.due != NEVER:
            self.due += self.divider

    def step(self) -> bool:
        """Execute what is due; True if it went back in the program to count on."""
        word, at, program = self.program.words[self.pc], self.pc, self.program
        self._side(word, self.due)
        target = self._do(word)
        if target is None:
            self.due = NEVER
            return False
        if target < 0:
            target = program.wrap_target if at == program.wrap_top else at + 1
        self.pc = target
        if target == at and word & 0xE0FF == at:  # JMP to itself, for good
            self.due = NEVER
            return False
        self.due += self._cost(word)
        return target <= at and not word >> 13 and JMP[word >> 5 & 7] in ("x_dec", "y_dec")

    def next_rise(self) -> int | None:
        """Cycle at which the side-set pin will rise if nothing is done till then, if it will."""
        ahead = copy(self)
        ahead.tx, ahead.rx, ahead._pins = deque(self.tx), deque(self.rx), Pins()
        ahead._pins.levels = self._pins.levels
        found: list[int] = []
        ahead._pins.hooks.append(lambda pin, level, cycle: found.append(cycle) if level else None)
        while ahead.due != NEVER and not found:
            if ahead.step():
                ahead.skip(NEVER)
        return found[0] if found else None

    def skip(self, limit: int) -> None:
        """Take as many turns of the counting loop that it is in as fit before ``limit``."""
        turn, turns, counted = self._loop()
        if turns:
            turns = min(turns, max(0, limit - self.due) // turn)
            self.due += turns * turn
            for register in counted:
                setattr(self, register, getattr(self, register) - turns)

    @property
    def quiet_until(self) -> int:
        """Nothing that it does before this cycle can be seen from outside."""
        if self.due == NEVER:
            return NEVER
        turn, turns, _ = self._loop()
        return self.due + turns * turn

    def _loop(self) -> tuple[int, int, set[str]]:
        """The loop that begins here, if a turn does nothing but count X or Y down while neither is
        0 and no pin changes: cycles a turn, turns, which registers. No turns if it does more.

        A body that says Y to a FIFO that is full changes nothing.
        """
        words, at, turn = self.program.words, self.pc, 0
        counted: set[str] = set()
        while not turn or at != self.pc:
            word = words[at]
            if self._side_of(word) not in (None, self._side_level()) or turn >> 16:
                return 0, 0, counted
            turn += self._cost(word)
            at = self.program.wrap_target if at == self.program.wrap_top else at + 1
            if not word >> 13:
                condition = JMP[word >> 5 & 7]
                if condition in ("x_dec", "y_dec"):
                    counted.add(condition[0])
                if condition not in ("not_x", "not_y") and (condition != "pin" or self._jmp_level):
                    at = word & 31
            elif not (word & 0xE0F8 == 0xA0C0 or (word & 0xE0E0 == 0x8000 and self._rx_full)):
                return 0, 0, counted
        return turn, min((getattr(self, register) for register in counted), default=0), counted

    @property
    def _jmp_level(self) -> int:
        return self._pins.level(self._jmp_pin)

    @property
    def _rx_full(self) -> bool:
        return len(self.rx) == FIFO_WORDS

    def _cost(self, word: int) -> int:
        bits = self.program.side_bits + self.program.side_optional
        return (1 + (word >> 8 & (1 << 5 - bits) - 1)) * self.divider

    def _side_of(self, word: int) -> int | None:
        program = self.program
        if not program.side_bits or (program.side_optional and not word >> 12 & 1):
            return None
        return word >> 13 - program.side_bits - program.side_optional & 1

    def _side_level(self) -> int:
        return self._pins.level(self._side_pin)

    def _side(self, word: int, cycle: int) -> None:
        level = self._side_of(word)
        if level is not None:
            self._pins.drive(self._side_pin, level, cycle)

    def _do(self, word: int) -> int | None:
        """The next address, -1 for the one that follows, None for a stall."""
        return _KINDS[word >> 13](self, word & 0xFF)

    def _jmp(self, argument: int) -> int | None:
        condition = JMP[argument >> 5]
        x, y = self.x, self.y
        if condition == "x_dec":
            self.x = x - 1 & _MASK
        elif condition == "y_dec":
            self.y = y - 1 & _MASK
        holds = {
            "": True, "not_x": not x, "x_dec": x, "not_y": not y, "y_dec": y,
            "pin": self._jmp_level,
        }[condition]  # fmt: skip
        return argument & 31 if holds else -1

    def _wait(self, argument: int) -> int | None:
        if WAIT[argument >> 5 & 3] != "pin":
            raise ValueError("this interpreter waits for pins alone")
        level = self._pins.level(self._in_pin + (argument & 31))
        return -1 if level == argument >> 7 else None

    def _out(self, argument: int) -> int | None:
        bits = argument & 31 or 32
        if self.program.out_right:
            value = self.osr & (1 << bits) - 1
            self.osr >>= bits
        else:
            value = self.osr >> 32 - bits
            self.osr = self.osr << bits & _MASK
        self._set(OUT[argument >> 5], value)
        return -1

    def _push_pull(self, argument: int) -> int | None:
        block = argument & 0x20
        if argument & 0x80:
            if self.tx or not block:
                self.osr = self.tx.popleft() if self.tx else self.x
                return -1
            return None
        if not self._rx_full:
            self.rx.append(self.isr)
        elif block:
            return None
        self.isr = 0
        return -1

    def _mov(self, argument: int) -> int | None:
        sources = {"x": self.x, "y": self.y, "null": 0, "isr": self.isr, "osr": self.osr}
        value = sources[MOV_FROM[argument & 7]]
        if argument & 0x10:
            raise ValueError("this interpreter does not reverse bits")
        self._set(MOV_TO[argument >> 5], value ^ _MASK if argument & 8 else value)
        return -1

    def _set(self, target: str, value: int) -> None:
        if target not in ("x", "y", "isr", "osr", "null"):
            raise ValueError(f"this interpreter does not write to {target}")
        if target != "null":
            setattr(self, target, value)


def _unknown(machine: StateMachine, argument: int) -> int | None:
    raise ValueError("this interpreter knows no IN, IRQ or SET")


_KINDS: "tuple[Callable[[StateMachine, int], int | None], ...]" = (
    StateMachine._jmp,
    StateMachine._wait,
    _unknown,
    StateMachine._out,
    StateMachine._push_pull,
    StateMachine._mov,
    _unknown,
    _unknown,
)


_due = attrgetter("due")


class Pio:
    """State machines on the same pins and clock; ``cycle`` is now."""

    def __init__(self, pins: Pins, machines: int = 8) -> None:
        self.cycle = 0
        self.pins = pins
        self.machines = [StateMachine(pins) for _ in range(machines)]
        pins.hooks.append(self._changed)

    def _changed(self, pin: int, level: int, cycle: int) -> None:
        for machine in self.machines:
            machine.wake(cycle)

    def run_until(self, cycle: int) -> None:
        """Execute everything that is due before ``cycle``."""
        while self.step(cycle):
            pass
        self.cycle = max(self.cycle, cycle)

    def step(self, limit: int) -> bool:
        """Execute the next instruction, if it is due before ``limit``; False if none is."""
        machine = min(self.machines, key=_due)
        if machine.due >= limit:
            return False
        self.cycle = max(self.cycle, machine.due)
        if machine.step():
            others = (other.quiet_until for other in self.machines if other is not machine)
            machine.skip(min(limit, *others))
        return True
