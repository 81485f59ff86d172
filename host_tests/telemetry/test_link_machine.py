"""The whole interface against a model of a page: people, time, power, in any order.

What the model says is possible happens, and is answered as said; nothing else does.
"""

import contextlib
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cisterna.base import faults
from cisterna_sim.store import PowerCut
from host_tests.kit.desk import ROLES, SECOND_US, Desk, Session, split
from host_tests.kit.roles import MAY

IDLE_US, STAGED_US, SUSPENDED_US = 180 * SECOND_US, 60 * SECOND_US, 120 * SECOND_US
# Whose session is used: mostly one that may, if it is open.
WHO = st.sampled_from(["right"] * 6 + list(ROLES))
PROGRAM = "PROG:STAG continuous,2000,10000,600,3600,6,127,0,{}"
WHAT = st.sampled_from(["PROG", "BOL", "LIM", "DEL:STAR"])
DOSES_NG = st.sampled_from([200_000, 250_000, 300_000])
LOW_NL = st.sampled_from([4_000_000, 5_000_000])
AT_ONCE = st.sampled_from(["DEL:STOP", "DEL:SUSP", "DEL:RES", "BOL:PAT", "ALAR:ACK ALL"])
FLOWING = ("BASAL", "BOLUS", "SUSPENDED")
# The modes in which each can be done, when it is staged and when it is committed.
POSSIBLE = {
    "PROG": ("BASAL", "BOLUS", "SUSPENDED", "STOPPED"),
    "BOL": ("BASAL", "STOPPED"),
    "LIM": ("STOPPED",),
    "DEL:STAR": ("STOPPED",),
    "DEL:STOP": FLOWING,
    "DEL:SUSP": FLOWING,
    "DEL:RES": ("SUSPENDED",),
    "ALAR:ACK": (*FLOWING, "STOPPED"),
}
# Codes of the faults of medium and high priority.
ABOVE_LOW = [code for code, row in enumerate(faults.FAULTS) if row[1] > faults.LOW]


class Staged:
    """What the model has staged."""

    def __init__(self, reply: dict[str, Any], role: str, value: int, until_us: int) -> None:
        self.what, self.number, self.echo = reply["what"], reply["id"], reply["echo"]
        self.role, self.value, self.until_us = role, value, until_us
        self.pressed = False
        self.confirmed = self.what != "LIM"
        self.reply = reply


class LinkMachine(RuleBasedStateMachine):
    """A delivering pump, whoever has a key, and what may happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.used_us: dict[Session, int] = {}  # the open sessions, in the order of opening
        self.last: dict[Session, tuple[str, str]] = {}  # their last line that was taken
        self.ended: list[Session] = []
        self.lines: list[str] = []
        self.counter = 0
        self.change = (0, "-", "none")
        self.staged: Staged | None = None
        self.old: list[dict[str, Any]] = []
        self.mode = self.resting = "BASAL"
        self.suspended_until_us = self.bolus_until_us = 0
        self.dose_ng, self.low_nl = 300_000, 4_000_000
        self.boluses = 0
        self.cuts = 0
        self.tags = 0

    @property
    def now_us(self) -> int:
        """Pump time."""
        return self.desk.now_us

    def settle(self) -> None:
        """Bring the model to the present; and the pump, so that no pulse waits to be counted."""
        now_us = self.now_us
        for session, used_us in list(self.used_us.items()):
            if now_us >= used_us + IDLE_US:
                self.end(session)
        if self.staged is not None and now_us >= self.staged.until_us:
            self.staged = None
        if (self.mode == "SUSPENDED" and now_us >= self.suspended_until_us) or (
            self.mode == "BOLUS" and now_us >= self.bolus_until_us
        ):
            self.mode = self.resting
        self.desk.order("acknowledge", 0)

    def end(self, session: Session) -> None:
        """A session ends."""
        del self.used_us[session]
        self.last.pop(session, None)
        self.ended.append(session)

    def session(self, who: str, header: str) -> Session | None:
        """The session that is used: of one who may, or of a role; an ended one if none is open."""
        known = [*self.used_us, *reversed(self.ended)]
        if who == "right":
            return next((session for session in known if session.role[0] in MAY[header]), None)
        return next((session for session in known if session.role == who), None)

    # -- what the model expects ------------------------------------------------------------------

    def taken(self, session: Session, header: str) -> str:
        """The reason why a line is not even taken; empty if it is."""
        if session not in self.used_us:
            return "no such session"
        return "" if session.role[0] in MAY[header] else f"the role {session.role} may not"

    def hindrance(self, what: str) -> str:
        """The reason why it is not possible now; empty if it is."""
        pump = self.desk.pump
        if what == "BOL:PAT":
            history = pump.history  # proved by TestBolusMachine
            barred = pump.alarms.any_present(ABOVE_LOW)
            locked = self.now_us < history.locked_until_us
            full = history.patient_count(self.now_us) >= 6
            return "-221" if self.mode != "BASAL" or barred or locked or full else ""
        return "" if self.mode in POSSIBLE[what] else "-221"

    def do(self, what: str, value: int = 0) -> None:
        """It is done."""
        pump = self.desk.pump
        if what in ("BOL", "BOL:PAT"):
            self.mode, self.bolus_until_us = "BOLUS", pump.bolus.end_us
            self.boluses += 1
        elif what == "PROG":
            self.dose_ng = value
            if self.mode == "BOLUS":
                self.mode = self.resting
        elif what == "LIM":
            self.low_nl = value
        elif what == "DEL:STAR":
            self.mode = self.resting = "BASAL"
        elif what == "DEL:STOP":
            self.mode = self.resting = "STOPPED"
        elif what == "DEL:SUSP":
            self.mode, self.suspended_until_us = "SUSPENDED", self.now_us + SUSPENDED_US
        elif what == "DEL:RES":
            self.mode = self.resting

    def say(self, session: Session, text: str, refusal: str, change: bool) -> str:
        """Give a command that must be refused so, or done if that is empty; the payload."""
        self.tags += 1
        tag = f"t{self.tags}"
        header = text.partition(" ")[0]
        not_taken = self.taken(session, header)
        refusal = not_taken or refusal
        line = session.frame(text, tag=tag)
        before = self.desk.facts()
        reply = self.desk.ask(line)
        self.lines.append(line)
        payload = split(reply)[1]
        assert payload.startswith("ERR ") == bool(refusal), (text, reply, refusal)
        assert refusal in payload
        if not_taken:
            assert self.desk.facts() == before
            return payload
        self.counter = self.desk.counter
        self.used_us[session] = self.now_us
        self.last[session] = line, reply
        if change:
            self.change = self.counter, tag, "refused" if refusal else "done"
        return payload

    # -- people ----------------------------------------------------------------------------------

    @rule(role=st.sampled_from(ROLES))
    def somebody_opens_a_session(self, role: str) -> None:
        self.settle()
        session = self.desk.open(role)
        rivals = [other for other in self.used_us if other.role == role]
        if rivals or len(self.used_us) == 2:
            self.end(rivals[0] if rivals else min(self.used_us, key=self.used_us.__getitem__))
        self.used_us[session] = self.now_us

    @rule(who=WHO)
    def somebody_says_bye(self, who: str) -> None:
        self.settle()
        session = self.session(who, "AUTH:BYE")
        if session is not None:
            self.say(session, "AUTH:BYE", "", change=False)
            if session in self.used_us:
                self.end(session)

    @rule(who=WHO)
    def somebody_asks(self, who: str) -> None:
        self.settle()
        session = self.session(who, "TEL:MAC")
        if session in self.used_us:
            line = session.frame("MEAS:SUPP?")
            reply = self.desk.ask(line)
            assert split(reply)[1].isdigit()
            self.counter, self.used_us[session] = self.desk.counter, self.now_us
            self.last[session] = line, reply
            self.lines.append(line)

    @rule(who=WHO, text=AT_ONCE)
    def somebody_wants_something_at_once(self, who: str, text: str) -> None:
        self.settle()
        what = text.partition(" ")[0]
        session = self.session(who, what)
        if session is None:
            return
        if self.say(session, text, self.hindrance(what), change=True) == "OK":
            self.do(what)

    @rule(who=WHO, what=WHAT,
          dose_ng=DOSES_NG, low_nl=LOW_NL)  # fmt: skip
    def somebody_stages(self, who: str, what: str, dose_ng: int, low_nl: int) -> None:
        self.settle()
        session = self.session(who, f"{what}:STAG")
        if session is None:
            return
        text = {
            "PROG": PROGRAM.format(dose_ng),
            "BOL": "BOL:STAG 5000,60",
            "LIM": f"LIM:STAG low_nl,{low_nl}",
            "DEL:STAR": "DEL:STAR:STAG",
        }[what]
        refusal = self.taken(session, f"{what}:STAG") or self.hindrance(what)
        if refusal:
            self.say(session, text, refusal, change=False)
            return
        reply = session.stage(text)
        self.lines.append(self.desk.sent[-1])
        self.counter, self.used_us[session] = self.desk.counter, self.now_us
        self.last.pop(session, None)  # its reply was not kept here
        if self.staged is not None:
            self.old.append(self.staged.reply)
        value = dose_ng if what == "PROG" else low_nl
        self.staged = Staged(reply, session.role, value, self.now_us + STAGED_US)
        assert (reply["what"], reply["id"], reply["role"]) == (what, self.counter, session.role)

    def named(self, which: str) -> tuple[str, int, str]:
        """What somebody believes to be staged: command, id and echo."""
        staged = self.staged
        reply = staged.reply if staged is not None else None
        if which == "old" or reply is None:
            reply = self.old[-1] if self.old else {"what": "BOL", "id": 1, "echo": "0" * 8}
        echo = reply["echo"]
        if which == "wrong echo":
            echo = f"{int(echo, 16) ^ 1:08x}"
        what = reply["what"]
        if which == "other command":
            what = {"PROG": "BOL", "BOL": "PROG", "DEL:STAR": "BOL", "LIM": "SERV:CLE"}[what]
        return what, reply["id"], echo

    WHICH = st.sampled_from(["present"] * 6 + ["old", "wrong echo", "other command"])

    def mismatch(self, number: int, echo: str) -> str:
        """Why that is not what is staged; empty if it is."""
        if self.staged is None or self.staged.number != number:
            return "nothing with id"
        return "" if echo == self.staged.echo else "the echo is not"

    @rule(who=WHO, which=WHICH)
    def somebody_confirms(self, who: str, which: str) -> None:
        self.settle()
        session = self.session(who, "CONF")
        if session is None:
            return
        _, number, echo = self.named(which)
        refusal = self.mismatch(number, echo)
        staged = self.staged
        if not refusal:
            assert staged is not None
            if staged.what != "LIM":
                refusal = "needs no second role"
            elif session.role == staged.role:
                refusal = "another role must confirm"
        reply = self.say(session, f"CONF {number},{echo}", refusal, change=False)
        if reply == "OK":
            assert staged is not None
            staged.confirmed = True

    @rule(who=WHO, which=WHICH)
    def somebody_commits(self, who: str, which: str) -> None:
        self.settle()
        what, number, echo = self.named(which)
        session = self.session(who, f"{what}:COMM")
        if session is None:
            return
        refusal = self.mismatch(number, echo)
        staged = self.staged
        if not refusal:
            assert staged is not None
            if what != staged.what:
                refusal = f"{staged.what} is staged"
            elif not staged.confirmed:
                refusal = "a second role must confirm"
            elif not staged.pressed:
                refusal = "button first"
            else:
                refusal = self.hindrance(what)
        if self.say(session, f"{what}:COMM {number},{echo}", refusal, change=True) == "OK":
            assert staged is not None
            self.do(what, staged.value)
            self.old.append(staged.reply)
            self.staged = None

    @rule(who=WHO)
    def somebody_drops_it(self, who: str) -> None:
        self.settle()
        session = self.session(who, "STAG:DROP")
        if session is not None and self.say(session, "STAG:DROP", "", change=False) == "OK":
            self.staged = None

    @rule()
    def the_button_is_pressed(self) -> None:
        self.settle()
        while any(-2 * SECOND_US < left_us < 2 * SECOND_US for left_us in self.ahead()):
            self.desk.run(2)
        self.settle()
        granted = self.staged is None and not self.hindrance("BOL:PAT")
        self.desk.press()
        if self.staged is not None:
            self.staged.pressed = True
        if granted:
            self.do("BOL:PAT")

    @rule(what=WHAT, dose_ng=DOSES_NG, low_nl=LOW_NL, last=st.booleans())
    def it_is_prepared_as_it_should_be(
        self, what: str, dose_ng: int, low_nl: int, last: bool
    ) -> None:
        """Without it few runs would get a change done."""
        for role in ("clinician", "service"):
            if all(session.role != role for session in self.used_us):
                self.somebody_opens_a_session(role)
        if what in ("LIM", "DEL:STAR") and self.mode in FLOWING:
            self.somebody_wants_something_at_once("right", "DEL:STOP")
        self.somebody_stages("right", what, dose_ng, low_nl)
        if what == "LIM":
            self.somebody_confirms("clinician", "present")
        self.the_button_is_pressed()
        if last:
            self.somebody_commits("right", "present")

    # -- mischief and mishaps --------------------------------------------------------------------

    @rule(place=st.integers(0, 40))
    def an_old_line_comes_again(self, place: int) -> None:
        self.settle()
        if not self.lines:
            return
        line = self.lines[-1 - place % len(self.lines)]
        replies = [reply for known, reply in self.last.values() if known == line]
        unknown = self.used_us.keys() - self.last.keys()
        before = self.desk.facts()
        reply = self.desk.ask(line)
        assert self.desk.facts() == before
        if replies:
            assert reply == replies[0]
        elif not unknown:  # else it may be the one whose reply was not kept here
            assert "ERR -203" in reply

    def ahead(self) -> list[int]:
        """Time until each thing that happens by itself."""
        ends_us = [used_us + IDLE_US for used_us in self.used_us.values()]
        if self.staged is not None:
            ends_us.append(self.staged.until_us)
        ends_us += [self.suspended_until_us, self.bolus_until_us]
        ends_us.append(self.desk.pump.history.locked_until_us)
        return [end_us - self.now_us for end_us in ends_us]

    @rule(seconds=st.one_of(st.sampled_from([0.001, 1, 61, 130, 1800]), st.floats(0, 70)))
    def time_passes(self, seconds: float) -> None:
        self.desk.run(seconds)
        self.settle()

    @rule(short_us=st.sampled_from([0, 1]), place=st.integers(0, 9))
    def time_passes_until_something_ends(self, short_us: int, place: int) -> None:
        ahead_us = [left_us for left_us in self.ahead() if left_us > short_us]
        if ahead_us:
            self.desk.run_until_pump(self.now_us + ahead_us[place % len(ahead_us)] - short_us)
            self.settle()

    @rule(off_s=st.sampled_from([0, 5, 500]))
    def the_power_fails(self, off_s: int) -> None:
        self.settle()
        self.desk.rig.power_down()
        self.boot(off_s)

    def boot(self, off_s: int) -> None:
        """The pump starts again: sessions, staged change and passing modes are gone."""
        self.cuts += 1
        for session in list(self.used_us):
            self.end(session)
        self.desk.run(off_s)
        self.desk.rig.power_up(1)
        self.desk.run(3)
        if self.staged is not None:
            self.old.append(self.staged.reply)
            self.staged = None
        self.mode = self.resting
        self.counter, tag, _ = self.change
        self.change = self.counter, tag, "unknown" if self.counter else "none"
        self.settle()

    @precondition(lambda self: bool(self.used_us))
    @rule(write=st.integers(1, 7), text=st.sampled_from(["DEL:STOP", "DEL:SUSP", "COMM"]))
    def the_power_fails_in_the_midst_of_a_change(self, write: int, text: str) -> None:
        """It is done or not, and if it is, its counter was stored first."""
        self.settle()
        staged = self.staged
        session = list(self.used_us)[-1]
        if text == "COMM":
            what, number, echo = self.named("present")
            text = f"{what}:COMM {number},{echo}"
        line = session.frame(text, tag="cut")
        self.lines.append(line)
        store = self.desk.rig.store
        old, new = self.change[0], self.desk.counter
        before = self.dose_ng, self.low_nl, self.resting
        store.cut_at = store.writes + write
        with contextlib.suppress(PowerCut):
            self.desk.ask(line)
            # Torn later or not at all: as good as after it was answered.
            store.cut_at = None
            self.desk.rig.power_down()
        store.cut_at = None
        self.boot(0)
        found = self.desk.telemetry.sessions.counter.value
        assert found in (old, new)
        self.boluses = len(self.desk.names("BOLUS_GRANTED"))
        if found == new:
            self.counter = new
            self.change = new, "cut", "unknown"
            if staged is not None:
                self.dose_ng, self.low_nl = self.present()
            self.resting = self.mode = self.desk.mode
        after = self.dose_ng, self.low_nl, self.resting
        if staged is not None and text.startswith(staged.what):
            done = {
                "PROG": (staged.value, before[1], before[2]),
                "LIM": (before[0], staged.value, before[2]),
                "DEL:STAR": (before[0], before[1], "BASAL"),
                "BOL": before,
            }[staged.what]
            ready = staged.pressed and staged.confirmed
            assert after in ((before, done) if ready else (before,))
        elif text == "DEL:STOP" and session.role[0] in MAY[text]:
            assert after in (before, (*before[:2], "STOPPED"))
        else:
            assert after == before

    # -- what always holds -----------------------------------------------------------------------

    def present(self) -> tuple[int, int]:
        """Daily dose and low mark, as the pump tells them."""
        program = self.desk.read("PROG?")
        return program["mean_ng_per_day"], self.desk.read("LIM?")["low_nl"]

    @invariant()
    def the_pump_is_as_the_model_has_it(self) -> None:
        desk = self.desk
        self.settle()
        assert desk.mode == self.mode
        assert self.present() == (self.dose_ng, self.low_nl)
        authority = desk.read("AUTH?")
        assert authority["sessions"] == [[session.name, session.role] for session in self.used_us]
        assert authority["counter"] == self.counter
        assert desk.ask("SYST:LAST?") == ",".join(str(part) for part in self.change)
        staged, shown = self.staged, desk.read("STAG?")
        if staged is None:
            assert shown == {}
        else:
            told = shown["id"], shown["echo"], shown["pressed"], shown["confirmed"]
            assert told == (staged.number, staged.echo, staged.pressed, staged.confirmed)
        assert desk.pump.confirm_press.wanted == (staged is not None)

    @invariant()
    def no_bolus_is_given_that_nobody_was_granted(self) -> None:
        assert len(self.desk.names("BOLUS_GRANTED")) == self.boluses

    @invariant()
    def the_account_closes_and_holds_the_truth(self) -> None:
        ledger, plant = self.desk.pump.ledger, self.desk.rig.plant
        step_nl = self.desk.pump.memory.calibration.step_pl / 1000
        whole_nl = ledger.remaining_nl + ledger.delivered_nl + ledger.primed_nl
        assert abs(ledger.fill_nl - whole_nl - ledger.unconfirmed_steps * step_nl) <= step_nl
        true_nl = ledger.fill_nl - plant.rotor_steps * step_nl
        charged = max(ledger.charged, ledger.forward) - ledger.forward
        assert ledger.remaining_nl - (charged + 1) * step_nl <= true_nl
        assert true_nl <= ledger.most_remaining_nl + step_nl
        assert ledger.unconfirmed_steps <= self.cuts * 512


@pytest.mark.req("T02", "T03", "T05", "F09")
class TestLinkMachine(LinkMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(max_examples=150, stateful_step_count=50)
