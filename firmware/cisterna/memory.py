"""The record that carries a running pump over a power cut, and the records of its settings.

Layouts of the state record (base/journal.py says how versions are read):

0. 0.1.0: 32 bits of alarms, of which 27 to 29 were the alarm test.
1. 64 bits of alarms.
2. The 24 h window as doses, not steps; when the last program day began.
"""

import struct

from .base.compat import TYPE_CHECKING, const
from .base.faults import CALIBRATION_CORRUPT, LIMITS_CORRUPT, MEMORY_DEGRADED, PROGRAM_CORRUPT
from .base.journal import CORRUPT, DEGRADED, GOOD, MISSING, Record, check_versions
from .base.modes import RESTING, UNCONFIGURED
from .base.settings import Calibration, Limits, Settings
from .base.units import LimitError
from .parts.bolus import ActiveBolus, BolusHistory
from .parts.calendar import NEVER_BEGAN_US
from .parts.dose_window import DoseWindow, window_size
from .parts.ledger import LEDGER_SIZE, Ledger
from .parts.program import Program
from .parts.stoppage import Stoppage

if TYPE_CHECKING:
    from .base.ports import Store

_HEADS = ("<QBIBQQIQB", "<QBQBQQIQB", "<QBQBQQIQBq")
_ALARM_TEST_0 = const(7 << 27)


class State:
    """What is saved: pump time, resting mode, standing alarms, stoppage, ledger, boluses.

    ``first_stop`` is the code of the fault that stopped the pump, or -1.
    ``former_bound_ng`` is the daily basal dose that a replaced program could have reached, which
    counts until ``former_until_us``; ``former_flat``: all programs since then had one rate.
    """

    def __init__(self, calibration: Calibration) -> None:
        self.pump_us = 0
        self.resting = UNCONFIGURED
        self.latched = 0
        self.first_stop = -1
        self.stoppage = Stoppage()
        self.former_bound_ng = 0
        self.former_until_us = 0
        self.former_flat = True
        self.day_began_us = NEVER_BEGAN_US
        self.dose_window = DoseWindow(calibration)
        self.ledger = Ledger(calibration)
        self.history = BolusHistory()
        self.interrupted_kind = -1
        self.interrupted_nl = 0
        self.open_steps = 0

    def former_flat_at(self, now_us: int) -> bool:
        """True if every program replaced in the last 24 h had one rate."""
        return self.former_flat or now_us >= self.former_until_us

    def pack(self, running: "ActiveBolus | None") -> bytes:
        """The state as bytes, with the running bolus as delivered so far."""
        head = struct.pack(
            _HEADS[2],
            self.pump_us,
            self.resting,
            self.latched,
            self.first_stop & 0xFF,
            self.stoppage.since_us,
            self.stoppage.missed_nl,
            self.former_bound_ng,
            self.former_until_us,
            self.former_flat,
            self.day_began_us,
        )
        history = self.history.pack(running, self.pump_us)
        return b"".join((head, self.ledger.pack(), self.dose_window.pack(), history))

    def restore(self, data: bytes, layout: int) -> None:
        """Take up what ``pack`` made, in that layout; ValueError or struct.error if it is not
        such."""
        head = _HEADS[layout]
        size = struct.calcsize(head)
        (
            self.pump_us,
            self.resting,
            self.latched,
            first_stop,
            since_us,
            missed_nl,
            self.former_bound_ng,
            self.former_until_us,
            former_flat,
            *began_us,
        ) = struct.unpack(head, data[:size])
        # An older layout does not say: as if it began now, so that no head comes twice.
        self.day_began_us = began_us[0] if began_us else self.pump_us
        if not layout:
            self.latched &= ~_ALARM_TEST_0
        if self.resting not in RESTING:
            raise LimitError(f"stored mode {self.resting} is not a resting mode")
        self.first_stop = -1 if first_stop == 0xFF else first_stop
        self.former_flat = bool(former_flat)
        self.stoppage.restore(since_us, missed_nl)
        self.open_steps = self.ledger.restore(data[size : size + LEDGER_SIZE])
        rest = data[size + LEDGER_SIZE :]
        window_end = window_size(layout)
        self.dose_window.fill(self.ledger.concentration_ug_per_ml)
        self.dose_window.restore(rest[:window_end], layout)
        self.interrupted_kind, self.interrupted_nl = self.history.restore(rest[window_end:])


class Memory:
    """All records of one pump. ``found`` lists the faults that loading them showed."""

    def __init__(self, store: "Store", board: Calibration) -> None:
        """ForeignRecord if newer firmware wrote any of them; nothing is changed then."""
        check_versions(store)
        self._state = Record(store, "state")
        self._program = Record(store, "program")
        self._limits = Record(store, "limits")
        self._calibration = Record(store, "calibration")
        self.found: "list[int]" = []
        state_status, state_data = self._state.load()
        used = state_status != MISSING
        self.calibration = board
        self.limits = Limits()
        self.program: "Program | None" = None
        found = self._load(self._calibration, used, CALIBRATION_CORRUPT, Calibration)
        if isinstance(found, Calibration):
            self.calibration = found
        if CALIBRATION_CORRUPT in self.found:
            _keep(self._calibration, board)  # in force from the next start on
        found = self._load(self._limits, used, LIMITS_CORRUPT, Limits)
        if isinstance(found, Limits):
            self.limits = found
        self.state = State(self.calibration)
        self.state_known = False
        self.migrated_from = -1  # the layout that the state was found in, if an older one
        self._migrating = False
        if state_status in (GOOD, DEGRADED):
            try:
                self.state.restore(state_data, self._state.found_layout)
                self.state_known = True
                self._migrating = self._state.found_layout < self._state.layout
                if self._migrating:
                    self.migrated_from = self._state.found_layout
            except Exception:  # good CRC, nonsense inside: as good as no state
                self.state = State(self.calibration)
        if state_status in (DEGRADED, CORRUPT):
            self.found.append(MEMORY_DEGRADED)
        programmed = self.state_known and self.state.resting != UNCONFIGURED
        found = self._load(self._program, programmed, PROGRAM_CORRUPT, Program)
        if isinstance(found, Program):
            self.program = found
        if not used:
            _keep(self._calibration, self.calibration)
            _keep(self._limits, self.limits)

    def _load(
        self, record: Record, expected: bool, fault: int, kind: "type[Settings] | type[Program]"
    ) -> object:
        status, data = record.load()
        if status == DEGRADED:
            self.found.append(MEMORY_DEGRADED)
        settings = None
        if status in (GOOD, DEGRADED):
            try:
                settings = kind.unpack(data)
            except Exception:  # whatever is wrong with it, it must not be used
                status = CORRUPT
        if settings is None:
            if status == CORRUPT or expected:
                self.found.append(fault)
        elif status == DEGRADED:
            record.save(data)
        return settings

    def save_state(self, running: "ActiveBolus | None") -> None:
        """Save the running state; in both slots if an older layout still stands in one."""
        data = self.state.pack(running)
        self._state.save(data)
        if self._migrating:
            self._migrating = False
            self._state.save(data)

    def save_program(self, program: Program) -> None:
        """Save a program and make it the one in use."""
        _keep(self._program, program)
        self.program = program

    def save_limits(self, limits: Limits) -> None:
        """Save limits and make them the ones in use."""
        _keep(self._limits, limits)
        self.limits = limits


def _keep(record: Record, settings: "Settings | Program") -> None:
    """Store settings in both slots: if one fails later, the other holds the same, nothing older.

    A power cut in between leaves what was in force before, or the new.
    """
    data = settings.pack()
    record.save(data)
    record.save(data)
