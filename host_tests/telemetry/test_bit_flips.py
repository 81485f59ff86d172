"""T01: a frame with any bit changed is refused, counted, and changes nothing."""

from collections.abc import Iterator

import pytest

from cisterna.telemetry.commands import all_rows
from cisterna.telemetry.rows import CHANGE
from cisterna.telemetry.rows import SESSION as IN_SESSION
from host_tests.kit.desk import KEYS, ROLES, Desk, digest16, example, framed, provisioning
from host_tests.kit.ready import ready

SIGNED = [row.header for row in all_rows() if row.kind in (IN_SESSION, CHANGE)]
UNSIGNED = [row.header for row in all_rows() if row.kind not in (IN_SESSION, CHANGE)]


def flips(data: bytes) -> Iterator[bytes]:
    """``data`` with each bit flipped in turn."""
    for place in range(len(data)):
        for bit in range(8):
            yield data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def assert_refused(desk: Desk, data: bytes, facts: object) -> None:
    """What is sent is refused, each line of it, and counted; nothing is changed."""
    refused = desk.telemetry.refused
    desk.rig.link.take()
    desk.rig.send(data)
    replies = desk.rig.link.take().decode().splitlines()
    assert replies, data
    for reply in replies:
        payload = reply.partition(" ")[2] if reply.startswith("#") else reply
        assert payload.startswith("ERR "), (data, reply)
    assert desk.telemetry.refused == refused + len(replies)
    assert desk.facts() == facts, data


def assert_done(desk: Desk, frame: str) -> None:
    """The frame as it was is carried out all the same."""
    reply = desk.ask(frame)
    assert "ERR" not in reply, reply


@pytest.mark.req("T01")
@pytest.mark.parametrize("header", SIGNED)
def test_a_bit_flipped_on_the_line_is_refused_counted_and_changes_nothing(header):
    """Also where the flip makes a line feed, or unmakes the one at the end."""
    desk, _, frame = ready(header)
    facts, writes = desk.facts(), desk.rig.store.writes
    broken = 0
    for data in flips(frame.encode() + b"\n"):
        broken += data.count(b"\n") != 1
        assert_refused(desk, data + b"\n" * (data[-1:] != b"\n"), facts)
    assert broken >= 8
    assert desk.rig.store.writes == writes
    assert desk.telemetry.corrupt > len(frame)
    assert_done(desk, frame)


@pytest.mark.req("T01")
@pytest.mark.parametrize("header", SIGNED)
def test_a_bit_flipped_by_somebody_who_mends_the_crc_is_refused_too(header):
    """The MAC finds what the CRC no longer can; in its own digits, too."""
    desk, _, frame = ready(header)
    facts = desk.facts()
    for data in flips(frame[: -len(" *12345678")].encode()):
        if all(0x20 <= byte < 0x7F for byte in data):
            # A bar would refuse every further guess by itself.
            desk.telemetry.sessions._barred_until_us = 0
            assert_refused(desk, framed(data.decode()).encode() + b"\n", facts)
    assert desk.telemetry.sessions.failures > len(frame)
    assert_done(desk, frame)


@pytest.mark.req("T01")
@pytest.mark.parametrize("header", UNSIGNED)
def test_a_bit_flipped_in_a_framed_line_that_anybody_may_send_is_refused(header):
    desk = Desk()
    frame = framed("#t1 " + example(header))
    facts, writes = desk.facts(), desk.rig.store.writes
    for data in flips(frame.encode() + b"\n"):
        assert_refused(desk, data + b"\n" * (data[-1:] != b"\n"), facts)
    assert desk.rig.store.writes == writes


@pytest.mark.req("T01")
def test_a_bit_flipped_in_new_keys_gives_no_other_key():
    desk = Desk(provisioned=False)
    assert "press the pump's button" in desk.ask(provisioning())
    desk.hold(8)
    facts = desk.facts()
    for data in flips(provisioning().encode() + b"\n"):
        assert_refused(desk, data + b"\n" * (data[-1:] != b"\n"), facts)
    assert desk.ask(provisioning()).startswith("#p1 OK")
    assert desk.telemetry.keys._data == b"".join(KEYS[role] for role in ROLES)


@pytest.mark.req("T01")
def test_a_bit_flipped_wipes_no_keys():
    desk = Desk()
    desk.telemetry.wipe_until_us = desk.now_us + 60_000_000
    frame, facts = framed("#w1 KEY:WIPE"), desk.facts()
    for data in flips(frame.encode() + b"\n"):
        assert_refused(desk, data + b"\n" * (data[-1:] != b"\n"), facts)
    assert_done(desk, frame)
    assert not desk.telemetry.keys.provisioned


@pytest.mark.req("T01")
@pytest.mark.parametrize("header", SIGNED)
@pytest.mark.parametrize("missing", ["tag", "CRC", "tag and CRC", "MAC", "authority"])
def test_a_change_without_a_part_of_its_frame_is_refused(header, missing):
    desk, session, frame = ready(header)
    facts = desk.facts()
    signed = frame.rpartition(",")[0]
    untagged = signed.removeprefix("#t1 ")
    line = {
        "tag": framed(f"{untagged},{digest16(session.key, b'C' + untagged.encode())}"),
        "CRC": frame.rpartition(" *")[0],
        "tag and CRC": f"{untagged},{digest16(session.key, b'C' + untagged.encode())}",
        "MAC": framed(signed),
        "authority": framed(signed.rpartition(" @")[0]),
    }[missing]
    assert_refused(desk, line.encode() + b"\n", facts)
    assert_done(desk, frame)


@pytest.mark.req("T01")
@pytest.mark.parametrize("header", ["KEY:PROV", "KEY:WIPE"])
def test_keys_are_touched_by_lines_with_tag_and_crc_only(header):
    desk = Desk(provisioned=header == "KEY:WIPE")
    desk.ask(provisioning() if header == "KEY:PROV" else framed("#w1 KEY:WIPE"))
    desk.telemetry.wipe_until_us = desk.now_us + 60_000_000
    desk.hold(5)
    facts = desk.facts()
    for line in (example(header), framed(example(header))):
        assert_refused(desk, line.encode() + b"\n", facts)
    assert_done(desk, framed("#k1 " + example(header)))
