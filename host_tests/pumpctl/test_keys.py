"""The keys on the host: kept for the owner's eyes, whole or not at all, never shown."""

import os
import stat
import threading

import pytest

from pumpctl.errors import AuthorityError, BadValue
from pumpctl.framing import ROLES
from pumpctl.keys import NEXT, VARIABLE, KeyRing, default_path, generate

SERIAL = "E6614103E72B4A2F"


@pytest.fixture
def ring(tmp_path):
    return KeyRing(tmp_path / "home" / "keys.toml")


def test_keys_are_read_as_they_were_put(ring):
    keys = generate()
    ring.put(SERIAL, keys)
    assert {role: ring.key(SERIAL, role) for role in ROLES} == keys
    assert KeyRing(ring.path).pumps() == {SERIAL: list(ROLES)}
    ring.put("E2", {"observer": bytes(32)})
    assert ring.key(SERIAL, "service") == keys["service"]


def test_generated_keys_are_long_and_all_different():
    made = [key for _ in range(50) for key in generate().values()]
    assert {len(key) for key in made} == {32}
    assert len(set(made)) == 200


def test_only_the_owner_can_read_file_and_folder(ring):
    ring.put(SERIAL, generate())
    assert stat.S_IMODE(ring.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(ring.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_read_is_not_used(ring, mode):
    ring.put(SERIAL, generate())
    ring.path.chmod(mode)
    with pytest.raises(AuthorityError, match=f"mode {mode:o}.*chmod 600"):
        ring.key(SERIAL, "observer")
    with pytest.raises(AuthorityError, match="chmod 600"):
        ring.put(SERIAL, generate())


def test_nothing_shows_a_key(ring):
    keys = generate()
    ring.put(SERIAL, keys)
    shown = repr(ring) + str(ring.pumps())
    assert not any(key.hex() in shown or str(key) in shown for key in keys.values())


def test_a_key_that_is_not_there_is_explained(ring):
    with pytest.raises(AuthorityError, match=f"no clinician key of pump {SERIAL} in .*keys.toml"):
        ring.key(SERIAL, "clinician")
    with pytest.raises(BadValue, match="role = nurse: there are observer, patient"):
        ring.key(SERIAL, "nurse")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pumps = [", "is damaged"),
        ('[pumps.E66]\nobserver = "zz"\n', "not 64 hex digits"),
        ('[pumps.E66]\nobserver = "00"\n', "has 1 bytes, not 32"),
        ("[pumps.E66]\nobserver = 1\n", "not 64 hex digits"),
        ('[pumps.E66]\nnurse = "00"\n', "key 'nurse'"),
        ('[pumps]\nE66 = "x"\n', "not 64 hex digits"),
        ("pumps = 1\n", "not 64 hex digits"),
    ],
)
def test_a_damaged_file_is_named_and_left_as_it_is(ring, text, said):
    ring.path.parent.mkdir()
    ring.path.write_text(text)
    ring.path.chmod(0o600)
    with pytest.raises(AuthorityError, match=said):
        ring.key("E66", "observer")
    with pytest.raises(AuthorityError, match=said):
        ring.put("E66", generate())
    assert ring.path.read_text() == text


def test_a_write_that_fails_leaves_the_old_keys(ring, monkeypatch):
    old = generate()
    ring.put(SERIAL, old)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AuthorityError, match="cannot be written: No space left"):
        ring.put(SERIAL, generate())
    assert ring.key(SERIAL, "service") == old["service"]
    assert [path.name for path in ring.path.parent.iterdir()] == ["keys.toml"]


def test_a_next_key_is_kept_apart_until_it_is_promoted(ring):
    old, new = generate()["service"], generate()["service"]
    ring.put(SERIAL, {"service": old})
    assert ring.next_key(SERIAL, "service") is None
    ring.put(SERIAL, {"service" + NEXT: new})
    assert (ring.key(SERIAL, "service"), ring.next_key(SERIAL, "service")) == (old, new)
    ring.promote(SERIAL, "service")
    assert (ring.key(SERIAL, "service"), ring.next_key(SERIAL, "service")) == (new, None)


def test_a_forgotten_pump_is_gone(ring):
    ring.put(SERIAL, {**generate(), "service" + NEXT: bytes(32)})
    ring.forget(SERIAL, "service" + NEXT)
    assert ring.pumps() == {SERIAL: list(ROLES)}
    ring.forget(SERIAL)
    assert ring.pumps() == {}
    ring.forget(SERIAL)


@pytest.mark.parametrize("serial", ["", "a b", 'x"]\n[pumps.y', "é", "x" * 65])
def test_a_serial_number_cannot_write_into_the_file(ring, serial):
    with pytest.raises(BadValue, match="serial"):
        ring.put(serial, generate())
    assert not ring.path.exists()


def test_the_variable_names_the_file(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "k.toml"))
    assert default_path() == KeyRing().path == tmp_path / "k.toml"
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == tmp_path / ".config/cisterna/keys.toml"


def test_a_reader_never_sees_half_a_file(ring):
    ring.put(SERIAL, generate())
    done = threading.Event()

    def write():
        for _ in range(50):
            ring.put(SERIAL, generate())
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert ring.pumps() == {SERIAL: list(ROLES)}
    writer.join()
