"""The far end of the telemetry line, for tests: speaks the protocol by itself.

Frames, sessions and MACs are made here from the protocol's description with CPython's own hmac, so
that the pump's code is not its own judge.
"""

import binascii
import hashlib
import hmac
import json
from typing import Any

from cisterna.base import modes
from cisterna.base.settings import Limits
from cisterna.events import describe
from cisterna.parts.program import Program
from cisterna_sim.link import LinkedRig
from cisterna_sim.plant import PlantConfig
from cisterna_sim.rig import SELFTEST_S
from cisterna_sim.store import DictStore
from host_tests.kit.bench import MIDNIGHT_US, Entry, simple

ROLES = ("observer", "patient", "clinician", "service")
KEYS = {role: hashlib.sha256(role.encode()).digest() for role in ROLES}
NONCE = "00112233445566778899aabbccddeeff"
SECOND_US = 1_000_000


def digest16(key: bytes, message: bytes) -> str:
    """The first 16 bytes of HMAC-SHA-256, in hex."""
    return hmac.new(key, message, hashlib.sha256).digest()[:16].hex()


def framed(text: str) -> str:
    """A line with its CRC."""
    return f"{text} *{binascii.crc32(text.encode()):08X}"


def provisioning(keys: dict[str, bytes] = KEYS, tag: str = "p1") -> str:
    """The line that gives a pump its keys."""
    return framed(f"#{tag} KEY:PROV " + ",".join(keys[role].hex() for role in ROLES))


def split(reply: str) -> tuple[str, str, str, str]:
    """(tag, payload, MAC, what the MAC covers) of a reply; its CRC is checked."""
    tag = mac = ""
    if reply.startswith("#"):
        text, _, crc = reply.rpartition(" *")
        assert framed(text) == reply, reply
        assert len(crc) == 8
        reply, tag = text, text[1:].partition(" ")[0]
    covered, at, found = reply.rpartition(" @")
    if at and len(found) == 32:
        reply, mac = covered, found
    payload = reply.removeprefix(f"#{tag} ") if tag else reply
    return tag, payload, mac, covered


class Desk:
    """A pump with a line to it, set up by its orders as a clinic would and delivering.

    ``start=False`` leaves it configured and at rest; ``fill_ml=0`` unconfigured. Without
    ``program`` it delivers ``dose_ug_per_day`` with a patient bolus of 10 ug over 10 min, lockout
    1 h, and the unknown past's lockout is over. Further keywords go to PlantConfig.
    """

    def __init__(
        self,
        *,
        dose_ug_per_day: int = 300,
        fill_ml: float = 18.0,
        program: Program | None = None,
        limits: dict[str, int] | None = None,
        start: bool = True,
        provisioned: bool = True,
        store: DictStore | None = None,
        full_rate: bool = False,
        **plant: Any,
    ) -> None:
        self.log: list[Entry] = []
        self.counter = 0
        self.sent: list[str] = []
        config = PlantConfig(fill_ml=fill_ml or 18.0, posture=False, **plant)
        self.rig = LinkedRig(config, store=store, full_rate=full_rate, on_event=self._hear)
        self.rig.run_for(SELFTEST_S)
        if provisioned:
            self.telemetry.keys.provision([KEYS[role] for role in ROLES])
        if fill_ml:
            self.rig.set_up(
                program or simple(dose_ug_per_day * 1000),
                limits=Limits(limits),
                wall_us=MIDNIGHT_US,
                start=False,
            )
            self.pump.history.locked_until_us = 0
            if start:
                self.order("start")

    def _hear(self, stamp_cs: int, event: int, subject: int, value: int) -> None:
        name, detail = describe(event, subject, value)
        true_us = self.rig.now_us if hasattr(self, "rig") else 0
        self.log.append(Entry(true_us / 1e6, name, detail))

    @property
    def pump(self) -> Any:
        """The controller of the present boot."""
        return self.rig.pump

    @property
    def telemetry(self) -> Any:
        """The interface of the present boot."""
        return self.rig.telemetry.desk

    @property
    def mode(self) -> str:
        """The mode's name."""
        return modes.MODE_NAMES[self.pump.modes.mode]

    @property
    def now_us(self) -> int:
        """Pump time."""
        return int(self.rig.pump_us)

    @property
    def emitted(self) -> int:
        """Pulses since the board booted."""
        return self.rig.hal.stepper.emitted()

    def order(self, name: str, *arguments: Any) -> Any:
        """Give an order by its name, past the telemetry."""
        return self.rig.order(getattr(self.rig.orders, name), *arguments)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.rig.run_for(seconds)

    def run_until_pump(self, at_us: int) -> None:
        """Let time pass until pump time ``at_us``, exactly."""
        self.rig.run_until(self.rig.clock.true_us(at_us))
        assert self.now_us == at_us

    def ask(self, line: str) -> str:
        """Send a line; the whole reply."""
        self.sent.append(line)
        return self.rig.ask(line)

    def read(self, line: str) -> Any:
        """The JSON that a question is answered with."""
        return json.loads(self.ask(line))

    def press(self, seconds: float = 0.6) -> None:
        """Press the button for so long, and let the pump see it."""
        self.rig.press_and_release(seconds)

    def hold(self, seconds: float) -> None:
        """Hold the button from now on for so long, of which a second passes."""
        self.rig.press(seconds)
        self.run(1)

    def next_counter(self) -> int:
        """A counter above all before it."""
        self.counter += 1
        return self.counter

    def hello(self, role: str, key: bytes | None = None) -> tuple[str, bytes]:
        """Ask for a session: its name and its key."""
        reply = self.ask(f"AUTH:HELL {role},{NONCE}")
        name, nonce, counter = reply.split(",")
        self.counter = max(self.counter, int(counter))
        text = f"cisterna session 1 {role} {name} {NONCE} {nonce} {counter}"
        return name, hmac.new(key or KEYS[role], text.encode(), hashlib.sha256).digest()

    def open(self, role: str, key: bytes | None = None) -> "Session":
        """Open a session; the pump's proof is checked, too."""
        name, session_key = self.hello(role, key)
        reply = self.ask(f"AUTH:PROV {name},{digest16(session_key, b'host')}")
        assert reply == digest16(session_key, b"pump"), reply
        return Session(self, role, name, session_key)

    def names(self, *wanted: str) -> list[str]:
        """Details of the logged events of these names."""
        return [entry.detail for entry in self.log if entry.name in wanted]

    def records(self) -> dict[str, bytes]:
        """What is stored, the event log apart."""
        return dict(self.rig.store.records)

    def facts(self) -> dict[str, Any]:
        """All that a line without effect must leave as it is, but counts, errors and the log."""
        pump, telemetry = self.pump, self.telemetry
        staging, counter, alarms = telemetry.staging, telemetry.sessions.counter, pump.alarms
        program = pump.memory.program
        return {
            "state": pump.memory.state.pack(pump.bolus),
            "program": program and program.pack(),
            "limits": pump.memory.limits.pack(),
            "calibration": pump.memory.calibration.pack(),
            "records": self.records(),
            "keys": (telemetry.keys._data, telemetry.keys.provisioned),
            "mode": (pump.modes.mode, pump.modes.resting, pump.suspend_until_us),
            "rate": pump.dosing.rate_nl_per_day,
            "steps": (self.emitted, pump.ledger.charged),
            "alarms": (alarms.active, alarms.latched, alarms.acked, alarms._paused_until_us),
            "bolus": pump.bolus and vars(pump.bolus).copy(),
            "clock": (pump.calendar.known, pump.calendar.known and pump.calendar.wall_us(0)),
            "test": self.rig.controller.alarm_test.due_us,
            "counter": (counter.value, counter.changed, counter.tag),
            "staged": {k: v for k, v in vars(staging).items() if k not in ("_confirm_press",)},
            "intent": (pump.confirm_press.wanted, pump.confirm_press.pressed),
            "sessions": [vars(session).copy() for session in telemetry.sessions.open],
            "reports": (telemetry.stream.period_ms, telemetry.restart),
            "windows": (telemetry.provision_until_us, telemetry.wipe_until_us),
        }


class Session:
    """A session of one role."""

    def __init__(self, desk: Desk, role: str, name: str, key: bytes) -> None:
        self.desk = desk
        self.role = role
        self.name = name
        self.key = key

    def frame(self, text: str, counter: int | None = None, tag: str = "t1") -> str:
        """The line of a command: tag, counter, MAC and CRC."""
        if counter is None:
            counter = self.desk.next_counter()
        signed = f"#{tag} {text} @{self.name},{counter}"
        return framed(f"{signed},{digest16(self.key, b'C' + signed.encode())}")

    def ask(self, text: str, tag: str = "t1") -> str:
        """Give a command; the reply's payload, its tag, MAC and CRC having been checked."""
        line = self.frame(text, tag=tag)
        counter = self.desk.counter
        told, payload, mac, covered = split(self.desk.ask(line))
        assert told == tag
        if mac or not payload.startswith("ERR -203"):
            assert mac == digest16(self.key, b"R%d " % counter + covered.encode())
        return payload

    def stage(self, text: str) -> dict[str, Any]:
        """Stage a change; what it would do, its echo having been checked."""
        payload = self.ask(text)
        assert payload.startswith("{"), payload
        head = payload.rpartition(',"echo":')[0]
        staged: dict[str, Any] = json.loads(payload)
        assert staged["echo"] == hashlib.sha256(head.encode()).hexdigest()[:8]
        return staged

    def commit(self, staged: dict[str, Any]) -> str:
        """Commit what was staged."""
        return self.ask(f"{staged['what']}:COMM {staged['id']},{staged['echo']}")

    def confirm(self, staged: dict[str, Any]) -> str:
        """Confirm, as the second role, what was staged."""
        return self.ask(f"CONF {staged['id']},{staged['echo']}")

    def change(self, text: str, second: "Session | None" = None) -> str:
        """Stage, press, confirm if that is needed, commit."""
        staged = self.stage(text)
        self.desk.press()
        if staged["confirm"]:
            assert second is not None
            assert second.confirm(staged) == "OK"
        return self.commit(staged)


# An example of every command that is no plain question, as text; None stands for the places that
# only a staged change can fill.
PROGRAM = "PROG:STAG continuous,2000,10000,600,3600,6,127,0,250000"
EXAMPLES = {
    "*CLS": "*CLS",
    "*RST": "*RST",
    "PROG:STAG": PROGRAM,
    "LIM:STAG": "LIM:STAG low_nl,5000000",
    "RES:REF:STAG": "RES:REF:STAG 17000000,2000,1500000",
    "BOL:PAT": "BOL:PAT",
    "BOL:STAG": "BOL:STAG 5000,60",
    "DEL:STAR:STAG": "DEL:STAR:STAG",
    "DEL:STOP": "DEL:STOP",
    "DEL:SUSP": "DEL:SUSP",
    "DEL:RES": "DEL:RES",
    "ALAR:ACK": "ALAR:ACK SUPPLY_LOW,ALL",
    "ALAR:PAUS": "ALAR:PAUS 120",
    "ALAR:TEST": "ALAR:TEST",
    "CLOC:SET": "CLOC:SET 833587200",
    "TEL:PER": "TEL:PER 1000",
    "TEL:MAC": "TEL:MAC 1",
    "STAG:DROP": "STAG:DROP",
    "SERV:CLE:STAG": "SERV:CLE:STAG RUNAWAY",
    "AUTH:HELL": f"AUTH:HELL clinician,{NONCE}",
    "AUTH:PROV": "AUTH:PROV 1a2b," + "0" * 32,
    "AUTH:BYE": "AUTH:BYE",
    "KEY:PROV": "KEY:PROV " + ",".join(KEYS[role].hex() for role in ROLES),
    "KEY:WIPE": "KEY:WIPE",
    "KEY:ROT:STAG": f"KEY:ROT:STAG patient,{'5a' * 32}",
    "SYST:HELP?": "SYST:HELP? PROG:STAG",
    "LOG?": "LOG? 0,4",
}
ID_AND_ECHO = "12,0123abcd"


def example(header: str) -> str:
    """A well-formed line of that command, without a frame."""
    if header == "CONF" or header.endswith(":COMM"):
        return f"{header} {ID_AND_ECHO}"
    return EXAMPLES.get(header, header)


def refused(desk: Desk, session: Session, text: str, *words: str) -> None:
    """The command is refused for that reason, and changes nothing but its counter."""
    before = desk.facts()
    reply = session.ask(text)
    assert reply.startswith("ERR "), reply
    for word in words:
        assert word in reply, reply
    after = desk.facts()
    for name in ("counter", "records", "sessions"):
        del before[name], after[name]
    assert after == before
