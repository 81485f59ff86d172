"""tools/protocol.md: up to date, complete, and its conversations what they say they are.

The conversations are checked here by nothing but the page's own words and the standard library:
neither the pump's code nor the page's host takes part.
"""

import binascii
import hashlib
import hmac
import itertools
import json
import re
from pathlib import Path

import pytest

from cisterna import events
from cisterna.base import faults, modes
from cisterna.base.roles import ROLES
from cisterna.telemetry import commands, rows, wire
from cisterna_tools.protocol import __main__ as protocol
from cisterna_tools.protocol import members, tables

PAGE = protocol.PAGE.read_text(encoding="utf-8")
# Of the page's keys: 32 times 01 for the observer up to 32 times 04 for service.
KEYS = {role: bytes([place]) * 32 for place, role in enumerate(ROLES, start=1)}


@pytest.fixture(scope="module")
def made() -> str:
    return protocol.page()


def test_the_page_is_up_to_date(made: str) -> None:
    assert made == PAGE, "tools/protocol.md is not what the tables say; run: make protocol"


def test_the_page_is_the_same_every_time(made: str) -> None:
    assert protocol.page() == made


def test_one_command_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "PAGE", tmp_path / "protocol.md")
    protocol.main()
    assert (tmp_path / "protocol.md").read_text(encoding="utf-8") == PAGE


# -- complete -----------------------------------------------------------------------------------


def _section(title: str) -> str:
    """From a heading to the next of its rank."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", PAGE, re.M | re.S)
    assert found, title
    return found[2]


@pytest.mark.parametrize("row", commands.all_rows(), ids=lambda row: row.header)
def test_every_command_is_told_once_with_all_that_it_takes(row) -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith(f"| `{row.usage()}` |")]
    assert len(lines) == 1
    cells = [cell.strip() for cell in lines[0].strip("|").split("|")]
    who = cells[2].split(", ")
    assert cells[1] == rows.KIND_NAMES[row.kind]
    assert cells[3:] == [row.reply, row.help]
    assert who == (
        ["anyone"] if row.kind < rows.SESSION else [ROLES[i] for i in range(4) if row.may(i)]
    )
    if not row.header.endswith(":COMM"):
        group = next(text for text in PAGE.split("\n### ") if lines[0] in text)
        for spec in row.arguments:
            told = re.search(rf"^\| `{spec[1]}` \| (.*) \| (.*) \|$", group, re.M)
            assert told
            if spec[0] == rows.INT:
                assert told[1].replace(" ", "") == f"{spec[2]}to{spec[3]}"
                assert told[2].strip() == spec[4]
            elif spec[0] == rows.HEX:
                assert told[1] == f"{spec[2]} hex digits"
            elif spec[0] == rows.ONE_OF:
                assert told[1] == ", ".join(spec[2])


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Errors", [f"| {number} | {text} |" for number, text in wire.ERRORS]),
        ("Modes", [f"| `{name}` |" for name in modes.MODE_NAMES]),
        ("Alarms", [f"| `{row[0]}` | {row[4]} |" for row in faults.FAULTS]),
        ("Events", [f"| {code} | `{row[0]}` |" for code, row in enumerate(events.EVENTS)]),
    ],
)
def test_every_row_of_the_tables_is_told(title: str, names: list[str]) -> None:
    # The last of that name: the group of alarm commands is called Alarms, too.
    section = PAGE.rpartition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert [line.startswith(name) for line in section.splitlines() for name in names].count(
        True
    ) == len(names)


def _names(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_names, value.values()))
    return set()


def test_every_name_in_a_reply_is_explained_and_no_other() -> None:
    headers = {row.header for row in commands.all_rows() if row.reply == "JSON"}
    examples = re.findall(r"^> (\S+)(?: .*)?\n< (\{.*\})$", PAGE, re.M)
    assert {header for header, _ in examples} == headers
    used = set()
    for header, text in examples:
        if header not in ("LIM?", "CAL?", "LIM:STAG", "KEY?"):
            used |= _names(json.loads(text))
    for line in re.findall(r"^< ~(\{.*\}) @", PAGE, re.M):
        used |= _names(json.loads(line))
    assert {members.plain(name) for name in used} == set(members.MEMBERS)


def test_no_number_has_commas_that_would_part_arguments() -> None:
    prose = re.sub(r"```.*?```", "", PAGE, flags=re.S)
    assert not re.findall(r"\d,\d{3}\b", prose)
    assert tables.number(1_000_000) == "1 000 000"


# -- the conversations --------------------------------------------------------------------------


def _pairs(text: str) -> list[tuple[str, str]]:
    """(request, reply) of the conversations in a text."""
    return re.findall(r"^> (.*)\n< ([^~].*)$", text, re.M)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _mac(key: bytes, text: str) -> str:
    return _hmac(key, text)[:16].hex()


def test_every_check_sum_on_the_page_is_right() -> None:
    lines = [line for pair in _pairs(PAGE) for line in pair]
    framed = [line for line in lines if re.search(r" \*[0-9A-Fa-f]{8}$", line)]
    assert len(framed) > 12
    for line in framed:
        body, _, crc = line.rpartition(" *")
        assert int(crc, 16) == binascii.crc32(body.encode())
    for request, reply in _pairs(PAGE):
        if request in framed:
            assert reply in framed
            assert reply.split()[0] == request.split()[0]


def _session_key(title: str) -> bytes:
    """By the page's recipe, from the login that a section shows."""
    (hello, offer), (prove, proof) = _pairs(_section(title))[:2]
    role, nonce = hello.removeprefix("AUTH:HELL ").split(",")
    session, pump_nonce, counter = offer.split(",")
    key = _hmac(KEYS[role], f"cisterna session 1 {role} {session} {nonce} {pump_nonce} {counter}")
    assert prove == f"AUTH:PROV {session},{_mac(key, 'host')}"
    assert proof == _mac(key, "pump")
    return key


def test_the_worked_session_is_what_its_recipe_gives() -> None:
    key = _session_key("A session")
    indented = re.findall(r"^    (.*)$", _section("A session"), re.M)
    assert indented[0] == KEYS["clinician"].hex()
    assert _hmac(bytes.fromhex(indented[0]), indented[1]).hex() == indented[2] == key.hex()


def test_the_worked_macs_are_what_their_recipe_gives() -> None:
    key, section = _session_key("A session"), _section("A change, and its retry")
    signed, reply = re.findall(r"^    ([CR].*)$", section, re.M)
    assert f"its MAC is `{_mac(key, signed)}`" in section
    assert f"which gives `{_mac(key, reply)}`" in section
    request, answer = _pairs(_section("Two steps"))[0]
    assert request.startswith(f"{signed[1:]},{_mac(key, signed)} *")
    assert answer.startswith(f"{reply[3:]} @{_mac(key, reply)} *")


def test_every_line_and_reply_of_that_session_is_signed() -> None:
    key = _session_key("A session")
    name = _pairs(_section("A session"))[0][1].partition(",")[0]
    checked = 0
    for request, reply in _pairs(PAGE):
        found = re.fullmatch(rf"((.*) @{name},(\d+)),([0-9a-f]{{32}}) \*.{{8}}", request)
        if found:
            assert found[4] == _mac(key, "C" + found[1])
            body, _, mac = reply.rpartition(" *")[0].rpartition(" @")
            assert mac == _mac(key, f"R{found[3]} {body}")
            checked += 1
    assert checked == 6


def test_a_retry_gets_the_same_reply_and_a_replay_none() -> None:
    first, again, _, replay, last = _pairs(_section("A change, and its retry"))
    assert first == again
    assert replay[0] == first[0]
    assert "ERR -203" in replay[1]
    assert last[1].endswith(",done")


def test_the_echo_is_over_the_text_before_it() -> None:
    staged = re.findall(r'(\{"id":.*?),"echo":"([0-9a-f]{8})"', PAGE)
    assert len(staged) >= 7
    for text, echo in staged:
        assert hashlib.sha256(text.encode()).hexdigest()[:8] == echo


def test_the_log_entries_are_chained_as_told() -> None:
    found = re.search(r'"entries":\[(.*?)\]', PAGE)
    assert found
    entries = [bytes.fromhex(entry.strip('"')) for entry in found[1].split(",")]
    assert [len(entry) for entry in entries] == [26, 26]
    for before, entry in itertools.pairwise([bytes(26), *entries]):
        assert hashlib.sha256(before[-8:] + entry[:18]).digest()[:8] == entry[18:]


def test_the_telemetry_is_signed_by_the_session_that_asked_for_it() -> None:
    key, section = _session_key("Telemetry"), _section("Telemetry")
    assert "TEL:MAC 1" in section
    lines = re.findall(r"^< (~.*) @([0-9a-f]{32})$", section, re.M)
    assert [json.loads(line[1:])["seq"] for line, _ in lines] == [1, 2, 3]
    for line, mac in lines:
        assert mac == _mac(key, "T" + line)
