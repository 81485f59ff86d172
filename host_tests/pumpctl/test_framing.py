"""The lines of the protocol: made, read, signed, and what is refused of them."""

import contextlib
import hashlib
import hmac
import re
import string

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pumpctl import framing
from pumpctl.framing import Garbled, Seal, SessionKey, parse_reply, request

KEY = bytes(range(32))
SESSION = SessionKey("1a2b", KEY)
# Vectors made by hand with binascii and hmac, not by the code under test.
SIGNED = "#t7 DEL:STOP @1a2b,18"
MAC = hmac.new(KEY, b"C#t7 DEL:STOP @1a2b,18", hashlib.sha256).hexdigest()[:32]

tags = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)
payloads = st.text("".join(map(chr, range(0x20, 0x7F))), min_size=1, max_size=200)


def _reply(tag: str, payload: str, mac: str = "") -> str:
    text = f"#{tag} {payload}" + (f" @{mac}" if mac else "")
    return f"{text} *{framing.crc(text)}"


def test_the_check_sum_is_crc_32():
    assert framing.crc("123456789") == "CBF43926"  # the check value of CRC-32/ISO-HDLC


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (request("RES:VOL?"), "RES:VOL?"),
        (request("LOG?", (0, 16)), "LOG? 0,16"),
        (request("RES:VOL?", (), "a"), "#a RES:VOL? *" + framing.crc("#a RES:VOL?")),
        (
            request("DEL:STOP", (), "t7", SESSION.seal(18)),
            f"{SIGNED},{MAC} *" + framing.crc(f"{SIGNED},{MAC}"),
        ),
    ],
)
def test_a_request_is_made_as_the_protocol_says(made, line):
    assert made == line


@pytest.mark.parametrize("arg", ["a\nb", "é", "\x7f", "\0"])
def test_nothing_that_is_not_printable_ascii_is_sent(arg):
    with pytest.raises(ValueError, match="printable"):
        request("SYST:HELP?", (arg,))


def test_a_line_that_no_pump_takes_is_not_sent():
    at_limit = framing.LINE_BYTES - len("X ")
    assert len(request("X", ("1" * at_limit,))) == framing.LINE_BYTES
    with pytest.raises(ValueError, match="longer than 3072"):
        request("X", ("1" * (at_limit + 1),))


def test_the_session_key_is_that_of_the_protocol():
    key = SessionKey.agree(KEY, "clinician", "1a2b", "0" * 32, "f" * 32, 17)
    text = b"cisterna session 1 clinician 1a2b " + b"0" * 32 + b" " + b"f" * 32 + b" 17"
    assert key.key == hmac.new(KEY, text, hashlib.sha256).digest()
    assert key.proof("pump") == hmac.new(key.key, b"pump", hashlib.sha256).hexdigest()[:32]


def test_a_new_key_travels_wrapped_for_its_line_only():
    new = bytes(range(100, 132))
    pad = hmac.new(KEY, b"wrap 18", hashlib.sha256).digest()
    wrapped = bytes.fromhex(SESSION.seal(18).wrap(new))
    assert bytes(a ^ b for a, b in zip(wrapped, pad, strict=True)) == new
    assert SESSION.seal(19).wrap(new) != wrapped.hex()


def test_telemetry_is_signed_from_its_tilde_on():
    text = '{"seq":1}'
    mac = hmac.new(KEY, b'T~{"seq":1}', hashlib.sha256).hexdigest()[:32]
    assert SESSION.telemetry_mac(text) == mac
    assert framing.parse_telemetry(f"~{text} @{mac}".encode()) == (text, mac)
    assert framing.parse_telemetry(f"~{text}".encode()) == (text, "")
    with pytest.raises(Garbled):
        framing.parse_telemetry(f"~{text} @{mac[1:]}".encode())


@given(tags, payloads)
@example("a", "OK @")
@example("a", "OK *12345678")
def test_a_reply_comes_apart_as_it_was_put_together(tag, payload):
    # What ends as a MAC or a check sum does could be taken for one.
    assume(not re.search(r" [@*][0-9A-Fa-f]+$", payload))
    got = parse_reply(_reply(tag, payload, MAC).encode())
    assert (got.tag, got.payload, got.mac, got.checked) == (tag, payload, MAC, True)
    assert got.signed == f"#{tag} {payload}"


def test_a_reply_without_tag_has_no_check_sum():
    got = parse_reply(b'ERR -102,"Syntax error; a tag is 1..8 letters and digits"')
    assert (got.tag, got.checked, got.mac) == ("", False, "")
    assert got.error == (-102, "Syntax error; a tag is 1..8 letters and digits")


def test_every_flipped_bit_of_a_reply_is_noticed():
    """The reply to tag t7 is taken only as it was sent: a flip breaks check sum, form or tag."""
    seal = SESSION.seal(18)
    signed = "#t7 OK"
    mac = hmac.new(KEY, b"R18 " + signed.encode(), hashlib.sha256).hexdigest()[:32]
    line = _reply("t7", "OK", mac).encode()
    assert seal.proves(parse_reply(line))
    for place in range(8 * len(line)):
        flipped = bytearray(line)
        flipped[place // 8] ^= 1 << place % 8
        try:
            got = parse_reply(bytes(flipped))
        except Garbled:
            continue
        same = bytes(flipped).lower() == line.lower() and b"#t7 OK" in flipped  # case of the hex
        assert same or got.tag != "t7" or not got.checked or not seal.proves(got), flipped


def test_a_reply_to_another_request_proves_nothing():
    mac = hmac.new(KEY, b"R18 #t7 OK", hashlib.sha256).hexdigest()[:32]
    got = parse_reply(_reply("t7", "OK", mac).encode())
    assert SESSION.seal(18).proves(got)
    assert not SESSION.seal(19).proves(got)
    assert not Seal(SessionKey("1a2b", bytes(32)), 18).proves(got)
    assert not SESSION.seal(18).proves(parse_reply(_reply("t7", "OK").encode()))


@given(st.binary(max_size=80))
def test_any_bytes_are_a_reply_or_garbled(data):
    for parse in (parse_reply, framing.parse_telemetry):
        with contextlib.suppress(Garbled):
            parse(data)


def test_tags_do_not_come_again():
    made = {framing.new_tag() for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(tag) == 8 and tag.isalnum() and tag.isascii() for tag in made)


def test_keys_do_not_show():
    assert KEY.hex() not in repr(SESSION)
    assert str(KEY) not in repr(SESSION.seal(1))
