"""Sessions with the real pump core over a line on which everything goes wrong: nothing is done
twice, and what the client says of a change is what the pump did."""

from datetime import datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from host_tests.kit.peer import PEERS, TcpPeer, header
from host_tests.kit.pump_peer import FATES, SERIAL, PumpEnd
from pumpctl import AuthorityError, KeyRing, LinkError, Outcome, Pump, Refused, ReplyLost
from pumpctl.errors import Garbage, LinkLost, NoAnswer
from pumpctl.exchange import TRIES
from pumpctl.framing import SessionKey, crc, request

NOON = datetime(2026, 6, 1, 12)


class Wire:
    """A transport without the operating system, so that a time-out takes no time."""

    port = "wire"

    def __init__(self, end: PumpEnd) -> None:
        self.end = end
        self.cut = False
        self.passed_s = 0.0
        self._said = b""
        end.pull = self._pull

    def _pull(self) -> None:
        self.cut = True

    def write(self, data: bytes) -> None:
        if self.cut:
            raise LinkLost("wire: the link was cut")
        if data == b"\n":
            return
        self._said += self.end.answer(data.removesuffix(b"\n")) or b""
        if self.cut:
            self._said = b""
            raise LinkLost("wire: the link was cut")

    def read(self, timeout_s: float) -> bytes:
        said, self._said = self._said, b""
        if not said:
            self.passed_s += timeout_s
        return said

    def now_s(self) -> float:
        return self.passed_s

    def sleep(self, seconds: float) -> None:
        self.passed_s += seconds

    def reopen(self) -> None:
        self.cut = False

    def close(self) -> None:
        pass


@pytest.fixture
def keys(tmp_path):
    return KeyRing(tmp_path / "keys.toml")


@pytest.fixture
def end(keys):
    return PumpEnd(keys)


def _open(end, keys, role="clinician"):
    """A Pump on a Wire to this end."""
    return Pump.over(Wire(end), role, keys, patience_s=0)


def _outcome(info):
    """What a ReplyLost says that the pump did."""
    assert info.value.reconciled is not None, info.value
    return info.value.reconciled.outcome


def _notes(keys):
    return list(keys.path.parent.glob("pending/*"))


def test_a_change_is_made_and_its_note_is_gone(end, keys):
    pump = _open(end, keys)
    pump.set_clock(NOON)
    assert end.logged("CLOCK_SET")[-1] == "43140 s shifted"
    assert _notes(keys) == []
    assert pump.reconciled == []
    assert pump.role == "clinician"


@pytest.mark.parametrize("fate", ["lose", "mute", "spoil", "garble", "twice"])
@pytest.mark.parametrize("times", [1, TRIES - 1])
def test_noise_costs_a_retry_by_the_same_line_and_nothing_is_done_twice(end, keys, fate, times):
    pump = _open(end, keys)
    end.fates["CLOC:SET"].extend([fate] * times)
    before = len(end.logged("CLOCK_SET"))
    pump.set_clock(NOON)
    assert len(end.logged("CLOCK_SET")) == before + 1
    assert len({line for line in end.lines if header(line) == "CLOC:SET"}) == 1


def test_a_read_is_asked_again_over_noise(end, keys):
    pump = _open(end, keys)
    for fate in ("lose", "mute", "spoil", "garble"):
        end.fates["RES:VOL?"].extend([fate] * 2)
        assert pump.remaining_nl() == end.rig.pump.ledger.remaining_nl
    end.fates["RES:VOL?"].extend(["lose"] * TRIES)
    with pytest.raises(NoAnswer, match=r"no answer to RES:VOL\? in 3 tries"):
        pump.remaining_nl()
    end.fates["RES:VOL?"].extend(["garble"] * TRIES)
    with pytest.raises(Garbage, match=r"every answer to RES:VOL\? came damaged"):
        pump.remaining_nl()


# -- what became of it --------------------------------------------------------------------------


def test_a_cut_before_a_change_arrived_is_reported_as_not_accepted(end, keys):
    pump = _open(end, keys)
    end.fates["CLOC:SET"].append("cut")
    with pytest.raises(ReplyLost, match="did not accept CLOC:SET: give it again") as info:
        pump.set_clock(NOON)
    assert _outcome(info) is Outcome.NOT_ACCEPTED
    assert info.value.exit_code == 8
    assert _notes(keys) == []


def _stay_out(end):
    """The cable is out for longer than the pump keeps a session of a silent host."""
    pull = end.pull

    def stay():
        pull()
        end.rig.run_for(200)

    end.pull = stay


def test_after_a_short_cut_the_same_line_gets_the_reply_that_was_lost(end, keys):
    """The pump does not notice the cut, so the session goes on."""
    pump = _open(end, keys)
    before = len(end.logged("CLOCK_SET"))
    end.fates["CLOC:SET"].append("cut after")
    pump.set_clock(NOON)
    assert len(end.logged("CLOCK_SET")) == before + 1
    assert _notes(keys) == []
    end.fates["DEL:RES"].append("cut after")
    with pytest.raises(Refused, match="resume is not possible"):
        pump.resume()


def test_a_long_cut_after_a_change_is_reported_as_accepted(end, keys):
    pump = _open(end, keys)
    _stay_out(end)
    end.fates["CLOC:SET"].append("cut after")
    with pytest.raises(ReplyLost, match="accepted CLOC:SET and did it") as info:
        pump.set_clock(NOON)
    assert _outcome(info) is Outcome.ACCEPTED
    asked = [header(line) for line in end.lines]
    assert asked[asked.index("CLOC:SET") + 1 :][:3] == ["*IDN?", "SYST:PROT?", "SYST:LAST?"]


def test_a_change_that_was_refused_while_the_link_was_cut_is_reported_so(end, keys):
    pump = _open(end, keys)
    _stay_out(end)
    end.fates["DEL:RES"].append("cut after")  # nothing to resume
    with pytest.raises(ReplyLost, match="refused DEL:RES; nothing was done") as info:
        pump.resume()
    assert _outcome(info) is Outcome.REFUSED


def test_a_restart_after_a_change_leaves_its_outcome_unknown(end, keys):
    pump = _open(end, keys)
    end.fates["CLOC:SET"].append("restart after")
    with pytest.raises(ReplyLost, match="look at the pump's state and log") as info:
        pump.set_clock(NOON)
    assert _outcome(info) is Outcome.ACCEPTED_UNKNOWN
    assert str(info.value.reconciled) == (
        "CLOC:SET, whose reply was lost: accepted, outcome unknown (pump restarted)"
    )


def test_a_restart_before_a_change_costs_a_new_session_and_it_is_made_once(end, keys):
    pump = _open(end, keys)
    before = len(end.logged("CLOCK_SET"))
    end.fates["CLOC:SET"].append("restart")
    pump.set_clock(NOON)
    assert len(end.logged("CLOCK_SET")) == before + 1


def test_a_pump_that_stays_away_is_asked_first_when_it_is_back(end, keys):
    pump = _open(end, keys)
    end.fates["CLOC:SET"].append("cut after")
    end.fates["*IDN?"].extend(["cut"] * 9)
    with pytest.raises(ReplyLost, match="cannot be reached; before anything else") as info:
        pump.set_clock(NOON)
    assert info.value.reconciled is None
    assert len(_notes(keys)) == 1
    end.fates.clear()
    end.lines.clear()
    pump.reconnect(0)
    pump.stop()
    asked = [header(line) for line in end.lines]
    assert asked.index("SYST:LAST?") < asked.index("DEL:STOP")
    assert [each.outcome for each in pump.reconciled] == [Outcome.ACCEPTED]
    assert _notes(keys) == []


@pytest.mark.parametrize(
    ("fate", "outcome"), [("cut", Outcome.NOT_ACCEPTED), ("cut after", Outcome.ACCEPTED)]
)
def test_another_program_reconciles_as_well(end, keys, fate, outcome):
    pump = _open(end, keys)
    end.fates["CLOC:SET"].append(fate)
    end.fates["*IDN?"].extend(["cut"] * 9)
    with pytest.raises(ReplyLost):
        pump.set_clock(NOON)
    end.fates.clear()
    end.lines.clear()
    other = _open(end, KeyRing(keys.path), "service")
    assert [(each.pending.header, each.outcome) for each in other.reconciled] == [
        ("CLOC:SET", outcome)
    ]
    assert header(end.lines[4]) == "SYST:LAST?"  # after *IDN?, SYST:PROT?, AUTH:HELL, AUTH:PROV
    assert _open(end, keys).reconciled == []


def test_a_line_that_was_held_up_is_worth_nothing_once_it_was_reported_lost(end, keys):
    """The line was in a buffer on the way while the pump was asked what it had accepted."""
    pump = _open(end, keys)
    end.fates["CLOC:SET"].extend(["lose"] * TRIES)
    with pytest.raises(ReplyLost) as info:
        pump.set_clock(NOON)
    assert _outcome(info) is Outcome.NOT_ACCEPTED
    before = end.logged("CLOCK_SET")
    held_up = next(line for line in end.lines if header(line) == "CLOC:SET")
    assert b"ERR -203" in end.hear(held_up)
    assert end.logged("CLOCK_SET") == before


def test_a_line_that_was_held_up_is_dead_when_another_role_has_asked(end, keys):
    """The clinician's session lives on, and its counter was ahead of the pump's."""
    pump = _open(end, keys)
    end.fates["STAT?"].extend(["lose"] * TRIES)
    with pytest.raises(NoAnswer):
        pump.status()
    end.fates["CLOC:SET"].extend(["lose"] * TRIES)
    end.fates["SYST:LAST?"].extend(["lose"] * 99)
    with pytest.raises(ReplyLost, match="cannot be reached"):
        pump.set_clock(NOON)
    held_up = next(line for line in end.lines if header(line) == "CLOC:SET")
    end.fates.clear()
    (reconciled,) = _open(end, keys, "service").reconciled
    assert reconciled.outcome is Outcome.NOT_ACCEPTED
    before = end.logged("CLOCK_SET")
    assert len(end.rig.telemetry.desk.sessions.open) == 2
    assert b"ERR -203" in end.hear(held_up)
    assert end.logged("CLOCK_SET") == before


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        (["suspend"], Outcome.NOT_ACCEPTED),  # it has taken up the same counter with its own tag
        (["suspend", "resume"], Outcome.SUPERSEDED),
    ],
)
def test_a_change_that_another_one_followed_is_not_guessed_at(end, keys, changes, outcome):
    pump = _open(end, keys)
    end.fates["CLOC:SET"].append("cut")
    end.fates["*IDN?"].extend(["cut"] * 9)
    with pytest.raises(ReplyLost):
        pump.set_clock(NOON)
    end.fates.clear()
    elsewhere = KeyRing(keys.path.parent / "elsewhere" / "keys.toml")
    elsewhere.put(SERIAL, {"service": keys.key(SERIAL, "service")})
    other = _open(end, elsewhere, "service")
    for change in changes:
        getattr(other, change)()
    assert [each.outcome for each in _open(end, keys).reconciled] == [outcome]


LINES = ("CLOC:SET", "SYST:LAST?", "AUTH:HELL", "AUTH:PROV", "*IDN?")


@settings(max_examples=150)
@given(
    st.dictionaries(
        st.sampled_from(LINES), st.lists(st.sampled_from(FATES), max_size=5), max_size=4
    )
)
@example({"CLOC:SET": ["mute", "mute", "mute"], "SYST:LAST?": ["restart"]})
@example({"CLOC:SET": ["cut after"], "SYST:LAST?": ["cut"] * 4})
@example({"CLOC:SET": ["twice", "garble", "restart after", "mute"]})
def test_whatever_happens_a_change_is_made_once_and_reported_as_it_is(tmp_path_factory, fates):
    keys = KeyRing(tmp_path_factory.mktemp("keys") / "keys.toml")
    end = PumpEnd(keys)
    pump = _open(end, keys)
    before = len(end.logged("CLOCK_SET"))
    for name, each in fates.items():
        end.fates[name].extend(each)
    told = None
    try:
        pump.set_clock(NOON)
        told = Outcome.ACCEPTED
    except ReplyLost as error:
        if error.reconciled:
            told = error.reconciled.outcome
    except (AuthorityError, LinkError):
        told = Outcome.NOT_ACCEPTED  # nothing was sent, or it is known not to have been taken up
    end.fates.clear()
    if told is None:
        (reconciled,) = _open(end, keys).reconciled
        told = reconciled.outcome
    made = len(end.logged("CLOCK_SET")) - before
    assert made == (told is not Outcome.NOT_ACCEPTED), told
    assert told in (Outcome.ACCEPTED, Outcome.NOT_ACCEPTED, Outcome.ACCEPTED_UNKNOWN)
    # Nor does anything that is still under way add to it.
    for line in list(end.lines):
        end.hear(line)
    assert len(end.logged("CLOCK_SET")) - before == made
    assert _open(end, keys).reconciled == []


# -- sessions -----------------------------------------------------------------------------------


def test_a_session_that_has_idled_away_is_opened_again(end, keys):
    pump = _open(end, keys)
    end.rig.run_for(200)
    assert end.rig.telemetry.desk.sessions.open == []
    pump.set_clock(NOON)
    end.rig.run_for(200)
    assert pump.status().mode == "BASAL"


def test_a_session_that_must_have_idled_away_is_not_tried(end, keys):
    pump = _open(end, keys)
    end.rig.run_for(200)
    pump.transport.passed_s += 171
    end.lines.clear()
    pump.set_clock(NOON)
    assert [header(line) for line in end.lines] == ["AUTH:HELL", "AUTH:PROV", "CLOC:SET"]


def test_two_sessions_take_turns_with_the_counter(end, keys):
    one, other = _open(end, keys), _open(end, keys, "service")
    before = len(end.logged("CLOCK_SET"))
    for minute in range(5):
        one.set_clock(NOON.replace(minute=2 * minute))
        for _ in range(5):
            assert other.status().mode == "BASAL"
        other.set_clock(NOON.replace(minute=2 * minute + 1))
    assert len(end.logged("CLOCK_SET")) == before + 10
    assert end.rig.telemetry.desk.sessions.failures == 0


def _between_the_tries(end, line):
    """Let the pump lose its reply to CLOC:SET, and hear `line` before the next try."""
    end.fates["CLOC:SET"].append("mute")
    answer, heard = end.answer, list[bytes]()

    def answering(sent):
        said = answer(sent)
        if header(sent) == "CLOC:SET" and not heard:
            heard.append(end.hear(line))
        return said

    end.answer = answering
    return heard


def test_a_replay_cannot_make_the_pump_forget_a_reply(end, keys):
    pump = _open(end, keys)
    pump.status()
    old = next(line for line in reversed(end.lines) if header(line) == "STAT?")
    before = len(end.logged("CLOCK_SET"))
    heard = _between_the_tries(end, old)
    pump.set_clock(NOON)
    assert b"ERR -203" in heard[0]
    assert len(end.logged("CLOCK_SET")) == before + 1


def test_a_counter_that_was_passed_by_an_unheard_try_is_not_taken_for_a_refusal(end, keys):
    """The first try was done and its reply lost; then another line of the session made the pump
    forget that reply, so that the second try is refused for its counter."""
    pump = _open(end, keys)
    pump.status()
    session = pump._session
    seal = session._key.seal(session._counter + 9)
    before = len(end.logged("CLOCK_SET"))
    heard = _between_the_tries(end, request("STAT?", (), "other", seal).encode())
    with pytest.raises(ReplyLost) as info:
        pump.set_clock(NOON)
    assert _outcome(info) is Outcome.ACCEPTED
    assert b"mode" in heard[0]
    assert len(end.logged("CLOCK_SET")) == before + 1


def test_a_wrong_key_is_refused_in_a_line(end, keys):
    keys.put(SERIAL, {"clinician": bytes(32)})
    with pytest.raises(AuthorityError, match=r"no clinician session .* wrong key") as info:
        _open(end, keys)
    assert info.value.exit_code == 6
    assert "\n" not in str(info.value)


def test_the_back_off_is_told(end, keys):
    keys.put(SERIAL, {"clinician": bytes(32)})
    for _ in range(5):
        with pytest.raises(AuthorityError):
            _open(end, keys)
    with pytest.raises(AuthorityError, match=r"too many failures; wait \d+ s"):
        _open(end, keys)


def test_no_key_no_session(end, tmp_path):
    with pytest.raises(AuthorityError, match="no clinician key of pump SIM0001 in"):
        _open(end, KeyRing(tmp_path / "other.toml"))


def test_a_role_that_may_not_is_told_so(end, keys):
    pump = _open(end, keys, "patient")
    with pytest.raises(AuthorityError, match=r"refused DEL:STOP: .*patient") as info:
        pump.stop()
    assert info.value.exit_code == 6
    end.rig.run_for(3600)  # the lockout since power-on
    pump.patient_bolus()
    end.rig.run_for(900)
    with pytest.raises(Refused, match=r"lockout, \d+ s left"):
        pump.patient_bolus()


def test_a_pump_that_does_not_prove_its_key_is_not_trusted(end, keys):
    answer = end.answer

    def forge(line):
        if header(line) != "AUTH:PROV":
            return answer(line)
        text = line.decode().split(" ")[0] + " " + "0" * 32
        return f"{text} *{crc(text)}\n".encode()

    end.answer = forge
    with pytest.raises(AuthorityError, match="did not prove that it has the clinician key"):
        _open(end, keys)


@pytest.mark.parametrize("mac", ["", " @" + "0" * 32])
def test_an_ok_that_is_not_the_pumps_is_not_believed(end, keys, mac):
    pump = _open(end, keys)
    answer = end.answer

    def forge(line):
        if header(line) != "CLOC:SET":
            return answer(line)
        text = line.decode().split(" ")[0] + " OK" + mac
        return f"{text} *{crc(text)}\n".encode()

    end.answer = forge
    with pytest.raises(ReplyLost) as info:
        pump.set_clock(NOON)
    assert _outcome(info) is Outcome.NOT_ACCEPTED


def test_a_session_that_was_left_is_closed_on_the_pump(end, keys):
    pump = _open(end, keys)
    pump.leave()
    assert end.rig.telemetry.desk.sessions.open == []
    assert pump.status().mode == "BASAL"
    with pytest.raises(AuthorityError, match="needs a role"):
        pump.stop()


def test_another_pump_at_the_same_port_is_not_taken_for_the_first(end, keys):
    pump = _open(end, keys)
    end.rig.telemetry.desk.serial = "SIM0002"
    with pytest.raises(LinkError, match="pump SIM0002 is there now, not SIM0001"):
        pump.reconnect(0)


def test_a_change_is_noted_before_it_is_sent(end, keys):
    pump = _open(end, keys)
    noted = []
    answer = end.answer

    def noting(line):
        noted.append(len(_notes(keys)))
        return answer(line)

    end.answer = noting
    pump.set_clock(NOON)
    assert noted == [1]


def test_no_key_and_no_session_key_is_written_but_in_the_keys_file(end, keys, monkeypatch):
    made = []
    agree = SessionKey.agree

    def remembering(*args):
        made.append(agree(*args))
        return made[-1]

    monkeypatch.setattr(SessionKey, "agree", remembering)
    pump = _open(end, keys)
    end.fates["CLOC:SET"].append("cut")
    end.fates["*IDN?"].extend(["cut"] * 9)
    with pytest.raises(ReplyLost) as info:
        pump.set_clock(NOON)
    (note,) = _notes(keys)
    shown = note.read_text() + str(info.value) + repr(vars(pump)) + repr(vars(pump._session))
    secrets = [made[0].key, keys.key(SERIAL, "clinician")]
    assert not any(key.hex() in shown or repr(key) in shown for key in secrets)


# -- over the operating system ------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(PEERS))
def test_the_same_over_a_real_line(kind, end, keys):
    with PEERS[kind](end.answer) as peer:
        end.pull = peer.pull
        with Pump.open(peer.port, role="clinician", keys=keys, timeout_s=0.5) as pump:
            before = len(end.logged("CLOCK_SET"))
            end.fates["CLOC:SET"].extend(["mute", "garble"])
            pump.set_clock(NOON)
            assert len(end.logged("CLOCK_SET")) == before + 1
            assert pump.status().mode == "BASAL"


def test_a_tcp_reset_is_healed_and_the_change_settled(end, keys):
    with TcpPeer(end.answer) as peer:
        end.pull = peer.pull
        with Pump.open(peer.port, role="clinician", keys=keys, timeout_s=0.5) as pump:
            before = len(end.logged("CLOCK_SET"))
            end.fates["CLOC:SET"].append("cut after")
            pump.set_clock(NOON)
            assert len(end.logged("CLOCK_SET")) == before + 1
            assert pump.status().mode == "BASAL"
