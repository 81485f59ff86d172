"""The client as a script uses it, with the real pump core: reads, changes in two steps, telemetry,
the log, keys."""

from datetime import datetime
from pathlib import Path

import pytest

from cisterna.base.roles import ROLES
from cisterna.base.settings import Calibration, Limits
from cisterna.telemetry.commands import all_rows
from host_tests.kit.bench import simple
from host_tests.kit.peer import PtyPeer, TcpPeer, header, pump, reply
from host_tests.kit.pump_peer import SERIAL, PumpEnd
from pumpctl import (
    AuthorityError,
    BadValue,
    KeyRing,
    NotConfirmed,
    Pump,
    PumpError,
    Refused,
    ReplyLost,
)
from pumpctl.errors import NoAnswer
from pumpctl.keying import fingerprint
from pumpctl.log import Entry
from pumpctl.models import LogEvent, Sample, wall_seconds, wall_time

SOURCES = Path(__file__).parents[2] / "tools/pumpctl"
NOON = datetime(2026, 6, 1, 12)


@pytest.fixture
def keys(tmp_path):
    return KeyRing(tmp_path / "keys.toml")


@pytest.fixture
def end(keys):
    return PumpEnd(keys)


@pytest.fixture
def served(end):
    """The pump at the end of a pty."""
    with PtyPeer(end.answer) as peer:
        end.pull = peer.pull
        yield peer


@pytest.fixture
def clinician(served, keys):
    with Pump.open(served.port, role="clinician", keys=keys) as opened:
        yield opened


@pytest.fixture
def both(end, keys):
    """A clinician and a service session, over TCP as two programs would."""
    with (
        TcpPeer(end.answer) as one,
        TcpPeer(end.answer) as two,
        Pump.open(one.port, role="clinician", keys=keys) as clinician,
        Pump.open(two.port, role="service", keys=keys) as service,
    ):
        yield clinician, service


# -- reads --------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["", *ROLES])
def test_every_read_gives_what_the_pump_holds(end, served, keys, role):
    core = end.rig.pump
    with Pump.open(served.port, role=role, keys=keys) as opened:
        assert opened.identity.serial == SERIAL
        status = opened.status()
        assert (status.mode, status.resting, status.programmed) == ("BASAL", "BASAL", True)
        assert status.delivered_nl == core.ledger.delivered_nl
        assert status.alarms == []
        program = opened.program()
        assert program is not None
        assert program.program().pack() == core.memory.program.pack()
        assert opened.rate_nl_per_day() == core.dosing.rate_nl_per_day == 150_000
        assert opened.limits() == {row[0]: getattr(core.memory.limits, row[0])
                                   for row in Limits.FIELDS}  # fmt: skip
        assert set(opened.calibration()) == {row[0] for row in Calibration.FIELDS}
        assert opened.reservoir().fill_nl == core.ledger.fill_nl
        assert opened.remaining_nl() == core.ledger.remaining_nl
        assert opened.bolus().daily_cap == 6
        assert opened.alarms().alarms == []
        assert abs(opened.pressure_pa() - core.memory.calibration.pressure_pa(
            core.hal.pressure.read())) < 1_000  # fmt: skip
        assert 17_000_000 < (opened.level_nl() or 0) < 19_000_000
        assert 3_000 < (opened.supply_mv() or 0) < 30_000
        assert opened.clock().wall == datetime(2026, 6, 1, 0, 1)
        assert opened.staged() is None
        assert opened.last_change().result in ("none", "unknown")
        assert opened.link_counters()["wrong_macs"] == 0
        assert "DEL:STOP" in opened.help()
        assert "clinician/service" in opened.help("DEL:STOP")


def test_what_is_not_known_is_none(keys):
    end = PumpEnd()
    with PtyPeer(end.answer) as peer, Pump.open(peer.port, keys=keys) as opened:
        assert opened.status().remaining_nl is None
        assert opened.remaining_nl() is None
        assert opened.program() is None
        assert opened.clock().wall is None
        assert not opened.clock().known
        alarms = opened.alarms().alarms
        assert alarms[0].name == "RESERVOIR_UNKNOWN"
        assert (alarms[0].priority, alarms[0].active, alarms[0].acknowledged) == (
            "high", True, False,
        )  # fmt: skip


def test_errors_are_taken_from_the_queue(clinician):
    for _ in range(2):
        with pytest.raises(Refused):
            clinician.query("LOG?", 0, 17)
    assert [number for number, _ in clinician.errors()] == [-222, -222]
    assert clinician.errors() == []


def test_an_answer_of_another_form_is_explained():
    forms = pump(STAT='{"mode":7}', PROG="[]", RES_VOL="plenty", SYST_LAST="1,a,perhaps")
    with PtyPeer(forms) as peer, Pump.open(peer.port) as opened:
        for read in (opened.status, opened.program, opened.remaining_nl, opened.last_change):
            with pytest.raises(PumpError) as info:
                read()
            assert str(info.value).isprintable()


def test_more_than_is_known_is_kept_and_not_minded(end, served):
    answer = served.answer

    def newer(line):
        if header(line) != "CLOC?":
            return answer(line)
        return reply(line, '{"known":0,"wall_s":null,"pump_s":1,"program_minute":null,"mean":1,'
                     '"leap_s":3}')  # fmt: skip

    served.answer = newer
    with Pump.open(served.port) as opened:
        assert opened.clock().model_extra == {"leap_s": 3}


def test_every_command_of_the_pump_has_its_place_in_the_client():
    text = "".join(path.read_text() for path in SOURCES.glob("*.py"))
    spelt = {
        row.header.removesuffix(":STAG") for row in all_rows() if not row.header.endswith(":COMM")
    }
    known = {"*OPC?", "SYST:ERR:COUN?", "SYST:VERS?", "*CLS", "TEL?", "AUTH?"}  # for query()
    missing = {name for name in spelt if f'"{name}"' not in text and f'"{name}:STAG"' not in text}
    assert missing == known


def test_wall_times_are_the_pumps():
    assert wall_seconds(datetime(2000, 1, 1)) == 0
    assert wall_time(wall_seconds(NOON)) == NOON
    assert wall_time(None) is None


# -- changes ------------------------------------------------------------------------------------


def test_changes_at_once_are_done(end, clinician):
    core = end.rig.pump
    clinician.suspend()
    assert clinician.status().mode == "SUSPENDED"
    clinician.resume()
    clinician.set_clock(NOON)
    assert clinician.clock().wall == NOON
    clinician.test_alarms()
    end.rig.run_for(1)
    clinician.pause_audio(60)
    clinician.stop()
    assert clinician.status().mode == "STOPPED"
    end.rig.run_for(3700)
    assert [alarm.name for alarm in clinician.alarms().alarms] == ["STOPPED"]
    clinician.acknowledge("STOPPED")
    assert clinician.alarms().alarms[0].acknowledged
    clinician.acknowledge()
    assert core.alarms.acked


def test_a_bolus_is_shown_confirmed_at_the_pump_and_given(end, clinician):
    change = clinician.stage_bolus(dose_ng=20_000, duration_s=600)
    assert not change.needs_second
    assert 55 < change.left_s <= 60
    assert ("dose_24h_ng", 0, 20_000) in change.rows
    assert "dose_24h_ng: 0 -> 20000" in change.summary
    with pytest.raises(NotConfirmed, match=r"press the pump's button first.*nothing was changed"):
        change.commit()
    assert clinician.status().mode == "BASAL"
    end.rig.press_and_release()
    change.wait_for_press()
    change.commit()
    assert clinician.status().mode == "BOLUS"
    assert clinician.bolus().running == "single"


def test_a_program_is_staged_as_it_is_written(end, clinician):
    new = simple(360_000, bolus_dose_ng=5_000)
    change = clinician.stage_program(new)
    assert change.details.change_permille == 200
    assert "daily dose changes by +20.0 %" in change.summary
    assert "mean_ng_per_day: 300000 -> 360000" in change.summary
    assert "bolus_dose_ng: 10000 -> 5000" in change.summary
    end.rig.press_and_release()
    change.commit()
    assert end.rig.pump.memory.program.pack() == new.pack()
    assert change.state() is None


def test_a_change_for_two_needs_the_second(end, both):
    clinician, service = both
    service.stop()
    change = service.stage_limits({"max_daily_dose_ng": 900_000, "low_nl": 5_000_000})
    assert change.needs_second
    assert ("max_daily_dose_ng", 1_000_000, 900_000) in change.rows
    end.rig.press_and_release()
    with pytest.raises(NotConfirmed, match="second role must confirm"):
        change.commit()
    with pytest.raises(AuthorityError, match="another role must confirm"):
        change.confirm(service)
    change.confirm(clinician)
    change.commit()
    assert clinician.limits()["max_daily_dose_ng"] == 900_000


def test_a_refill_with_another_strength_needs_the_second(end, both):
    clinician, service = both
    clinician.stop()
    change = clinician.stage_refill(18_000_000, 1000, 17_900_000)
    assert change.needs_second
    change.confirm(service)
    end.rig.press_and_release()
    change.commit()
    assert clinician.reservoir().concentration_ug_per_ml == 1000


def test_the_second_may_be_at_the_same_cable(end, clinician):
    clinician.stop()
    change = clinician.stage_refill(18_000_000, 1000)
    change.confirm(clinician.as_role("service"))
    end.rig.press_and_release()
    change.commit()
    assert clinician.reservoir().concentration_ug_per_ml == 1000


def test_start_is_staged_as_well(end, clinician):
    clinician.stop()
    change = clinician.stage_start()
    end.rig.press_and_release()
    change.commit()
    assert clinician.status().mode == "BASAL"


def test_a_service_fault_is_released_by_name(both):
    _, service = both
    change = service.stage_service("RUNAWAY")
    assert ("fault", None, "RUNAWAY") in change.rows
    with pytest.raises(Refused, match="no fault is called"):
        service.stage_service("NOSUCH")


@pytest.mark.parametrize("role", ["", "service"])
def test_a_command_that_there_is_not_is_refused(served, keys, role):
    with Pump.open(served.port, role=role, keys=keys, timeout_s=20) as opened:
        with pytest.raises(Refused, match=r"Undefined header; no command FOO\?") as info:
            opened.query("FOO?")
        assert info.value.number == -113
        assert opened.status().mode == "BASAL"


def test_all_that_goes_over_the_line_can_be_kept(served, keys):
    heard = []
    with Pump.open(served.port) as opened:
        opened.link.tap = lambda *what: heard.append(what)
        assert opened.query("*OPC?") == "1"
    (sent, line), *answers = heard
    assert sent
    assert line == served.lines[-1] + b"\n"
    assert not any(ours for ours, _ in answers)
    assert b"".join(data for _, data in answers).endswith(b"\n")


def test_a_dropped_change_is_gone(end, clinician):
    change = clinician.stage_bolus(dose_ng=20_000, duration_s=600)
    change.drop()
    assert change.state() is None
    end.rig.press_and_release()
    with pytest.raises(Refused, match=r"nothing with id .* is staged"):
        change.commit()


def test_a_change_that_nobody_confirms_expires(end, clinician):
    change = clinician.stage_bolus(dose_ng=20_000, duration_s=600)
    told = []

    def tell(left_s):
        told.append(left_s)
        end.rig.run_for(40)

    with pytest.raises(NotConfirmed, match="not pressed within 60 s; nothing was changed"):
        change.wait_for_press(tell)
    assert len(told) == 2
    assert clinician.status().mode == "BASAL"


def test_a_newer_change_takes_the_place_of_an_older(end, clinician):
    old = clinician.stage_bolus(dose_ng=20_000, duration_s=600)
    new = clinician.stage_bolus(dose_ng=10_000, duration_s=600)
    assert old.state() is None
    assert new.state() is not None
    end.rig.press_and_release()
    with pytest.raises(Refused, match="nothing with id"):
        old.commit()
    new.commit()


def test_what_was_not_shown_is_not_committed(clinician, monkeypatch):
    """A summary that does not fit its echo was changed on the way, or misread."""
    command = clinician.command

    def tampering(*args):
        return command(*args).replace('"dose_ng":20000', '"dose_ng":10000')

    monkeypatch.setattr(clinician, "command", tampering)
    with pytest.raises(PumpError, match="echo of the staged BOL does not fit"):
        clinician.stage_bolus(dose_ng=20_000, duration_s=600)


# -- telemetry ----------------------------------------------------------------------------------


@pytest.fixture
def live(end, served):
    """The pump's time goes on by itself, ten times as fast."""

    def idle():
        end.rig.run_for(0.2)
        return end.rig.link.take()

    served.idle = idle
    return served


@pytest.mark.parametrize("signed", [False, True])
def test_samples_and_events_come_while_they_are_listened_to(end, live, keys, signed):
    with Pump.open(live.port, role="clinician", keys=keys) as opened:
        telemetry = opened.telemetry(period_ms=500, signed=signed)
        found = []
        for item in telemetry:
            found.append(item)
            if len(found) == 3:
                opened.test_alarms()  # in between
            if len(found) > 3 and isinstance(item, LogEvent) and item.event == "ALARM_TEST":
                break
        assert isinstance(found[0], Sample)
        assert found[0].mode == "BASAL"
        assert [item.seq for item in found] == list(range(found[0].seq, found[0].seq + len(found)))
        assert (telemetry.lost, telemetry.bad) == (0, 0)
        del telemetry, item
        opened.query("*OPC?")
        assert opened.query("TEL?") == "0"


def test_lost_and_forged_lines_are_counted(end, live, keys):
    idle = live.idle

    def spoiling():
        lines = idle().splitlines(keepends=True)
        kept = []
        for line in lines:
            if b'"seq":2,' in line:
                continue
            if b'"seq":4,' in line:
                line = line.replace(b'"mode":"BASAL"', b'"mode":"BOLUS"')
            kept.append(line)
        return b"".join(kept)

    live.idle = spoiling
    with Pump.open(live.port, role="clinician", keys=keys) as opened:
        telemetry = opened.telemetry(period_ms=200, signed=True)
        for item in telemetry:
            assert isinstance(item, Sample)
            assert item.mode == "BASAL"
            if item.seq >= 6:
                break
        assert (telemetry.lost, telemetry.bad) == (2, 1)


def test_telemetry_that_stops_is_noticed(live, keys, monkeypatch):
    monkeypatch.setattr("pumpctl.stream._LEAST_S", 0.3)
    with Pump.open(live.port) as opened:
        telemetry = iter(opened.telemetry(period_ms=100))
        next(telemetry)
        live.idle = bytes
        with pytest.raises(NoAnswer, match="telemetry has stopped"):
            for _ in telemetry:
                pass


def test_telemetry_goes_on_after_a_restart(end, live):
    with Pump.open(live.port) as opened:
        telemetry = iter(opened.telemetry(period_ms=100))
        next(telemetry)
        idle, boot = live.idle, iter([True])
        live.idle = lambda: end.restart() if next(boot, False) else idle()
        for _ in range(12):
            next(telemetry)
        assert opened.link.boots == 1
        assert [header(line) for line in live.lines].count("TEL:PER") == 2


# -- the log ------------------------------------------------------------------------------------


def test_the_log_comes_whole_and_verified(end, clinician):
    for minute in range(40):
        clinician.set_clock(NOON.replace(minute=minute))
    log = clinician.download_log()
    assert [entry.raw for entry in log.entries] == list(end.rig.store.ring)
    assert log.broken_at is None
    assert log.entries[0].name == "BOOT"
    later = clinician.download_log(since=log.entries[-20].sequence)
    assert later.entries == log.entries[-20:]
    assert clinician.download_log(since=log.entries[-1].sequence + 1).entries == []


def test_an_entry_that_was_changed_is_found(end, clinician):
    clinician.set_clock(NOON)
    ring = end.rig.store.ring
    raw = bytearray(ring[3])
    raw[14] ^= 1
    ring[3] = bytes(raw)
    broken = clinician.download_log().broken_at
    assert broken is not None
    assert broken.sequence == 3


def test_entries_that_are_dropped_meanwhile_are_left_out(end, served, clinician):
    dropped: list = []

    def dropping(line):
        if header(line) == "LOG?" and not dropped:
            dropped.extend(end.rig.store.ring.popleft() for _ in range(20))
        return end.answer(line)

    for minute in range(20):
        clinician.set_clock(NOON.replace(minute=minute))
    served.answer = dropping
    log = clinician.download_log()
    assert dropped
    assert [entry.raw for entry in log.entries] == list(end.rig.store.ring)
    assert log.broken_at is None


def test_an_event_that_is_too_new_keeps_its_number():
    raw = b"\1\0\0\0" + b"\0" * 8 + b"\xf0\7" + b"\0" * 4 + b"\0" * 8
    entry = Entry.decode(raw)
    assert (entry.name, entry.detail) == ("EVENT_240", "7 0")


# -- keys ---------------------------------------------------------------------------------------


def _hold(end):
    """Let somebody press the button at the pump and hold it."""
    end.rig.press(30)
    end.rig.run_for(1)


def test_a_new_pump_gets_its_keys_while_its_button_is_held(keys):
    end = PumpEnd()
    with PtyPeer(end.answer) as peer, Pump.open(peer.port, keys=keys) as opened:
        told = []

        def tell(left_s):
            told.append(left_s)
            _hold(end)

        opened.provision(tell=tell)
        assert len(told) == 1
        assert keys.pumps() == {SERIAL: list(ROLES)}
        for role in ROLES:
            assert opened.as_role(role).role == role
            assert keys.next_key(SERIAL, role) is None
        with pytest.raises(Refused, match="the pump has keys; rotate them"):
            opened.provision()
        assert keys.pumps() == {SERIAL: list(ROLES)}


def test_keys_that_were_taken_without_a_reply_are_kept(keys):
    end = PumpEnd()
    with PtyPeer(end.answer) as peer, Pump.open(peer.port, keys=keys, timeout_s=0.3) as opened:
        end.fates["KEY:PROV"].extend(["pass", "mute"])
        opened.provision(tell=lambda left_s: _hold(end))
        assert fingerprint(keys.key(SERIAL, "service")) in opened.query("KEY?")


def test_a_button_that_nobody_presses_gives_no_keys(keys):
    end = PumpEnd()
    with (
        PtyPeer(end.answer) as peer,
        Pump.open(peer.port, keys=keys) as opened,
        pytest.raises(NotConfirmed, match="not pressed and held within 0 s"),
    ):
        opened.provision(wait_s=0)
    assert keys.pumps() == {}


def test_a_key_is_rotated_and_both_ends_have_it(end, both, keys):
    _, service = both
    old = keys.key(SERIAL, "patient")
    change = service.stage_key("patient")
    assert "old_fingerprint" in change.details.model_extra
    assert keys.key(SERIAL, "patient") == old
    end.rig.press_and_release()
    change.commit()
    assert keys.key(SERIAL, "patient") != old
    assert keys.next_key(SERIAL, "patient") is None
    service.as_role("patient")
    with pytest.raises(BadValue):
        service.stage_key("nurse")


def test_a_rotation_whose_reply_was_lost_locks_nobody_out(end, served, keys):
    with Pump.open(served.port, role="service", keys=keys, timeout_s=0.2, patience_s=0.2) as pump_:
        change = pump_.stage_key("service")
        end.rig.press_and_release()
        end.fates["KEY:ROT:COMM"].append("restart after")
        with pytest.raises(PumpError):
            change.commit()
    with Pump.open(served.port, role="service", keys=keys) as again:
        assert fingerprint(keys.key(SERIAL, "service")) in again.query("KEY?")
        assert again.status().mode in ("BASAL", "SELFTEST")
    assert keys.next_key(SERIAL, "service") is None


def test_a_lost_rotation_is_settled_before_another_is_staged(end, served, keys):
    with Pump.open(served.port, role="service", keys=keys, timeout_s=0.2, patience_s=0.2) as pump_:
        change = pump_.stage_key("patient")
        end.rig.press_and_release()
        end.fates["KEY:ROT:COMM"].append("restart after")
        with pytest.raises(ReplyLost):
            change.commit()
        pump_.stage_key("patient").drop()
        assert fingerprint(keys.key(SERIAL, "patient")) in pump_.query("KEY?")


def test_a_rotation_that_was_dropped_leaves_the_old_key(end, both, keys):
    _, service = both
    old = keys.key(SERIAL, "patient")
    service.stage_key("patient").drop()
    assert not service.settle_key("patient")
    assert keys.key(SERIAL, "patient") == old
    assert keys.next_key(SERIAL, "patient") is None


def test_keys_are_wiped_with_a_hand_on_the_pump_only(end, served, keys):
    with Pump.open(served.port, keys=keys) as opened:
        with pytest.raises(Refused, match="held"):
            opened.wipe_keys()
        assert keys.pumps() != {}
        end.rig.power_down()
        end.rig.press(20)
        end.rig.power_up(0)
        end.rig.run_for(10)
        opened.wipe_keys()
        assert keys.pumps() == {}
        assert not end.rig.telemetry.desk.keys.provisioned
