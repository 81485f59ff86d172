"""A pump, as scripts and notebooks see it: one class with every verb.

with Pump.open("socket://127.0.0.1:5025", role="clinician") as pump:
    print(pump.status().mode)
    change = pump.stage_bolus(dose_ng=20_000, duration_s=600)
    print(change.summary)
    change.wait_for_press()
    change.commit()

``Pump.open("sim")`` needs no pump: it simulates one in this process.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cisterna.parts.program import KINDS, Program
from pumpctl import keying, models, staged
from pumpctl.errors import AuthorityError, BadValue, LinkError
from pumpctl.exchange import TIMEOUT_S, Exchange, Identity
from pumpctl.framing import KEY_BYTES, Seal
from pumpctl.keys import NEXT, KeyRing
from pumpctl.link import Link
from pumpctl.log import BATCH, Log
from pumpctl.outcome import Reconciled
from pumpctl.reconcile import LastChange
from pumpctl.replies import integer, parse
from pumpctl.session import PATIENCE_S, Session
from pumpctl.staged import StagedChange
from pumpctl.stream import Stream
from pumpctl.transport import Transport

if TYPE_CHECKING:
    from pumpctl.simulated import SimulatedPump

SIM = "sim"
# SCPI's not-a-number.
_NOT_MEASURED = "9.91E37"


class Pump:
    """One pump over one link, from one thread.

    ``identity`` says which. Every failure is a PumpError whose text is one line that says what to
    do. A change raises Refused, AuthorityError, LinkError, or ReplyLost where its reply was lost;
    if the pump could not be asked what became of it, it is asked before anything else once it is
    back, here or in another program on this host, and ``reconciled`` says what it said. Which
    roles may change what is in the pump's table. What is staged must be committed within a minute.
    """

    def __init__(
        self,
        exchange: Exchange,
        identity: Identity,
        keys: KeyRing,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Use ``open`` or ``over``."""
        self.identity = identity
        self.keys = keys
        self._patience_s = patience_s
        self._exchange = exchange
        self._session: Session | None = None

    @classmethod
    def open(
        cls,
        port: str = "",
        role: str = "",
        keys: KeyRing | Path | str | None = None,
        timeout_s: float = TIMEOUT_S,
        patience_s: float = PATIENCE_S,
        speed: float | None = None,
    ) -> Self:
        """Find the pump, see who it is, and open a session if a role is given.

        ``port`` is a device, a URL of pyserial (``socket://host:port``), or ``sim`` for a new
        simulated pump in this process; without one the only board on USB is taken. ``keys`` is
        the keys file, else ``$CISTERNA_KEYS`` or ~/.config/cisterna/keys.toml; a simulated pump's
        are kept nowhere unless it is given. A reply may take ``timeout_s``, a link that was cut
        while something was changed may take ``patience_s`` to come back. ``speed`` is for ``sim``
        alone: how many times as fast as the host's its time runs; without it, its time passes
        only while the client waits for it and in ``sim.run``.
        """
        if port == SIM:
            from pumpctl.simulated import SimulatedPump

            simulated = SimulatedPump(keys, speed)
            return cls.over(simulated, role, simulated.keys, timeout_s, patience_s)
        # Here and not above: a simulated pump needs no serial ports.
        from pumpctl.find import only_port
        from pumpctl.serial_port import SerialPort

        return cls.over(SerialPort(port or only_port()), role, keys, timeout_s, patience_s)

    @classmethod
    def over(
        cls,
        transport: Transport,
        role: str = "",
        keys: KeyRing | Path | str | None = None,
        timeout_s: float = TIMEOUT_S,
        patience_s: float = PATIENCE_S,
    ) -> Self:
        """The same over a transport, which is closed if this fails."""
        try:
            exchange = Exchange(Link(transport), timeout_s)
            ring = keys if isinstance(keys, KeyRing) else KeyRing(keys)
            pump = cls(exchange, exchange.identify(), ring, patience_s)
            if role:
                pump._login(role)
        except BaseException:
            transport.close()
            raise
        return pump

    def _login(self, role: str) -> None:
        self._session = Session(
            self._exchange, self.keys, self.identity.serial, role, self.reconnect, self._patience_s
        )
        self._session.open()

    def as_role(self, role: str) -> Self:
        """The same pump in another role's session on the same link, as to confirm a change.

        Closing either closes the link of both.
        """
        other = type(self)(self._exchange, self.identity, self.keys, self._patience_s)
        other._login(role)
        return other

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the link. The session is left to idle away: ending it would cost a write to
        the pump's flash, and its key is gone with this object."""
        self.link.close()

    def reconnect(self, patience_s: float = PATIENCE_S) -> None:
        """Open the link anew after it was cut; LinkError if pump or port are not back in time."""
        self.link.reopen(patience_s)
        identity = self._exchange.identify()
        if identity.serial != self.identity.serial:
            raise LinkError(
                f"{self.port}: pump {identity.serial} is there now, not "
                f"{self.identity.serial}; name the port of the right one"
            )
        self.identity = identity

    @property
    def exchange(self) -> Exchange:
        """Requests without authority."""
        return self._exchange

    @property
    def link(self) -> Link:
        """The lines below them."""
        return self._exchange.link

    @property
    def transport(self) -> Transport:
        """What carries the lines."""
        return self.link.transport

    @property
    def port(self) -> str:
        """Where the pump is, as it was opened."""
        return self.transport.port

    @property
    def sim(self) -> "SimulatedPump":
        """The simulated pump's other side: its button and its time. BadValue: it is another's."""
        from pumpctl.simulated import SimulatedPump

        if not isinstance(self.transport, SimulatedPump):
            raise BadValue(f"{self.port} is not simulated in this process; open {SIM!r} for that")
        return self.transport

    @property
    def reconciled(self) -> list[Reconciled]:
        """What became of changes whose replies were lost, here or in another program."""
        return self._session.reconciled if self._session else []

    @property
    def role(self) -> str:
        """The session's role; empty without a session."""
        return self._session.role if self._session else ""

    # Any command.

    def query(self, header: str, *args: object) -> str:
        """Any read command; in a session its reply is proved to be the pump's."""
        if self._session:
            return self._session.ask(header, args)
        return self._exchange.ask(header, *args)

    def change(self, header: str, *args: object) -> str:
        """Any command that changes something; made once, or an exception says what is known."""
        return self._in_session(header).change(header, args)

    def command(self, header: str, *args: object) -> str:
        """Any command that needs a session and does not outlast it, such as the STAGE ones."""
        return self._in_session(header).ask(header, args)

    def _in_session(self, header: str) -> Session:
        if not self._session:
            raise AuthorityError(f"{header} needs a role; open the pump with one")
        return self._session

    def leave(self) -> None:
        """End the session on the pump; reading goes on without one."""
        self.command("AUTH:BYE")
        self._session = None

    # Reads: any role will do, and none as well.

    def _integer(self, header: str) -> int | None:
        text = self.query(header)
        return None if text == _NOT_MEASURED else integer(header, text)

    def _by_name(self, header: str) -> dict[str, int]:
        return parse(models.Settings, self.query(header)).root

    def status(self) -> models.Status:
        """Everything at a glance."""
        return parse(models.Status, self.query("STAT?"))

    def program(self) -> models.Therapy | None:
        """The program in use; None if the pump has none."""
        text = self.query("PROG?")
        return None if text == "{}" else parse(models.Therapy, text)

    def rate_nl_per_day(self) -> int:
        """The rate at which the pump delivers now."""
        return integer("PROG:RATE?", self.query("PROG:RATE?"))

    def limits(self) -> dict[str, int]:
        """What no program or bolus may pass, by name with its unit."""
        return self._by_name("LIM?")

    def calibration(self) -> dict[str, int]:
        """What the pump's mechanics and sensors are, by name with its unit."""
        return self._by_name("CAL?")

    def reservoir(self) -> models.Reservoir:
        """The account of the reservoir."""
        return parse(models.Reservoir, self.query("RES?"))

    def remaining_nl(self) -> int | None:
        """The least that the reservoir can hold; None if that is not known."""
        return self._integer("RES:VOL?")

    def bolus(self) -> models.Bolus:
        """What runs, what was given, what the patient may have."""
        return parse(models.Bolus, self.query("BOL?"))

    def alarms(self) -> models.Alarms:
        """The alarms that stand."""
        return parse(models.Alarms, self.query("ALAR?"))

    def pressure_pa(self) -> int | None:
        """Line pressure; None if it cannot be measured."""
        return self._integer("MEAS:PRES?")

    def level_nl(self) -> int | None:
        """Measured content; None if it cannot be measured."""
        return self._integer("MEAS:LEV?")

    def supply_mv(self) -> int | None:
        """Supply voltage; None if it cannot be measured."""
        return self._integer("MEAS:SUPP?")

    def clock(self) -> models.Clock:
        """The pump's clocks."""
        return parse(models.Clock, self.query("CLOC?"))

    def staged(self) -> models.Staged | None:
        """The change that is staged; None if there is none."""
        return staged.waiting(self)

    def last_change(self) -> LastChange:
        """The last change that the pump accepted, from whomever."""
        return LastChange.parse(self.query("SYST:LAST?"))

    def link_counters(self) -> dict[str, int]:
        """What the pump counts of its link: lines, errors, drops."""
        return self._by_name("SYST:LINK?")

    def errors(self) -> list[tuple[int, str]]:
        """Empty the pump's queue of refusals: (number, text), oldest first."""
        found = []
        while not (text := self.query("SYST:ERR?")).startswith("0,"):
            number, _, rest = text.partition(",")
            found.append((integer("SYST:ERR?", number), rest.strip('"')))
        return found

    def help(self, header: str = "") -> str:
        """The pump's own help: all headers, or what one command takes and who may give it."""
        return self.query("SYST:HELP?", *([header] if header else []))

    def log_range(self) -> tuple[int, int]:
        """(sequence of the oldest entry kept, that of the next to come)."""
        first, _, following = self.query("LOG:COUN?").partition(",")
        return integer("LOG:COUN?", first), integer("LOG:COUN?", following)

    def download_log(self, since: int = 0) -> Log:
        """The event log from a sequence number on, its chain verified.

        Entries that the pump drops or adds meanwhile are left out at the one end and taken in at
        the other.
        """
        first, following = self.log_range()
        log = Log()
        place = max(first, since)
        while place < following:
            # The reply may hold fewer than were asked for.
            place = log.add_page(self.query("LOG?", place, min(BATCH, following - place)))
            if not place:
                break
        return log

    def telemetry(self, period_ms: int = 1_000, signed: bool = False) -> Stream:
        """What the pump sends by itself: iterate it for Sample and LogEvent.

        ``signed`` takes only lines with the session's MAC.
        """
        return Stream(self, period_ms, signed)

    def proves_telemetry(self, text: str, mac: str) -> bool:
        """True if the MAC of a telemetry line is this session's."""
        return self._session is not None and self._session.proves_telemetry(text, mac)

    # Changes at once.

    def stop(self) -> None:
        """Stop delivery, a bolus as well."""
        self.change("DEL:STOP")

    def suspend(self) -> None:
        """Hold delivery for two minutes; repeat it to hold it longer."""
        self.change("DEL:SUSP")

    def resume(self) -> None:
        """Go on after a suspension or a fault that has cleared."""
        self.change("DEL:RES")

    def patient_bolus(self) -> None:
        """Give the patient bolus of the program."""
        self.change("BOL:PAT")

    def acknowledge(self, *faults: str) -> None:
        """Acknowledge alarms by name, all if none is named."""
        self.change("ALAR:ACK", *(faults or ("ALL",)))

    def pause_audio(self, seconds: int) -> None:
        """Silence the buzzer for at most 120 s."""
        self.change("ALAR:PAUS", seconds)

    def test_alarms(self) -> None:
        """Sound every priority, one after the other."""
        self.change("ALAR:TEST")

    def set_clock(self, when: datetime) -> None:
        """Set the pump's wall clock to a local time."""
        self.change("CLOC:SET", models.wall_seconds(when))

    def restart(self) -> None:
        """Restart the pump's processor; the pump refuses while it delivers."""
        self.change("*RST")

    # Changes in two steps.

    def _stage(self, what: str, *args: object) -> StagedChange:
        return StagedChange(self, self.command(f"{what}:STAG", *args))

    def stage_program(self, program: Program) -> StagedChange:
        """A new program, in the form of the pump's core."""
        segments = [value for segment in program.segments for value in segment]
        return self._stage(
            "PROG",
            KINDS[program.kind],
            program.concentration_ug_per_ml,
            program.bolus_dose_ng,
            program.bolus_s,
            program.lockout_s,
            program.daily_cap,
            *segments,
        )

    def stage_refill(
        self, volume_nl: int, concentration_ug_per_ml: int, residual_nl: int | None = None
    ) -> StagedChange:
        """A refill; ``residual_nl`` is what was drawn out before, if it was measured."""
        residual = [] if residual_nl is None else [residual_nl]
        return self._stage("RES:REF", volume_nl, concentration_ug_per_ml, *residual)

    def stage_bolus(self, dose_ng: int, duration_s: int) -> StagedChange:
        """A single bolus."""
        return self._stage("BOL", dose_ng, duration_s)

    def stage_start(self) -> StagedChange:
        """Delivery by the program."""
        return self._stage("DEL:STAR")

    def stage_limits(self, limits: Mapping[str, int]) -> StagedChange:
        """Limits by name; those not named stay."""
        return self._stage("LIM", *(item for pair in limits.items() for item in pair))

    def stage_service(self, fault: str) -> StagedChange:
        """The release of a fault that only service may let go."""
        return self._stage("SERV:CLE", fault)

    # Keys.

    def stage_key(self, role: str) -> StagedChange:
        """A new key for a role; the host keeps it, nobody sees it, and takes it up when the pump
        has."""
        keying.check_role(role)
        self.settle_key(role)
        key = secrets.token_bytes(KEY_BYTES)
        self.keys.put(self.identity.serial, {f"{role}{NEXT}": key})

        def wrapped(seal: Seal) -> Sequence[object]:
            return role, seal.wrap(key)

        text = self._in_session("KEY:ROT:STAG").ask("KEY:ROT:STAG", wrapped)
        return StagedChange(self, text, lambda: self.settle_key(role))

    def settle_key(self, role: str) -> bool:
        """Take up a role's next key if the pump has it, else drop it; True if it was taken up."""
        serial = self.identity.serial
        if self.keys.next_key(serial, role) is None:
            return False
        return keying.settle(self.keys, serial, role, self.query("KEY?"))

    def provision(
        self, wait_s: float = keying.PRESS_S, tell: Callable[[float], None] | None = None
    ) -> None:
        """Give new keys to a pump that has none: over USB, while its button is held.

        ``tell`` is called now and then with the seconds left to press it. NotConfirmed: it was
        not pressed. The keys go over the cable as they are.
        """
        keying.provision(self._exchange, self.keys, self.identity.serial, wait_s, tell)

    def wipe_keys(self) -> None:
        """Make the pump and this host forget the pump's keys: see Refused for when it may."""
        self._exchange.ask("KEY:WIPE")
        self.keys.forget(self.identity.serial)
