"""What the page shows of a conversation, said to the simulated pump: every byte is true."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

from cisterna.base.roles import ROLES
from cisterna.telemetry.commands import all_rows
from cisterna.telemetry.rows import READ
from cisterna_sim.link import LinkedRig
from cisterna_sim.plant import PlantConfig
from cisterna_tools.protocol.host import Host, hmac_sha256, with_crc

# The keys of the page: 01 01 .. for the observer, up to 04 04 .. for service.
KEYS = {role: bytes([place + 1]) * 32 for place, role in enumerate(ROLES)}
# A real host draws them.
NONCES = {role: hashlib.sha256(role.encode()).hexdigest()[:32] for role in ROLES}
# 00:00 on 2 January 2026.
WALL_S = 9498 * 86_400
# 240 ug/day, and 360 ug/day from 8:00 on, every day; boluses of 10 ug over 10 min.
_PROGRAM = "PROG:STAG profile,2000,10000,600,3600,6,127,0,240000,127,480,360000"


class Transcript:
    """One conversation with one pump, from its first power-on.

    ``scenes``: lines of each scene of the page, the host's after ``>``, the pump's after ``<``.
    ``examples``: each command that answers with JSON by its header, as given and its reply, both
    without tag and proofs. ``facts``: single values.
    """

    def __init__(self) -> None:
        self.scenes: dict[str, str] = {}
        self.examples: dict[str, tuple[str, str]] = {}
        self.facts: dict[str, str] = {}
        self._rig = LinkedRig(PlantConfig())
        self._scene: list[str] = []
        self._counter = 0
        self._tags = 0
        self._hosts: dict[str, Host] = {}
        self._rig.run_for(10)
        self._typed()
        self._provision()
        self._session()
        self._two_steps()
        self._others()
        self._retry()
        self._telemetry()
        self._service()

    def _ask(self, line: str) -> str:
        reply = self._rig.ask(line)
        self._scene += [f"> {line}", f"< {reply}"]
        return reply

    def _note(self, text: str) -> None:
        self._scene.append(f"  {text}")

    @contextmanager
    def _as(self, name: str) -> Iterator[None]:
        """Keep what is said meanwhile as a scene of that name."""
        self._scene = []
        yield
        self.scenes[name] = "\n".join(self._scene)

    def _open(self, role: str) -> None:
        self._hosts[role] = Host(self._ask, role, KEYS[role], NONCES[role])

    def _do(self, role: str, command: str) -> str:
        """Give a command in the role's session; the payload of the reply."""
        self._counter += 1
        self._tags += 1
        host = self._hosts[role]
        line = host.line(f"t{self._tags}", command, self._counter)
        return host.check(self._ask(line), self._counter)

    def _stage(self, role: str, command: str, second: str = "") -> None:
        """Stage and commit a change; ``second`` is the role that confirms it."""
        header = command.partition(" ")[0]
        staged = self._example(role, command)
        change = json.loads(staged)
        self._press()
        order = f"{change['id']},{change['echo']}"
        if second:
            self._do(second, f"CONF {order}")
        self._do(role, f"{header.removesuffix('STAG')}COMM {order}")

    def _example(self, role: str, command: str) -> str:
        """Do a command and show it; its reply."""
        reply = self._do(role, command)
        self.examples[command.partition(" ")[0]] = command, reply
        return reply

    def _press(self) -> None:
        self._note("(the pump's button is pressed)")
        self._rig.press_and_release()

    def _typed(self) -> None:
        with self._as("typed"):
            for line in ("*IDN?", "MEAS:PRES?", "measure:level?", "RES:VOL?", "ALAR?", "CLOC?"):
                self._ask(line)
        self.facts["alarms"] = self._rig.ask("ALAR?")
        with self._as("errors"):
            for line in ("FLOW?", "DEL:STOP", "LOG? 0,17", "#a1 *IDN?", "SYST:ERR?"):
                self._ask(line)

    def _provision(self) -> None:
        line = with_crc("#k1 KEY:PROV " + ",".join(key.hex() for key in KEYS.values()))
        with self._as("provision"):
            self._ask(line)
            self._note("(the pump's button is pressed and held)")
            self._rig.press(3)
            self._rig.run_for(1)
            self._ask(line)
        self._rig.run_for(5)

    def _session(self) -> None:
        with self._as("session"):
            self._open("clinician")
        host = self._hosts["clinician"]
        self.facts["role_key"] = KEYS["clinician"].hex()
        self.facts["session_key"] = host.key.hex()
        offer = self._scene[1].removeprefix("< ").split(",")
        self.facts["session_text"] = (
            f"cisterna session 1 clinician {offer[0]} {NONCES['clinician']} {offer[1]} {offer[2]}"
        )
        assert hmac_sha256(KEYS["clinician"], self.facts["session_text"]) == host.key

    def _two_steps(self) -> None:
        self._open("service")
        with self._as("refill"):
            self._stage("clinician", "RES:REF:STAG 18000000,2000", second="service")
        signed, _, rest = self._scene[0].removeprefix("> ").rpartition(",")
        self.facts["signed"] = signed
        self.facts["line_mac"] = rest.partition(" ")[0]
        body, _, crc = self._scene[1].removeprefix("< ").rpartition(" *")
        payload, _, reply_mac = body.rpartition(" @")
        self.facts.update(reply_signed=payload, reply_mac=reply_mac, reply_crc=crc)
        self.facts["echoed"] = payload.partition(" ")[2].rpartition(',"echo"')[0]
        self.facts["echo"] = json.loads(self.examples["RES:REF:STAG"][1])["echo"]

    def _others(self) -> None:
        """Bring the pump to where every question has an answer worth showing."""
        self._do("clinician", "ALAR:ACK ALL")
        self._do("clinician", f"CLOC:SET {WALL_S}")
        self._stage("clinician", _PROGRAM)
        self._stage("clinician", "DEL:STAR:STAG")
        self._rig.run_for(30)
        self._stage("clinician", "BOL:STAG 5000,60")
        self._rig.run_for(40)
        self._example("clinician", _PROGRAM.replace("240000", "300000"))
        for row in all_rows():
            if row.kind == READ and row.reply == "JSON":
                question = row.header + (" 0,2" if row.header == "LOG?" else "")
                self.examples[row.header] = question, self._rig.ask(question)
        # With an alarm in it.
        self.examples["ALAR?"] = "ALAR?", self.facts["alarms"]
        self._do("clinician", "STAG:DROP")
        self._rig.run_for(60)

    def _retry(self) -> None:
        """The same line twice, and one that was good once."""
        with self._as("retry"):
            self._do("clinician", "DEL:SUSP")
            suspend = self._scene[-2].removeprefix("> ")
            self._note("(the reply was lost, say; the same line again)")
            self._ask(suspend)
            self._do("clinician", "DEL:RES")
            self._note("(somebody who has listened sends the first line once more)")
            self._ask(suspend)
            self._ask("SYST:LAST?")

    def _telemetry(self) -> None:
        with self._as("telemetry"):
            self._open("clinician")
            self._do("clinician", "TEL:MAC 1")
            self._ask("TEL:PER 1000")
            self._rig.link.take()
            self._press()
            self._rig.run_for(1)
            self._scene += [f"< {line}" for line in self._rig.link.take().decode().splitlines()]
        self._ask("TEL:PER 0")

    def _service(self) -> None:
        self._open("service")
        self._do("service", "DEL:STOP")
        self._example("service", "LIM:STAG low_nl,5000000")
        self._example("service", "SERV:CLE:STAG RUNAWAY")
        host = self._hosts["service"]
        pad = hmac_sha256(host.key, f"wrap {self._counter + 1}")
        wrapped = bytes(a ^ b for a, b in zip(bytes(range(32)), pad, strict=True))
        self._example("service", f"KEY:ROT:STAG observer,{wrapped.hex()}")
