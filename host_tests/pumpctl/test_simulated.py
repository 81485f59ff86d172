"""A simulated pump in a script's own process: no server, no waiting, nothing left behind."""

import gc
import time
from datetime import timedelta
from pathlib import Path

import pytest

from host_tests.kit.peer import PtyPeer
from host_tests.kit.peer import pump as answers
from host_tests.kit.served import Home
from pumpctl import BadValue, KeyRing, LinkError, LogEvent, NotConfirmed, Pump, Sample


def test_a_script_sets_a_pump_up_and_lets_a_day_pass() -> None:
    with Pump.open("sim", role="clinician") as pump:
        assert pump.status().mode == "BASAL"
        change = pump.stage_bolus(dose_ng=20_000, duration_s=600)
        pump.sim.press()
        change.commit()
        assert pump.status().mode == "BOLUS"
        pump.sim.run(24 * 3600)
        assert pump.status().mode == "BASAL"
        # 300 ug a day at 2000 ug/mL, and the bolus of 20 ug.
        assert abs(pump.status().delivered_nl - 160_000) < 1_000


def test_waiting_takes_the_pumps_time_and_not_the_scripts() -> None:
    began_s = time.monotonic()
    with Pump.open("sim", role="clinician") as pump:
        before = pump.clock().wall
        heard = []
        for item in pump.telemetry(period_ms=60_000):
            heard.append(item)
            if len(heard) == 11:
                break
        assert all(isinstance(item, Sample | LogEvent) for item in heard)
        after = pump.clock().wall
        assert before is not None
        assert after is not None
        assert timedelta(minutes=9) < after - before < timedelta(minutes=11)
        change = pump.stage_bolus(dose_ng=20_000, duration_s=600)
        with pytest.raises(NotConfirmed, match="not pressed within 60 s"):
            change.wait_for_press()
        assert change.left_s == 0
    assert time.monotonic() - began_s < 60


def test_a_second_person_is_another_session_on_the_same_pump() -> None:
    with Pump.open("sim", role="service") as service:
        service.stop()
        change = service.stage_limits({"occlusion_pa": 60_000})
        change.confirm(service.as_role("clinician"))
        service.sim.press()
        change.wait_for_press()
        change.commit()
        assert service.limits()["occlusion_pa"] == 60_000


def test_its_keys_are_kept_where_they_are_wanted_else_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pump = Pump.open("sim", role="observer")
    assert len(list(tmp_path.iterdir())) == 1
    pump.close()
    pump.reconnect()
    assert pump.status().mode == "BASAL"
    del pump
    gc.collect()
    assert not list(tmp_path.iterdir())
    ring = KeyRing(tmp_path / "kept" / "keys.toml")
    with Pump.open("sim", keys=ring) as kept:
        assert list(ring.pumps()) == [kept.identity.serial]


def test_with_a_speed_its_time_runs_by_itself() -> None:
    with Pump.open("sim", speed=1_000) as pump:
        before_s = pump.status().pump_s
        time.sleep(0.2)
        assert pump.status().pump_s - before_s >= 150
        began_s = time.monotonic()
        pump.transport.sleep(500)
        assert time.monotonic() - began_s >= 0.4


def test_a_simulation_that_was_interrupted_is_not_gone_on_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    with Pump.open("sim") as pump:
        with monkeypatch.context() as patch:
            patch.setattr(pump.sim.rig, "run_for", interrupted)
            with pytest.raises(KeyboardInterrupt):
                pump.sim.run(1)
        with pytest.raises(LinkError, match="was interrupted; open a new one"):
            pump.status()


def test_a_pump_that_is_not_simulated_has_no_other_side() -> None:
    with (
        PtyPeer(answers()) as peer,
        Pump.open(peer.port) as pump,
        pytest.raises(BadValue, match="is not simulated in this process; open 'sim'"),
    ):
        pump.sim.press()


def test_the_command_presses_its_button_as_well(tmp_path: Path) -> None:
    home = Home(tmp_path)
    words = ("bolus", "--dose", "5", "--minutes", "10", "--yes", "--press", "--json")
    said = home.run("--port", "sim", *words)
    assert (said.code, said.json["dose_ng"]) == (0, 5_000)
    assert "a new sim pump was started for this call alone" in said.err
    watched = home.run("--port", "sim", "--speed", "100", "watch", "--json", "--seconds", "0.5")
    assert watched.code == 0
    assert 20 < len(watched.lines) < 100
    assert not home.keys.exists()
