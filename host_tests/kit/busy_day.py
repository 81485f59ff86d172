"""A busy day on a store that tears a write, and what a boot on its records would believe."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from cisterna.base.settings import Limits
from cisterna.memory import Memory
from cisterna_sim.rig_board import default_calibration
from cisterna_sim.store import DictStore, PowerCut
from host_tests.kit.bench import ALL, MIDNIGHT_US, Bench, simple

POWER_LOST = 1
STRENGTH = 500
TEARS = ("nothing", "missing", "half", "whole")


class TearingStore(DictStore):
    """A power cut in write ``cut_at`` leaves there what ``tear`` says, a row of TEARS."""

    def __init__(self, tear: str) -> None:
        super().__init__()
        self.tear = tear

    def _left(self, data: bytes) -> bytes | None:
        """What the write leaves; None: nothing new."""
        self.writes += 1
        if self.writes != self.cut_at:
            return data
        return {"half": data[: len(data) // 2], "whole": data}.get(self.tear)

    def write(self, name: str, data: bytes) -> None:
        left = self._left(data)
        if left is not None:
            self.records[name] = left
        elif self.tear == "missing":
            self.records.pop(name, None)
        if self.writes == self.cut_at:
            raise PowerCut(name)

    def append(self, entry: bytes) -> None:
        left = self._left(entry)
        if left is not None:
            self.ring.append(left)
        if self.writes == self.cut_at:
            raise PowerCut("event")
        if self.on_event is not None:
            self.on_event(entry)


class Believed(NamedTuple):
    """What a boot on these records would believe. Volumes in steps since the refill, net."""

    known: bool
    resting: int
    fill_nl: int
    low: int
    high: int
    opened: int
    bolus: bool
    dose_ng: int
    occlusion_pa: int
    former_ng: int


def believed(store: DictStore) -> Believed:
    """Read the records as a boot does, and leave them as they are."""
    aside = DictStore()
    aside.records = dict(store.records)
    memory = Memory(aside, default_calibration())
    state, ledger = memory.state, memory.state.ledger
    net = ledger.forward - ledger.reversed
    return Believed(
        ledger.known,
        state.resting,
        ledger.fill_nl,
        net - ledger.unconfirmed_back_steps,
        net + ledger.unconfirmed_steps,
        state.open_steps,
        state.interrupted_kind >= 0,
        memory.program.segments[0][2] if memory.program is not None else 0,
        memory.limits.occlusion_pa,
        state.former_bound_ng,
    )


Act = Callable[[Bench], object]


def _order(name: str, *arguments: object) -> Act:
    return lambda bench: bench.order(name, *arguments)


def _refill(fill_nl: int, *residual_nl: int) -> Act:
    def act(bench: Bench) -> None:
        bench.plant.withdraw()
        bench.plant.refill(fill_nl / 1e6, STRENGTH)
        bench.order("refill", fill_nl, STRENGTH, *residual_nl)

    return act


def _occlude(bench: Bench) -> None:
    bench.plant.occlude(1.0)
    bench.run_until(lambda: bench.mode == "HALTED", 3 * 3600, 5)


def _release(bench: Bench) -> None:
    bench.plant.release()
    bench.run(60)


def _hold_button(bench: Bench) -> None:
    bench.press(20)
    bench.run(10)


# A clinic's set-up and a busy day at 2 and 4 mL/day.
DAY: tuple[Act, ...] = (
    _order("set_limits", Limits({"max_daily_dose_ng": 5_000_000, "empty_nl": 900_000})),
    _order("set_clock", MIDNIGHT_US),
    _refill(18_000_000),
    _order("set_program", simple(1_000_000, STRENGTH, bolus_dose_ng=50_000)),
    _order("acknowledge", ALL),
    _order("start"),
    lambda bench: bench.run(3700),  # the lockout of a pump that knows nothing
    lambda bench: bench.press(),
    lambda bench: bench.run(300),
    _order("stop"),
    _order("single_bolus", 40_000, 600),
    lambda bench: bench.run(620),
    _order("set_limits", Limits({"max_daily_dose_ng": 5_000_000, "occlusion_pa": 50_000})),
    _refill(17_000_000, 1_000),
    _order("acknowledge", ALL),
    _order("start"),
    lambda bench: bench.run(200),
    _order("set_program", simple(2_000_000, STRENGTH)),
    lambda bench: bench.run(200),
    _order("suspend"),
    _order("resume"),
    _hold_button,
    _order("acknowledge", ALL),
    _order("single_bolus", 40_000, 600),
    lambda bench: bench.run(100),
    _occlude,
    _release,
    _order("acknowledge", ALL),
    _order("resume"),
    lambda bench: bench.run(300),
    _refill(4_200_000),
    lambda bench: bench.run(1200),
)


class Day:
    """The busy day on a store; ``origin`` holds the rotor's place at each refill, by its fill."""

    def __init__(self, tear: str = "whole", cut_at: int | None = None) -> None:
        self.store = TearingStore(tear)
        self.store.cut_at = cut_at
        self.done = 0  # acts done in full
        self.cause = POWER_LOST  # of the last boot
        self.origin: dict[int, int] = {}
        self._before = 0
        self.bench: Bench | None = None

    def _new_bench(self) -> Bench:
        return Bench(start=False, store=self.store, fill_ml=18.0, concentration_ug_per_ml=STRENGTH)

    def live(self) -> Iterator[None]:
        """Live through the day, an act at a time; PowerCut comes through."""
        self.bench = bench = self._new_bench()
        for act in DAY:
            self._before = bench.plant.rotor_steps
            known = believed(self.store).fill_nl
            try:
                act(bench)
            finally:
                fill = believed(self.store).fill_nl
                if fill != known:
                    self.origin[fill] = self._before
            self.done += 1
            yield

    def reboot(self) -> Bench:
        """Bring the power back."""
        if self.bench is None:
            self.bench = self._new_bench()
            self.cause = 0
        else:
            self.bench.rig.power_up(POWER_LOST)
        return self.bench

    def true_steps(self, fill_nl: int) -> int:
        """Steps that the rotor has really turned since that refill."""
        return (
            self.bench.plant.rotor_steps - self.origin.get(fill_nl, self._before)
            if self.bench
            else 0
        )
