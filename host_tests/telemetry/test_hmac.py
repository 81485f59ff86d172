"""HMAC-SHA-256 of the pump: the vectors of RFC 4231, and CPython's own."""

import hashlib
import hmac
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.telemetry import keys
from cisterna_sim import vm

# RFC 4231, 4.2 to 4.8: key, data, HMAC-SHA-256. 4.6 gives the first 16 bytes only.
RFC_4231 = (
    (b"\x0b" * 20, b"Hi There",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 20, b"\xdd" * 50,
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50,
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    (b"\x0c" * 20, b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
    (b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
    (b"\xaa" * 131, b"This is a test using a larger than block-size key and a larger than "
     b"block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
)  # fmt: skip


@pytest.mark.parametrize(("key", "data", "expected"), RFC_4231)
def test_the_vectors_of_rfc_4231(key, data, expected):
    assert keys.Hmac(key).digest(data).hex()[: len(expected)] == expected
    assert keys.Hmac(key).mac(data[:7], data[7:]) == expected[:32]


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_any_key_and_message_as_cpython_has_it(key, message):
    assert keys.Hmac(key).digest(message) == hmac.new(key, message, hashlib.sha256).digest()


@given(st.text("0123456789abcdef", max_size=40), st.text("0123456789abcdef", max_size=40))
def test_only_the_same_text_is_the_same(one, other):
    assert keys.same(one, other) == (one == other)
    assert keys.same(one, one)


@pytest.mark.parametrize("place", range(32))
def test_a_difference_is_seen_in_every_place(place):
    text = "0123456789abcdef" * 2
    other = text[:place] + "x" + text[place + 1 :]
    assert not keys.same(text, other)


def test_the_same_on_the_micropython_vm(tmp_path):
    """The vectors, and every length of key about the block's and the digest's."""
    try:
        machine = vm.chosen()
    except vm.VmError as error:
        pytest.skip(str(error))
    random_bytes = random.Random(4231).randbytes
    cases = [(key, data) for key, data, _ in RFC_4231]
    cases += [
        (random_bytes(size), random_bytes(size * 3)) for size in (*range(30, 35), *range(62, 67))
    ]
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([[key.hex(), data.hex()] for key, data in cases]))
    told = machine.run(vm.stage(tmp_path / "mpy"), "macs.py", path)
    assert told["macs"] == [hmac.new(*case, hashlib.sha256).hexdigest() for case in cases]
