"""T02: a line sent before does nothing again: in its session, in another, after a reboot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna_sim.store import DictStore, PowerCut
from host_tests.kit.desk import Desk, digest16, framed, split

WATCHDOG = 2


def delivered(desk: Desk) -> int:
    """Boluses granted so far."""
    return len(desk.names("BOLUS_GRANTED"))


@pytest.mark.req("T02")
def test_a_retried_line_gets_its_reply_again_and_is_not_done_twice():
    desk = Desk()
    line = desk.open("patient").frame("BOL:PAT")
    first = desk.ask(line)
    assert split(first)[1] == "OK"
    facts, writes = desk.facts(), desk.rig.store.writes
    for _ in range(3):
        assert desk.ask(line) == first
        assert desk.facts() == facts
    assert desk.rig.store.writes == writes
    desk.run(3_700)  # also when a second bolus would be granted
    facts = desk.facts()
    line = desk.open("patient").frame("BOL:PAT")
    assert delivered(desk) == 1
    first = desk.ask(line)
    desk.run(100)
    assert desk.ask(line) == first
    assert delivered(desk) == 2


@pytest.mark.req("T02")
def test_a_retried_single_bolus_is_given_once():
    desk = Desk()
    clinician = desk.open("clinician")
    staged = clinician.stage("BOL:STAG 5000,60")
    desk.press()
    line = clinician.frame(f"BOL:COMM {staged['id']},{staged['echo']}")
    first = desk.ask(line)
    desk.run(70)
    assert desk.mode == "BASAL"
    assert desk.ask(line) == first
    desk.run(70)
    assert delivered(desk) == 1
    assert desk.names("BOLUS_ENDED") == ["complete 2500 nL delivered"]


@pytest.mark.req("T02")
def test_a_refused_change_is_refused_again_in_the_same_words():
    """Its counter is used up, whatever has become possible since."""
    desk = Desk(start=False)
    clinician = desk.open("clinician")
    line = clinician.frame("DEL:SUSP")
    first = desk.ask(line)
    assert "ERR -221" in first
    desk.order("start")
    assert desk.ask(line) == first
    assert desk.mode == "BASAL"
    assert desk.ask("SYST:LAST?") == f"{desk.counter},t1,refused"


@pytest.mark.req("T02")
@pytest.mark.parametrize("role", ["patient", "clinician", "service", "observer"])
def test_every_older_line_of_a_session_is_refused(role):
    desk = Desk()
    session = desk.open(role)
    commands = {
        "patient": ["BOL:PAT", "TEL:MAC 1", "STAT?", "TEL:MAC 0"],
        "clinician": ["DEL:SUSP", "DEL:RES", "ALAR:TEST", "CLOC:SET 1", "STAG:DROP", "DEL:STOP"],
        "service": ["ALAR:PAUS 5", "DEL:STOP", "LIM:STAG low_nl,5000000", "STAG:DROP"],
        "observer": ["TEL:MAC 1", "*IDN?", "TEL:MAC 0"],
    }[role]
    lines = [session.frame(text, tag=f"t{i}") for i, text in enumerate(commands)]
    for line in lines:
        assert "ERR" not in desk.ask(line)
    facts, last = desk.facts(), desk.ask(lines[-1])
    for line in lines[:-1]:
        assert "ERR -203" in desk.ask(line)
        assert "is not above" in desk.ask("SYST:ERR?")
        assert desk.facts() == facts
        # Somebody who plays old lines must not take the reply from the one who lost it.
        assert desk.ask(lines[-1]) == last


@pytest.mark.req("T02")
def test_the_same_counter_on_another_line_is_refused():
    desk = Desk()
    clinician = desk.open("clinician")
    assert clinician.ask("DEL:SUSP") == "OK"
    facts = desk.facts()
    for text in ("DEL:RES", "DEL:SUSP", "DEL:STOP"):
        for tag in ("t1", "t2"):
            if (text, tag) != ("DEL:SUSP", "t1"):
                assert "ERR -203" in desk.ask(clinician.frame(text, desk.counter, tag))
                assert desk.facts() == facts


@pytest.mark.req("T02")
@given(st.lists(st.integers(0, 40), min_size=1, max_size=12))
def test_a_line_is_taken_only_with_a_counter_above_all_before(counters):
    desk = Desk()
    sessions = [desk.open("clinician"), desk.open("service")]
    highest, last = desk.counter, {}
    for place, counter in enumerate(counters):
        session = sessions[place % 2]
        line = session.frame("ALAR:ACK ALL", counter)
        reply = desk.ask(line)
        if counter > highest:
            assert split(reply)[1] == "OK"
            highest, last[session.name] = counter, line
        elif last.get(session.name) == line:
            assert split(reply)[1] == "OK"
        else:
            assert "ERR -203" in reply
        assert desk.telemetry.sessions.counter.value == highest
    assert len(desk.names("COMMAND")) == len(_taken(counters))


def _taken(counters: list[int]) -> list[int]:
    """The counters that are above all before them."""
    taken, highest = [], 0
    for counter in counters:
        if counter > highest:
            taken.append(counter)
            highest = counter
    return taken


@pytest.mark.req("T02")
@pytest.mark.parametrize("counter", [10**15, 10**18 - 1])
def test_a_counter_that_would_leave_none_after_it_is_refused(counter):
    desk = Desk()
    clinician = desk.open("clinician")
    assert "ERR -203" in desk.ask(clinician.frame("DEL:SUSP", counter))
    assert clinician.ask("DEL:SUSP") == "OK"


@pytest.mark.req("T02")
def test_a_line_of_one_session_is_good_in_no_other():
    desk = Desk()
    clinician = desk.open("clinician")
    line = clinician.frame("DEL:SUSP", counter=1_000)
    desk.open("service")
    another = desk.open("clinician")
    facts = desk.facts()
    assert "no such session" in desk.ask(line)
    # The same line under the other's name keeps the MAC of the first.
    signed, _, mac = line.rpartition(" *")[0].rpartition(",")
    moved = signed.replace(clinician.name, another.name)
    assert "wrong MAC" in desk.ask(framed(f"{moved},{mac}"))
    assert desk.facts() == facts


@pytest.mark.req("T02")
def test_the_replies_of_one_command_are_not_those_of_another():
    """The pump's MAC binds a reply to its counter: an old OK cannot be passed off as a new one."""
    desk = Desk()
    clinician = desk.open("clinician")
    replies = [desk.ask(clinician.frame("DEL:SUSP", counter)) for counter in (5, 6)]
    desk.counter = 6
    assert [split(reply)[1] for reply in replies] == ["OK", "OK"]
    macs = [split(reply)[2] for reply in replies]
    assert macs == [digest16(clinician.key, b"R%d #t1 OK" % counter) for counter in (5, 6)]
    assert macs[0] != macs[1]


@pytest.mark.req("T02")
def test_after_a_reboot_no_line_of_before_is_good_and_the_counter_stands():
    desk = Desk()
    clinician = desk.open("clinician")
    lines = [clinician.frame("DEL:SUSP"), clinician.frame("DEL:RES")]
    for line in lines:
        desk.ask(line)
    unsent = clinician.frame("DEL:STOP")
    changed = desk.counter - 1
    desk.rig.power_down()
    desk.rig.power_up(WATCHDOG)
    desk.run(3)
    assert desk.mode == "BASAL"
    facts = desk.facts()
    for line in (*lines, unsent):
        assert "no such session" in desk.ask(line)
        assert desk.facts() == facts
    assert desk.read("AUTH?")["counter"] == changed
    assert desk.ask("SYST:LAST?") == f"{changed},t1,unknown"
    again = desk.open("clinician")
    for counter in range(changed + 1):
        assert "ERR -203" in desk.ask(again.frame("DEL:STOP", counter))
    assert desk.mode == "BASAL"
    assert split(desk.ask(again.frame("DEL:STOP", changed + 1)))[1] == "OK"


@pytest.mark.req("T02")
def test_after_a_reboot_the_same_hello_gives_another_session_key():
    """Even if the chip's noise repeats itself: the counter has moved on."""
    desk = Desk()
    desk.rig._random.seed(7)
    clinician = desk.open("clinician")
    line = clinician.frame("DEL:SUSP", counter=500)
    assert clinician.ask("DEL:RES").startswith("ERR")
    desk.rig.power_down()
    desk.rig.power_up(WATCHDOG)
    desk.run(3)
    desk.rig._random.seed(7)
    again = desk.open("clinician")
    assert again.key != clinician.key
    assert "ERR -203" in desk.ask(line)
    assert desk.mode == "BASAL"


def _cut_at(write: int) -> tuple[Desk, str, str] | None:
    """A pump whose power fails in that write after a session was opened; its line, and its mode
    before; None if the line was done before that write came."""
    store = DictStore()
    desk = Desk(store=store)
    clinician = desk.open("clinician")
    assert clinician.ask("ALAR:ACK ALL") == "OK"
    line = clinician.frame("DEL:STOP", tag="cut")
    store.cut_at = store.writes + write
    try:
        desk.ask(line)
    except PowerCut:
        return desk, line, desk.mode
    return None


@pytest.mark.req("T02")
def test_whenever_the_power_fails_the_counter_was_stored_before_anything_was_done():
    outcomes = []
    for write in range(1, 50):
        cut = _cut_at(write)
        if cut is None:
            break
        desk, line, mode = cut
        used = desk.counter
        desk.rig.power_up(WATCHDOG)
        desk.run(3)
        counter = desk.read("AUTH?")["counter"]
        assert counter in (used - 1, used)
        if mode != "BASAL" or desk.mode != "BASAL":
            assert counter == used  # acted on, so stored
        if counter == used:
            assert desk.ask("SYST:LAST?") == f"{used},cut,unknown"
        else:
            assert desk.ask("SYST:LAST?") == f"{used - 1},t1,unknown"
        outcomes.append((counter == used, desk.mode))
        before = desk.mode
        assert "no such session" in desk.ask(line)
        again = desk.open("clinician")
        assert "ERR -203" in desk.ask(again.frame("DEL:STOP", counter))
        assert desk.mode == before
        assert again.ask("ALAR:ACK ALL") == "OK"
    else:
        pytest.fail("the line never got through")
    assert outcomes[0] == (False, "BASAL")  # torn in the counter itself
    assert outcomes[1] == (True, "BASAL")
    assert outcomes[-1] == (True, "STOPPED")


@pytest.mark.req("T02")
def test_reads_use_counters_up_and_store_none():
    desk = Desk()
    observer = desk.open("observer")
    writes = desk.rig.store.writes
    line = observer.frame("STAT?")
    assert desk.ask(line) == desk.ask(line)
    second = observer.frame("RES?")
    assert "ERR" not in desk.ask(second)
    assert "is not above" in desk.ask(line)
    assert desk.rig.store.writes == writes
    assert desk.read("AUTH?")["counter"] == desk.counter
