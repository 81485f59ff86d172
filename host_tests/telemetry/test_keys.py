"""Keys: who can give, change and wipe them; nobody can read them back."""

import binascii
import hashlib
import hmac

import pytest

from cisterna.base.journal import Record
from cisterna.telemetry.commands import all_rows
from cisterna.telemetry.rows import READ
from cisterna_sim.store import DictStore, PowerCut
from host_tests.kit.desk import KEYS, ROLES, SECOND_US, Desk, framed, provisioning, split

OTHERS = {role: bytes(255 - byte for byte in key) for role, key in KEYS.items()}
WIPE = framed("#w1 KEY:WIPE")
PRESS_NOW = "press the pump's button now, hold it, and send this again within 60 s"


def bare() -> Desk:
    """A pump that delivers and has no keys."""
    return Desk(provisioned=False)


def provision(desk: Desk, keys: dict[str, bytes] = KEYS) -> str:
    """Provision as it is meant to be: try, press and hold, send again."""
    assert PRESS_NOW in desk.ask(provisioning(keys))
    desk.hold(3)
    return desk.ask(provisioning(keys))


def refused(desk: Desk, line: str, *words: str) -> None:
    """Refused for that reason; keys and store stay as they were."""
    keys, records = desk.facts()["keys"], desk.records()
    reply = desk.ask(line)
    assert "ERR -203" in reply, reply
    for word in words:
        assert word in reply, reply
    assert (desk.facts()["keys"], desk.records()) == (keys, records)


# -- provisioning -------------------------------------------------------------------------------


@pytest.mark.req("T03", "T05")
def test_a_pump_without_keys_takes_them_with_its_button_pressed_and_held():
    desk = bare()
    assert desk.read("AUTH?")["provisioned"] == 0
    assert split(provision(desk))[1] == "OK"
    assert desk.read("AUTH?")["provisioned"] == 1
    assert desk.names("KEYS") == ["provisioned"]
    for role in ROLES:
        desk.open(role)
    assert desk.names("BOLUS_GRANTED") == []  # the press was taken for this


@pytest.mark.req("T05")
@pytest.mark.parametrize("role", ROLES)
def test_a_pump_without_keys_opens_no_session(role):
    desk = bare()
    refused(desk, f"AUTH:HELL {role},{'0' * 32}", "the pump has no keys; provision it first")
    refused(desk, f"AUTH:PROV 0000,{'0' * 32}", "no session was offered")
    refused(desk, framed(f"#t1 DEL:STOP @0000,1,{'0' * 32}"), "no such session")


@pytest.mark.req("T03")
@pytest.mark.parametrize(
    "act", ["never", "before", "held since before", "released", "held only", "too late"]
)
def test_without_a_press_that_is_asked_for_and_held_no_keys_are_taken(act):
    desk = bare()
    if act == "before":
        desk.press()
    if act in ("held since before", "held only"):
        desk.hold(5)
    refused(desk, provisioning(), PRESS_NOW)
    if act == "released":
        desk.press()
    elif act == "too late":
        desk.run_until_pump(desk.now_us + 60 * SECOND_US)
        desk.hold(3)
    elif act == "held only":
        desk.run(2)
    refused(desk, provisioning(), PRESS_NOW)
    refused(desk, provisioning(), PRESS_NOW)


@pytest.mark.req("T03")
@pytest.mark.parametrize("short_us", [1, 0])
def test_the_press_is_waited_for_60_s_to_the_microsecond(short_us):
    desk = bare()
    begun_us = desk.now_us
    refused(desk, provisioning(), PRESS_NOW)
    desk.run(57)
    desk.hold(8)
    desk.run_until_pump(begun_us + 60 * SECOND_US - short_us)
    if short_us:
        assert "OK" in desk.ask(provisioning())
    else:
        refused(desk, provisioning(), PRESS_NOW)


@pytest.mark.req("T03")
def test_asking_again_makes_the_60_s_no_longer():
    desk = bare()
    begun_us = desk.now_us
    refused(desk, provisioning(), PRESS_NOW)
    desk.run(30)
    refused(desk, provisioning(), PRESS_NOW)
    desk.run_until_pump(begun_us + 60 * SECOND_US)
    assert not desk.pump.confirm_press.wanted


@pytest.mark.req("T03")
def test_a_press_is_a_bolus_again_after_the_60_s():
    desk = bare()
    refused(desk, provisioning(), PRESS_NOW)
    desk.press()
    assert desk.names("BOLUS_GRANTED") == []
    desk.run(60)
    desk.press()
    assert desk.names("BOLUS_GRANTED") == ["patient 5000 nL"]


@pytest.mark.req("T03")
def test_the_end_of_the_60_s_takes_no_press_from_what_is_staged_by_then():
    desk = bare()
    begun_us = desk.now_us
    provision(desk)
    desk.run(4)
    clinician = desk.open("clinician")
    desk.run(45)
    staged = clinician.stage("BOL:STAG 5000,60")
    desk.press()
    desk.run_until_pump(begun_us + 61 * SECOND_US)
    assert desk.read("STAG?")["pressed"] == 1
    assert clinician.commit(staged) == "OK"


@pytest.mark.req("T05")
def test_keys_are_not_taken_over_a_link_that_is_no_cable():
    desk = bare()
    desk.rig.link.local = False
    desk.hold(5)
    refused(desk, provisioning(), "over USB only")
    assert not desk.pump.confirm_press.wanted


@pytest.mark.req("T05")
def test_a_pump_with_keys_takes_no_others():
    desk = Desk()
    desk.hold(5)
    for _ in range(2):
        refused(desk, provisioning(OTHERS), "the pump has keys", "KEY:WIPE")
    desk.press()
    refused(desk, provisioning(OTHERS), "the pump has keys")
    desk.open("service")


@pytest.mark.req("T03")
@pytest.mark.parametrize("number", range(1, 4))
def test_keys_come_all_four_whole(number):
    desk = bare()
    refused(desk, provisioning(), PRESS_NOW)
    desk.hold(8)
    whole = [KEYS[role].hex() for role in ROLES]
    good = whole[number]
    for keys in (
        whole[:number],
        *(
            [*whole[:number], key, *whole[number + 1 :]]
            for key in (good[:-1], good + "0", "g" + good[1:])
        ),
        [*whole, good],
    ):
        assert "ERR -10" in desk.ask(framed("#p1 KEY:PROV " + ",".join(keys)))
        assert not desk.telemetry.keys.provisioned
    assert "OK" in desk.ask(provisioning())


@pytest.mark.req("T02")
def test_whenever_the_power_fails_the_keys_are_the_old_or_the_new():
    """While they are provisioned, rotated, wiped; never a mixture, never an unlocked pump."""
    seen = set()
    for what in ("provision", "rotate", "wipe"):
        for write in range(1, 4):
            store = DictStore()
            desk = Desk(provisioned=False, store=store)
            keys = desk.telemetry.keys
            old = b"" if what == "provision" else b"".join(KEYS[role] for role in ROLES)
            if old:
                keys.provision([KEYS[role] for role in ROLES])
            store.cut_at = store.writes + write
            new = {"provision": b"".join(KEYS[role] for role in ROLES), "wipe": b""}.get(what)
            if new is None:
                new = old[:64] + b"R" * 32 + old[96:]
            try:
                if what == "provision":
                    keys.provision([KEYS[role] for role in ROLES])
                elif what == "rotate":
                    keys.rotate(2, b"R" * 32)
                else:
                    keys.wipe()
            except PowerCut:
                desk.rig.power_down()
            else:
                desk.rig.power_down()
            store.cut_at = None
            desk.rig.power_up(0)
            found = desk.telemetry.keys
            assert found._data in (old, new)
            assert found.provisioned == (bool(found._data) or found.damaged)
            if what == "provision" and write == 1:
                assert found.damaged  # a first key half written: nobody's, and only a wipe helps
            else:
                assert not found.damaged
            if write > 1:
                assert found._data == new
            seen.add((what, write, found._data == new))
    assert len(seen) == 9


@pytest.mark.req("T05")
@pytest.mark.parametrize("size", [0, 1, 20])
def test_damaged_keys_are_nobodys(size):
    desk = Desk()
    for slot in ("keys.a", "keys.b"):
        raw = desk.rig.store.records[slot]
        desk.rig.store.records[slot] = raw[:-1] + bytes([raw[-1] ^ 1]) if size else b""
        if size > 1:
            desk.rig.store.records[slot] = raw[:size]
    desk.rig.power_down()
    desk.rig.power_up(0)
    desk.run(3)
    assert desk.read("AUTH?")["damaged"] == 1
    assert desk.read("KEY?") == dict.fromkeys(ROLES, "")
    for role in ROLES:
        refused(desk, f"AUTH:HELL {role},{'0' * 32}", "the keys are damaged; wipe them")
    desk.hold(5)
    refused(desk, provisioning(), "the pump has keys")


@pytest.mark.req("T05")
@pytest.mark.parametrize("size", [1, 32, 64, 127, 129])
def test_a_record_that_is_not_four_keys_is_no_key(size):
    """Whole by its check sum, but not what this firmware keeps."""
    desk = Desk()
    record = Record(desk.rig.store, "keys")
    record.load()
    for _ in range(2):
        record.save(b"\0" * size)
    desk.rig.power_down()
    desk.rig.power_up(0)
    desk.run(3)
    for role in ROLES:
        refused(desk, f"AUTH:HELL {role},{'0' * 32}", "keys")


@pytest.mark.req("T05")
@pytest.mark.parametrize("slot", ["keys.a", "keys.b"])
def test_one_damaged_copy_of_the_keys_does_no_harm(slot):
    desk = Desk()
    desk.rig.store.records[slot] = b"\0" * 40
    desk.rig.power_down()
    desk.rig.power_up(0)
    desk.run(3)
    desk.open("service")


# -- wiping -------------------------------------------------------------------------------------


def boot_with_button(desk: Desk, held_s: float) -> None:
    """Switch off and on with the button held for so long from the start on."""
    desk.rig.power_down()
    desk.run(1)
    desk.rig.press(held_s)
    desk.rig.power_up(0)


@pytest.mark.req("T03", "T05")
def test_keys_are_wiped_after_a_start_with_the_button_held_for_5_s():
    desk = Desk()
    boot_with_button(desk, 5.5)
    desk.run(4.9)
    refused(desk, WIPE, "first 5 s")
    desk.run(0.5)
    service = desk.open("service")
    assert "OK" in desk.ask(WIPE)
    assert desk.names("KEYS") == ["wiped"]
    assert "no such session" in service.ask("DEL:STOP")
    assert desk.read("AUTH?")["provisioned"] == 0
    assert desk.mode == "BASAL"
    refused(desk, WIPE, "first 5 s")  # once
    desk.run(1)
    assert split(provision(desk, OTHERS))[1] == "OK"
    desk.open("service", OTHERS["service"])
    desk.rig.power_down()
    desk.rig.power_up(0)
    desk.run(3)
    desk.open("service", OTHERS["service"])


@pytest.mark.req("T05")
def test_a_wipe_makes_room_for_new_keys_in_place_of_damaged_ones():
    desk = Desk()
    for slot in ("keys.a", "keys.b"):
        desk.rig.store.records[slot] = b""
    boot_with_button(desk, 6)
    desk.run(7)
    authority = desk.read("AUTH?")
    assert (authority["provisioned"], authority["damaged"]) == (1, 1)
    assert "OK" in desk.ask(WIPE)
    authority = desk.read("AUTH?")
    assert (authority["provisioned"], authority["damaged"]) == (0, 0)
    refused(desk, f"AUTH:HELL service,{'0' * 32}", "the pump has no keys")
    assert split(provision(desk, OTHERS))[1] == "OK"
    desk.open("service", OTHERS["service"])


@pytest.mark.req("T03")
@pytest.mark.parametrize("held_s", [0, 1, 4.8])
def test_a_button_held_for_less_wipes_nothing(held_s):
    desk = Desk()
    boot_with_button(desk, held_s)
    for _ in range(70):
        desk.run(1)
        refused(desk, WIPE, "first 5 s")


@pytest.mark.req("T03")
def test_a_button_pressed_after_the_start_wipes_nothing():
    desk = Desk()
    boot_with_button(desk, 0)
    desk.run(0.5)
    desk.hold(8)
    desk.run(8)
    refused(desk, WIPE, "first 5 s")


@pytest.mark.req("T03")
@pytest.mark.parametrize("short_us", [1, 0])
def test_a_wipe_is_possible_for_60_s_to_the_microsecond(short_us):
    desk = Desk()
    boot_with_button(desk, 6)
    desk.run(7)
    until_us = desk.telemetry.wipe_until_us
    opened_us = until_us - 60 * SECOND_US
    assert 5 * SECOND_US <= opened_us - desk.telemetry._booted_us <= 5.3 * SECOND_US
    desk.run_until_pump(until_us - short_us)
    if short_us:
        assert "OK" in desk.ask(WIPE)
    else:
        refused(desk, WIPE, "first 5 s")


@pytest.mark.req("T03")
def test_a_wipe_takes_what_is_staged_with_it():
    desk = Desk()
    clinician = desk.open("clinician")
    staged = clinician.stage("BOL:STAG 5000,60")
    desk.press()
    desk.telemetry.wipe_until_us = desk.now_us + 60 * SECOND_US
    assert "OK" in desk.ask(WIPE)
    assert desk.ask("STAG?") == "{}"
    assert split(provision(desk))[1] == "OK"
    assert "nothing with id" in desk.open("clinician").commit(staged)


# -- rotating -----------------------------------------------------------------------------------


def wrapped(session, key: bytes) -> str:
    """A new key, as it goes over the line in the session's next frame."""
    counter = session.desk.counter + 1
    pad = hmac.digest(session.key, b"wrap %d" % counter, "sha256")
    return bytes(a ^ b for a, b in zip(key, pad, strict=True)).hex()


@pytest.mark.req("T03", "T05")
@pytest.mark.parametrize("role", ROLES)
def test_a_key_is_rotated_in_two_steps_and_the_others_stay(role):
    desk = Desk()
    service = desk.open("service")
    old = desk.open(role) if role != "service" else service
    new = OTHERS[role]
    staged = service.stage(f"KEY:ROT:STAG {role},{wrapped(service, new)}")
    assert staged["of"] == role
    assert staged["old_fingerprint"] == desk.read("KEY?")[role]
    assert "button first" in service.commit(staged)
    desk.run(20)
    desk.press()
    assert service.commit(staged) == "OK"
    assert desk.names("KEYS") == ["rotated"]
    assert desk.read("KEY?")[role] == staged["new_fingerprint"] != staged["old_fingerprint"]
    stamps = [int.from_bytes(entry[4:12], "little") for entry in desk.rig.store.ring]
    assert stamps == sorted(stamps)  # logged when it was done, not when it was staged
    if role == "service":  # whoever rotates his own key sees that it is done
        assert service.ask("STAT?")[:1] == "{"
    else:
        assert "no such session" in old.ask("STAT?")
    assert "wrong key" in desk.ask(_proof(desk, role, KEYS[role]))
    desk.open(role, new)
    for other in ROLES:
        if other != role:
            desk.open(other)
    desk.rig.power_down()
    desk.rig.power_up(0)
    desk.run(3)
    desk.open(role, new)


@pytest.mark.req("T05")
@pytest.mark.parametrize("how", ["rotated", "wiped"])
def test_a_session_offered_before_its_key_went_is_not_opened_after(how):
    desk = Desk()
    service = desk.open("service")
    staged = service.stage(f"KEY:ROT:STAG patient,{wrapped(service, OTHERS['patient'])}")
    desk.press()
    proof = _proof(desk, "patient", KEYS["patient"])
    if how == "rotated":
        assert service.commit(staged) == "OK"
    else:
        desk.telemetry.wipe_until_us = desk.now_us + 1
        assert "OK" in desk.ask(WIPE)
    refused(desk, proof, "no session was offered")


def _proof(desk: Desk, role: str, key: bytes) -> str:
    name, session_key = desk.hello(role, key)
    return f"AUTH:PROV {name},{hmac.digest(session_key, b'host', 'sha256')[:16].hex()}"


# -- reading back -------------------------------------------------------------------------------


@pytest.mark.req("T05")
def test_no_output_and_no_event_ever_carries_a_key():
    """Every question and error in every session, telemetry of every event; any writing."""
    desk = bare()
    said = bytearray()
    write = desk.rig.link.write

    def note(line: bytes) -> bool:
        said.extend(line)
        return write(line)

    desk.rig.link.write = note  # type: ignore[method-assign]
    desk.ask("TEL:PER 100")
    for line in (provisioning(OTHERS), provisioning(OTHERS)[:-1] + "?", provisioning(KEYS)[3:]):
        desk.ask(line)
    assert "OK" in provision(desk)
    desk.run(4)
    service, clinician = desk.open("service"), desk.open("clinician")
    for session in (service, clinician):
        session.ask("TEL:MAC 1")
    new = hashlib.sha256(b"new").digest()
    staged = service.stage(f"KEY:ROT:STAG patient,{wrapped(service, new)}")
    desk.press()
    assert service.commit(staged) == "OK"
    secrets = [*KEYS.values(), *OTHERS.values(), new, service.key, clinician.key]
    for row in all_rows():
        if row.kind == READ and row.header != "LOG?":
            desk.ask(row.header)
            service.ask(row.header)
        desk.ask(f"SYST:HELP? {row.header}")
    for first in range(0, desk.pump.log.sequence, 16):
        desk.ask(f"LOG? {first},16")
    for _ in range(20):
        desk.ask("SYST:ERR?")
    desk.run(2)
    assert b'"event":"KEYS","detail":"rotated"' in said
    assert b'"entries":["' in said
    ring = b"".join(desk.rig.store.ring)
    text = bytes(said).lower()
    for secret in secrets:
        for part in (secret[place : place + 8] for place in range(25)):
            assert part.hex().encode() not in text
            assert binascii.b2a_base64(part, newline=False)[:10].lower() not in text
            assert part not in said
            assert part not in ring
            assert part.hex().encode() not in ring
    # Session keys are nowhere in the store, keys in their record only.
    for name, raw in desk.records().items():
        for secret in secrets:
            assert (secret in raw) <= name.startswith("keys.")


@pytest.mark.req("T05")
def test_a_fingerprint_tells_keys_apart():
    desk, other = Desk(), Desk(provisioned=False)
    other.telemetry.keys.provision([OTHERS[role] for role in ROLES])
    prints = [*desk.read("KEY?").values(), *other.read("KEY?").values()]
    assert len(set(prints)) == 8
    assert all(len(fingerprint) == 8 for fingerprint in prints)
