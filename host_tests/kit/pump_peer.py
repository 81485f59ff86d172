"""A simulated pump at the far end of a line on which things go wrong, as told."""

from collections import defaultdict, deque

from cisterna.base.journal import decode_entry
from cisterna.base.roles import ROLES
from cisterna.events import describe
from cisterna_sim.link import LinkedRig
from cisterna_sim.plant import PlantConfig
from cisterna_sim.rig import SELFTEST_S
from host_tests.kit.bench import MIDNIGHT_US, simple
from host_tests.kit.peer import header
from pumpctl.keys import KeyRing, generate

BOOT_TEXT = b"cisterna 0.1.0 on sim running\n"
SERIAL = "SIM0001"
CONCENTRATION_UG_PER_ML = 2000
# What can happen to a line: it is lost before or after it is carried out, spoilt on the way there
# or back, comes twice; the link is cut or the pump restarts, before or after it.
FATES = (
    "pass", "lose", "mute", "spoil", "garble", "twice", "cut", "cut after", "restart",
    "restart after",
)  # fmt: skip


class PumpEnd:
    """What the line ends in. ``fates[header]`` are those of the coming lines with that header."""

    def __init__(self, keys: KeyRing | None = None) -> None:
        """Delivering, with keys that are put into ``keys``; without, as new."""
        self.rig = LinkedRig(
            PlantConfig(fill_ml=18.0, concentration_ug_per_ml=CONCENTRATION_UG_PER_ML)
        )
        self.fates: dict[str, deque[str]] = defaultdict(deque)
        self.lines: list[bytes] = []
        self.pull = lambda: None
        self.rig.run_for(SELFTEST_S)
        if keys is not None:
            made = generate()
            keys.put(SERIAL, made)
            self.rig.telemetry.desk.keys.provision([made[role] for role in ROLES])
            self.rig.set_up(simple(300_000, CONCENTRATION_UG_PER_ML), wall_us=MIDNIGHT_US)
            self.rig.run_for(60)

    def answer(self, line: bytes) -> bytes | None:
        """Let a line arrive, or whatever is its fate."""
        self.lines.append(line)
        fates = self.fates[header(line)]
        fate = fates.popleft() if fates else "pass"
        if fate == "lose":
            return None
        if fate == "cut":
            self.cut()
            return None
        if fate == "restart":
            return self.restart()
        if fate == "spoil":
            line = line[:-1] + (b"0" if line[-1:] != b"0" else b"1")
        said = b"".join(self.hear(line) for _ in range(2 if fate == "twice" else 1))
        if fate == "mute":
            return None
        if fate == "cut after":
            self.cut()
            return None
        if fate == "restart after":
            return self.restart()
        return said.replace(b"O", b"0").replace(b"1", b"2") if fate == "garble" else said

    def hear(self, line: bytes) -> bytes:
        """What the pump says to a line."""
        self.rig.send(line + b"\n")
        return self.rig.link.take()

    def cut(self) -> None:
        """Pull the cable, which the pump does not notice."""
        self.pull()

    def restart(self) -> bytes:
        """Reset the board; what it says then."""
        self.rig.power_down()
        self.rig.power_up(0)
        self.rig.run_for(SELFTEST_S)
        self.rig.link.take()
        return BOOT_TEXT

    def logged(self, name: str) -> list[str]:
        """The details of the logged events of that name."""
        found = [describe(*decode_entry(raw)[2:]) for raw in self.rig.store.ring]
        return [detail for event, detail in found if event == name]
