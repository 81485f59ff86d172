"""Makes simulated pumps: as they come, or set up with keys and delivering."""

import secrets
from datetime import datetime
from pathlib import Path

from cisterna import events
from cisterna_sim.link import LinkedRig
from cisterna_sim.plant import PlantConfig
from cisterna_sim.rig_board import default_calibration
from cisterna_sim.scenario import Scenario, ScenarioError, load
from cisterna_sim.stage import Stage
from pumpctl.errors import BadValue, PumpError
from pumpctl.framing import ROLES, new_tag, request
from pumpctl.keys import KeyRing, generate

_SEED_BITS = 64
_HOLD_S = 2.0
_SEEN_S = 1.0


def plan(name: str | None = None) -> Scenario:
    """A scenario by name or TOML file, else a bench where nothing goes wrong, from now on."""
    try:
        if name is not None:
            return load(name)
        quiet = load(Path(__file__).with_name("quiet_bench.toml"))
        return quiet.model_copy(update={"start": datetime.now()})
    except ScenarioError as error:
        raise BadValue("\n".join(error.lines)) from None


def unset(serial: str) -> LinkedRig:
    """A pump without keys, program, clock and content."""
    rig = LinkedRig(
        PlantConfig(), default_calibration(), serial=serial, seed=secrets.randbits(_SEED_BITS)
    )
    _fill_by_hand(rig)
    return rig


def delivering(scenario: Scenario, serial: str) -> tuple[LinkedRig, Stage]:
    """A pump that a clinic has set up by a scenario, and the stage whose events will happen."""
    seed = secrets.randbits(_SEED_BITS)

    def make(*args: object, **options: object) -> LinkedRig:
        return LinkedRig(*args, serial=serial, seed=seed, **options)

    stage = Stage(scenario, rig_type=make)
    rig = stage.rig
    assert isinstance(rig, LinkedRig)
    _fill_by_hand(rig)
    return rig, stage


def _fill_by_hand(rig: LinkedRig) -> None:
    """Whoever confirms a refill over telemetry has filled the syringe just so."""
    hear = rig.on_event

    def listen(stamp_cs: int, event: int, subject: int, value: int) -> None:
        if event == events.REFILLED:
            rig.plant.withdraw()
            rig.plant.refill(value / 1e6, rig.pump.ledger.concentration_ug_per_ml)
        if hear is not None:
            hear(stamp_cs, event, subject, value)

    rig.on_event = listen


def provision(rig: LinkedRig, ring: KeyRing) -> None:
    """Give it keys as one does on a bench: those that this host has for it, else new ones."""
    known = ring.pumps().get(rig.serial, [])
    keys = (
        {role: ring.key(rig.serial, role) for role in ROLES}
        if known == list(ROLES)
        else generate()
    )
    ring.put(rig.serial, keys)
    _send_keys(rig, keys)
    rig.press(_HOLD_S)
    rig.run_for(_SEEN_S)
    reply = _send_keys(rig, keys)
    if "OK" not in reply:
        raise PumpError(f"the simulated pump took no keys: {reply}")
    rig.run_for(_HOLD_S)


def _send_keys(rig: LinkedRig, keys: dict[str, bytes]) -> str:
    return rig.ask(request("KEY:PROV", [keys[role].hex() for role in ROLES], new_tag()))
