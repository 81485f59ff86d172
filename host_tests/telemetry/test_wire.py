"""Lines of the telemetry interface: what is one, what it says, what is wrong with it."""

import binascii
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cisterna.telemetry import wire
from cisterna.telemetry.wire import CommandError, LineDecoder, parse
from host_tests.kit.desk import framed

MAC = "0123456789abcdef" * 2
WORD = string.ascii_letters + string.digits
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def feed(decoder, data):
    """What comes of each byte: lines, and the numbers of errors."""
    told = []
    for byte in data:
        try:
            line = decoder.feed(byte)
        except CommandError as refusal:
            told.append(refusal.number)
        else:
            if line is not None:
                told.append(line)
    return told


def number(line):
    """The error that a line is refused with."""
    with pytest.raises(CommandError) as refusal:
        parse(line.encode())
    return refusal.value.number


# -- bytes to lines -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"*IDN?\n", [b"*IDN?"]),
        (b"*IDN?\r\n", [b"*IDN?"]),
        (b"a\nb\r\nc\n", [b"a", b"b", b"c"]),
        (b"\n\r\n\n", []),
        (b"\n\n*IDN?\n", [b"*IDN?"]),
        (b"no end", []),
        (b" \n", [b" "]),
        (b"~\n", [b"~"]),
        (b"a\rb\n", [wire.INVALID_CHARACTER]),
        (b"a\r\r\n", [wire.INVALID_CHARACTER]),
        (b"\ra\n", [wire.INVALID_CHARACTER]),
        (b"a\x7fb\nc\n", [wire.INVALID_CHARACTER, b"c"]),
        (b"\x1f\n", [wire.INVALID_CHARACTER]),
        (b"\x00\n", [wire.INVALID_CHARACTER]),
        (b"\t*IDN?\nok\n", [wire.INVALID_CHARACTER, b"ok"]),
        (b"\xc3\xa9\n*IDN?\n", [wire.INVALID_CHARACTER, b"*IDN?"]),
        (b"\x03\x00\xff\nok\n", [wire.INVALID_CHARACTER, b"ok"]),
    ],
)
def test_bytes_become_lines(data, told):
    assert feed(LineDecoder(), data) == told


@pytest.mark.parametrize("byte", [b for b in range(256) if b not in (0x0A, 0x0D)])
def test_every_byte_is_printable_or_refused_and_the_next_line_is_whole(byte):
    printable = 0x20 <= byte <= 0x7E
    first = b"ab" + bytes([byte]) if printable else wire.INVALID_CHARACTER
    assert feed(LineDecoder(), b"ab" + bytes([byte]) + b"\n*IDN?\n") == [first, b"*IDN?"]


@pytest.mark.parametrize(
    ("size", "end", "whole"),
    [
        (3_071, b"\n", True),
        (3_072, b"\n", True),
        (3_073, b"\n", False),
        (9_999, b"\n", False),
        (3_072, b"\r\n", True),
        (3_073, b"\r\n", False),
    ],
)
def test_a_line_has_at_most_3072_bytes(size, end, whole):
    line = b"x" * size
    told = [line if whole else wire.OVERRUN, b"*IDN?"]
    assert feed(LineDecoder(), line + end + b"*IDN?\n") == told


def test_too_long_is_said_of_a_line_that_has_bad_characters_too():
    assert feed(LineDecoder(), b"\0" + b"x" * 4_000 + b"\n") == [wire.OVERRUN]
    assert feed(LineDecoder(), b"x" * 4_000 + b"\0\n") == [wire.OVERRUN]


@given(st.lists(st.text(PRINTABLE, min_size=1, max_size=60)), st.booleans())
def test_lines_come_out_as_they_went_in(lines, carriage_return):
    end = "\r\n" if carriage_return else "\n"
    data = "".join(line + end for line in lines).encode()
    assert feed(LineDecoder(), data) == [line.encode() for line in lines]


@given(st.binary(max_size=400))
def test_any_bytes_leave_the_decoder_ready_for_the_next_line(data):
    decoder = LineDecoder()
    for told in feed(decoder, data):
        if isinstance(told, bytes):
            assert told
            assert all(0x20 <= byte < 0x7F for byte in told)
    feed(decoder, b"\n")
    assert feed(decoder, b"*IDN?\n") == [b"*IDN?"]


# -- lines to requests --------------------------------------------------------------------------


def test_a_typed_question():
    request = parse(b"SYST:HELP? PROG:STAG")
    assert request.header == "SYST:HELP?"
    assert request.args == ["PROG:STAG"]
    assert (request.tag, request.session, request.counter, request.mac) == ("", "", -1, "")
    assert not request.framed


def test_a_full_frame():
    line = framed(f"#t7 ALAR:PAUS 120 @1A2b,18,{MAC}").encode()
    request = parse(line)
    assert (request.tag, request.header, request.args) == ("t7", "ALAR:PAUS", ["120"])
    assert (request.session, request.counter, request.mac) == ("1a2b", 18, MAC)
    assert request.signed == b"#t7 ALAR:PAUS 120 @1A2b,18"
    assert request.framed
    assert request.line == line


@given(
    tag=st.text(WORD, min_size=1, max_size=8),
    header=st.text(string.ascii_letters + ":*?", min_size=1, max_size=30),
    args=st.lists(st.text(WORD + "-+._:", min_size=1, max_size=12), max_size=9),
    blanks=st.sampled_from(["", " ", "  "]),
    session=st.integers(0, 0xFFFF),
    counter=st.integers(0, 10**18 - 1),
    mac=st.binary(min_size=16, max_size=16),
)
def test_what_is_put_into_a_frame_comes_out(tag, header, args, blanks, session, counter, mac):
    text = f"#{tag} {header}" + (" " + f"{blanks},{blanks}".join(args) if args else "")
    signed = f"{text} @{session:04x},{counter}"
    request = parse(framed(f"{signed},{mac.hex()}").encode())
    assert (request.tag, request.header, request.args) == (tag, header, args)
    assert (request.session, request.counter) == (f"{session:04x}", counter)
    assert (request.mac, request.signed) == (mac.hex(), signed.encode())


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("X", []),
        ("X ", []),
        ("X   ", []),
        ("X 1", ["1"]),
        ("X 1,2", ["1", "2"]),
        ("X  1 , 2 ", ["1", "2"]),
        ("X ,", ["", ""]),
        ("X 1,,2", ["1", "", "2"]),
        ("X a:b", ["a:b"]),
        (f"X @a @1a2b,1,{MAC}", ["@a"]),
    ],
)
def test_arguments_are_separated_by_commas(text, args):
    assert parse(text.encode()).args == args


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("X 1 2", wire.SYNTAX),
        ("X 1, 2 3", wire.SYNTAX),
        (framed("# X"), wire.SYNTAX),
        (framed("#123456789 X"), wire.SYNTAX),
        (framed("#t-1 X"), wire.SYNTAX),
        (framed("#t_ X"), wire.SYNTAX),
        (framed("#@ X"), wire.SYNTAX),
        ("#t1 X", wire.COMMUNICATION),
        ("#t1", wire.COMMUNICATION),
        ("X *00000000", wire.COMMUNICATION),
        ("#t1 X *00000000", wire.COMMUNICATION),
        (f"X @1a2b,1,{MAC[:-1]}", wire.SYNTAX),
        (f"X @1a2b,1,{MAC}0", wire.SYNTAX),
        (f"X @1a2b,1,{MAC[:-1]}g", wire.SYNTAX),
        (f"X @1a2,1,{MAC}", wire.SYNTAX),
        (f"X @1a2b0,1,{MAC}", wire.SYNTAX),
        (f"X @1a2g,1,{MAC}", wire.SYNTAX),
        (f"X @1a2b,,{MAC}", wire.SYNTAX),
        (f"X @1a2b,-1,{MAC}", wire.SYNTAX),
        (f"X @1a2b,+1,{MAC}", wire.SYNTAX),
        (f"X @1a2b,1x,{MAC}", wire.SYNTAX),
        (f"X @1a2b,{'1' * 19},{MAC}", wire.SYNTAX),
        (f"X @1a2b,1,2,{MAC}", wire.SYNTAX),
        (f"X @1a2b,1 ,{MAC}", wire.SYNTAX),
        ("X @", wire.SYNTAX),
        ("X @1a2b", wire.SYNTAX),
        ("X @1a2b,1", wire.SYNTAX),
    ],
)
def test_what_breaks_a_rule_is_refused(line, expected):
    assert number(line) == expected


@pytest.mark.parametrize("text", ["X", "#t1 X", "#t1 X 1,2", " ", "#t1 BOL:STAG 5000,60"])
def test_a_crc_is_right_in_one_writing_only(text):
    """Or a flipped bit in one of its letters would pass."""
    good = framed(text)
    assert parse(good.encode()).framed
    seen = 0
    for place in range(len(good) - 8, len(good)):
        for bit in range(8):
            other = chr(ord(good[place]) ^ 1 << bit)
            if other in PRINTABLE:
                line = good[:place] + other + good[place + 1 :]
                if other in string.hexdigits:
                    assert number(line) == wire.COMMUNICATION
                    seen += 1
    assert seen >= 8


@pytest.mark.parametrize(
    "end", [" *1234567", " *123456789", "*12345678", " *1234567g", " * 2345678"]
)
def test_what_is_no_crc_is_text(end):
    with pytest.raises(CommandError) as refusal:
        parse(("#t1 X" + end).encode())
    assert refusal.value.number == wire.COMMUNICATION
    if " " not in end[1:] and end[0] == " ":
        assert parse(("X" + end).encode()).args == [end.strip()]


@given(st.text(PRINTABLE, min_size=1, max_size=80))
def test_any_line_is_a_request_or_a_refusal(text):
    try:
        request = parse(text.encode())
    except CommandError as refusal:
        told = refusal.number
    else:
        told = 0
        assert request.line == text.encode()
        assert request.framed or not request.tag
    assert told in (0, wire.SYNTAX, wire.COMMUNICATION)


@given(st.text(PRINTABLE.replace("#", ""), min_size=1, max_size=60), st.data())
def test_a_tagged_line_never_passes_with_another_crc(text, data):
    good = framed("#t1 " + text)
    wrong = data.draw(st.integers(0, 0xFFFF_FFFF))
    if wrong != binascii.crc32(b"#t1 " + text.encode()):
        assert number(good[:-8] + f"{wrong:08X}") == wire.COMMUNICATION


# -- numbers and errors -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("-0", 0), ("+7", 7), ("-7", -7), ("007", 7), ("9" * 18, 10**18 - 1)],
)
def test_whole_numbers(text, value):
    assert wire.to_int("n", text) == value


@pytest.mark.parametrize(
    "text", ["", "-", "+", "1.0", "1e3", "0x10", "--1", "+-1", "1_000", " 1", "9" * 19, "one"]
)
def test_what_is_no_whole_number_is_named(text):
    with pytest.raises(CommandError, match=r"^n = ") as refusal:
        wire.to_int("n", text)
    assert refusal.value.number == wire.DATA_TYPE
    assert len(refusal.value.detail) < 80


def test_errors_read_as_scpi_has_them():
    assert wire.error_text(-222, "x = 5") == '-222,"Data out of range; x = 5"'
    assert wire.error_text(-350, "") == '-350,"Queue overflow"'
    assert wire.error_text(-113, 'no "x"').count('"') == 2


@given(st.text(PRINTABLE, max_size=60))
def test_the_suffix_of_a_reply_is_the_crc_that_a_request_carries(text):
    assert text + wire.crc_suffix(text) == framed(text)
