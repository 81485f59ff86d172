"""The record that carries a running pump over a power cut, and the records of its settings."""

import struct

from .bolus import BolusHistory, Running
from .compat import TYPE_CHECKING
from .faults import CALIBRATION_CORRUPT, LIMITS_CORRUPT, MEMORY_DEGRADED, PROGRAM_CORRUPT
from .journal import CORRUPT, DEGRADED, GOOD, MISSING, Record
from .modes import RESTING, UNCONFIGURED
from .reservoir import LEDGER_SIZE, Ledger
from .settings import Calibration, Limits, Settings
from .stoppage import Stoppage
from .therapy import Program
from .units import LimitError

if TYPE_CHECKING:
    from .ports import Store

_LAYOUT = "<QBIQQIQ"
_SIZE = struct.calcsize(_LAYOUT)


class State:
    """What is saved: pump time, resting mode, standing alarms, stoppage, ledger, boluses.

    ``former_bound_ng`` is the daily basal dose that a replaced program could have reached, which
    counts until ``former_until_us``.
    """

    def __init__(self, calibration: Calibration) -> None:
        self.pump_us = 0
        self.resting = UNCONFIGURED
        self.latched = 0
        self.stoppage = Stoppage()
        self.former_bound_ng = 0
        self.former_until_us = 0
        self.ledger = Ledger(calibration)
        self.history = BolusHistory()
        self.interrupted_kind = -1
        self.interrupted_nl = 0
        self.open_steps = 0

    def pack(self, running: "Running | None") -> bytes:
        """The state as bytes, with the running bolus as delivered so far."""
        head = struct.pack(
            _LAYOUT,
            self.pump_us,
            self.resting,
            self.latched,
            self.stoppage.since_us,
            self.stoppage.missed_nl,
            self.former_bound_ng,
            self.former_until_us,
        )
        return head + self.ledger.pack() + self.history.pack(running, self.pump_us)

    def restore(self, data: bytes) -> None:
        """Take up what ``pack`` made; ValueError or struct.error if it is not such."""
        (
            self.pump_us,
            self.resting,
            self.latched,
            since_us,
            missed_nl,
            self.former_bound_ng,
            self.former_until_us,
        ) = struct.unpack(_LAYOUT, data[:_SIZE])
        if self.resting not in RESTING:
            raise LimitError("stored mode {} is not a resting mode".format(self.resting))
        self.stoppage.restore(since_us, missed_nl)
        self.open_steps = self.ledger.restore(data[_SIZE : _SIZE + LEDGER_SIZE])
        self.interrupted_kind, self.interrupted_nl = self.history.restore(
            data[_SIZE + LEDGER_SIZE :]
        )


class Memory:
    """All records of one pump. ``found`` lists the faults that loading them showed."""

    def __init__(self, store: "Store", board: Calibration) -> None:
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
        found = self._load(self._limits, used, LIMITS_CORRUPT, Limits)
        if isinstance(found, Limits):
            self.limits = found
        self.state = State(self.calibration)
        self.state_known = False
        if state_status in (GOOD, DEGRADED):
            try:
                self.state.restore(state_data)
                self.state_known = True
            except Exception:  # good CRC, nonsense inside: as good as no state
                self.state = State(self.calibration)
        if state_status in (DEGRADED, CORRUPT):
            self.found.append(MEMORY_DEGRADED)
        programmed = self.state_known and self.state.resting != UNCONFIGURED
        found = self._load(self._program, programmed, PROGRAM_CORRUPT, Program)
        if isinstance(found, Program):
            self.program = found
        if not used:
            self._calibration.save(self.calibration.pack())
            self._limits.save(self.limits.pack())

    def _load(
        self, record: Record, expected: bool, fault: int, kind: "type[Settings] | type[Program]"
    ) -> object:
        status, data = record.load()
        if status == DEGRADED:
            self.found.append(MEMORY_DEGRADED)
        if status in (GOOD, DEGRADED):
            try:
                return kind.unpack(data)
            except Exception:  # whatever is wrong with it, it must not be used
                status = CORRUPT
        if status == CORRUPT or expected:
            self.found.append(fault)
        return None

    def save_state(self, running: "Running | None") -> None:
        """Save the running state."""
        self._state.save(self.state.pack(running))

    def save_program(self, program: Program) -> None:
        """Save a program and make it the one in use."""
        self._program.save(program.pack())
        self.program = program

    def save_limits(self, limits: Limits) -> None:
        """Save limits and make them the ones in use."""
        self._limits.save(limits.pack())
        self.limits = limits
