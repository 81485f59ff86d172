"""The link, over a real pty and real TCP: lines, telemetry between them, and all that can fail."""

import fcntl
import os
import re
import socket
import threading
import time
import types

import pytest
import serial
from serial.tools import list_ports

from host_tests.kit.peer import PEERS, PtyPeer, TcpPeer, header, pump, reply
from pumpctl import Pump
from pumpctl.errors import (
    BadValue,
    Garbage,
    LinkError,
    LinkLost,
    NoAnswer,
    NoProtocol,
    NoPump,
    PortBusy,
    PortDenied,
    PortMissing,
    PumpError,
    Refused,
    WrongProtocol,
)
from pumpctl.exchange import TRIES, Exchange, Identity
from pumpctl.link import Link
from pumpctl.serial_port import SerialPort

TIMEOUT_S = 0.3


def _link(port, **options):
    """The lines of a port."""
    return Link(SerialPort(port), **options)


@pytest.fixture(params=sorted(PEERS))
def kind(request):
    return PEERS[request.param]


@pytest.fixture
def exchange_with(kind):
    """Opens an Exchange with a peer that answers by a script."""
    opened = []

    def connect(answer, timeout_s=TIMEOUT_S):
        peer = kind(answer).__enter__()
        opened.append(peer)
        link = _link(peer.port)
        opened.append(link)
        return Exchange(link, timeout_s), peer

    yield connect
    for each in reversed(opened):
        each.close()


def test_a_question_gets_the_answer_with_its_tag(exchange_with):
    exchange, peer = exchange_with(pump(RES_VOL="12345"))
    assert exchange.identify() == Identity("Cisterna", "pico", "E66", "0.1.0")
    assert exchange.ask("RES:VOL?") == "12345"
    assert re.fullmatch(rb"#\w{8} RES:VOL\? \*[0-9A-F]{8}", peer.lines[-1])


def test_a_refusal_is_raised_with_number_and_text(exchange_with):
    exchange, _ = exchange_with(pump(LOG='ERR -222,"Data out of range; first = -1"'))
    with pytest.raises(
        Refused, match=r"pump refused LOG\?: Data out of range; first = -1"
    ) as info:
        exchange.ask("LOG?", -1, 16)
    assert (info.value.number, info.value.exit_code) == (-222, 5)


def test_telemetry_in_between_is_set_aside(exchange_with):
    def answer(line):
        said = reply(line, "7")
        return b'~{"seq":1}\n' + said[:5] + said[5:] + b'~{"seq":2}\r\n'

    exchange, _ = exchange_with(answer)
    assert exchange.ask("PROG:RATE?") == "7"
    assert exchange.link.telemetry(0) == b'~{"seq":1}'
    assert exchange.link.telemetry(TIMEOUT_S) == b'~{"seq":2}'
    assert exchange.link.telemetry(0) is None


def test_telemetry_that_nobody_takes_drops_the_oldest_and_counts(kind):
    with kind(lambda line: b"".join(b"~%d\n" % i for i in range(8)) + reply(line, "1")) as peer:
        link = _link(peer.port, queue_lines=5)
        assert Exchange(link, TIMEOUT_S).ask("X?") == "1"
        assert link.dropped == 3
        assert [link.telemetry(0) for _ in range(6)] == [b"~3", b"~4", b"~5", b"~6", b"~7", None]
        link.close()


def test_an_answer_in_pieces_is_put_together(exchange_with):
    said: list = []

    def answer(line):
        data = reply(line, "12345")
        for octet in data[:-1]:
            said[0].say(bytes([octet]))
            time.sleep(0.002)
        return data[-1:]

    exchange, peer = exchange_with(answer, timeout_s=2)
    said.append(peer)
    assert exchange.ask("RES:VOL?") == "12345"
    assert len(peer.lines) == 1


def test_answers_out_of_order_are_told_apart_by_their_tags(exchange_with):
    late: list = []

    def answer(line):
        late.append(reply(line, str(len(late))))
        # The first comes only with the second, before it and after it.
        return None if len(late) == 1 else late[0] + late[-1] + late[0]

    exchange, _ = exchange_with(answer)
    assert exchange.ask("A?") == "1"
    assert exchange.ask("B?") == "2"


def test_a_spoilt_answer_is_asked_for_again(exchange_with):
    asked = []

    def answer(line):
        asked.append(line)
        said = reply(line, "12345")
        return said if len(asked) == TRIES else said.replace(b"12345", b"12346")

    exchange, peer = exchange_with(answer)
    assert exchange.ask("RES:VOL?") == "12345"
    assert len(peer.lines) == len(set(peer.lines)) == TRIES


def test_an_answer_without_a_check_sum_is_not_taken(exchange_with):
    exchange, _ = exchange_with(lambda line: reply(line, "12345").partition(b" *")[0] + b"\n")
    with pytest.raises(LinkError):
        exchange.ask("RES:VOL?")


@pytest.mark.parametrize(
    "said", [b'ERR -360,"Communication error"\n', b'ERR -101,"Invalid character"\n']
)
def test_a_question_that_noise_spoilt_is_asked_again_at_once(exchange_with, said):
    said_first = iter([said])
    exchange, _ = exchange_with(
        lambda line: next(said_first, None) or reply(line, "1"), timeout_s=30
    )
    began_s = time.monotonic()
    assert exchange.ask("A?") == "1"
    assert time.monotonic() - began_s < 10


def test_a_restart_in_between_is_asked_over_at_once(exchange_with):
    boot = iter([b"cisterna 0.1.0 on pico running\n"])
    exchange, _ = exchange_with(lambda line: next(boot, None) or reply(line, "1"), timeout_s=30)
    began_s = time.monotonic()
    assert exchange.ask("A?") == "1"
    assert time.monotonic() - began_s < 10
    assert exchange.link.boots == 1


# What is heard where no pump answers, the error, and what it says.
STRANGERS = [
    (lambda line: None, NoAnswer, "no answer to .*is the pump powered"),
    (lambda line: bytes(range(128, 256)), Garbage, "wrong baud rate"),
    (lambda line: b"\xf8\x00\xf8\n" * 9, Garbage, "wrong baud rate"),
    (lambda line: line + b"\r\n", Garbage, "sends back what it is sent"),
    (lambda line: b"cisterna 0.0.9 on pico running\n", NoProtocol, "make flash"),
    (
        lambda line: b"cisterna: not dosing: no board file\n",
        NoProtocol,
        "no board file.*make flash",
    ),
    (lambda line: line + b"\r\n>>> ", NoProtocol, "MicroPython runs there.*make flash"),
    (lambda line: b"SIM800 R14.18\r\n", Garbage, "no pump; it says 'SIM800 R14.18'"),
    (lambda line: b"x" * 20_000, Garbage, "no pump; it says .x"),
    (lambda line: reply(line, "HEWLETT-PACKARD,34401A,0,1"), NoProtocol, "does not speak"),
    (lambda line: reply(line, 'ERR -113,"Undefined header"'), NoProtocol, "make flash"),
    (pump(SYST_PROT='ERR -113,"Undefined header"'), NoProtocol, "make flash"),
    (pump(SYST_PROT="2"), WrongProtocol, "version 2 .*, these tools version 1: the host tools"),
    (pump(SYST_PROT="0"), WrongProtocol, "version 0 .*: it must be as new as the tools"),
]


@pytest.mark.parametrize("stranger", range(len(STRANGERS)))
def test_what_is_no_pump_is_explained_in_a_line(exchange_with, stranger):
    answer, error, said = STRANGERS[stranger]
    exchange, _ = exchange_with(answer, timeout_s=0.1)
    with pytest.raises(error, match=said) as info:
        exchange.identify()
    text = str(info.value)
    assert exchange.link.port in text
    assert "\n" not in text
    assert text.isprintable()
    assert info.value.exit_code == 4


def test_half_a_line_that_somebody_left_is_ended_first(kind):
    with kind(pump()) as peer:
        link = _link(peer.port)
        link.transport.write(b"RES:V")
        Exchange(link, TIMEOUT_S).identify()
        assert peer.lines[0] == b"RES:V"
        link.close()


def test_a_pulled_cable_is_noticed_at_once(exchange_with):
    def answer(line):
        if header(line) == "STAT?":
            peer.pull()
            return None
        return reply(line, "1")

    exchange, peer = exchange_with(answer, timeout_s=30)
    assert exchange.ask("A?") == "1"
    began_s = time.monotonic()
    with pytest.raises(LinkLost, match=r"link was cut .*; look at cable and power") as info:
        exchange.ask("STAT?")
    assert time.monotonic() - began_s < 10
    assert "\n" not in str(info.value)
    with pytest.raises(LinkLost):
        exchange.ask("A?")


def test_a_link_comes_back_as_soon_as_its_port_does(tmp_path):
    """As a USB port does: the device goes away with the cable and comes back under its name."""
    device = tmp_path / "ttyPUMP"
    with PtyPeer(pump()) as first, PtyPeer(pump()) as second:
        device.symlink_to(first.port)
        link = _link(str(device))
        exchange = Exchange(link, TIMEOUT_S)
        exchange.identify()
        first.pull()
        device.unlink()
        with pytest.raises(LinkLost):
            exchange.ask("STAT?")
        with pytest.raises(PortMissing):
            link.reopen(0)
        threading.Timer(0.5, lambda: device.symlink_to(second.port)).start()
        link.reopen(10)
        exchange.identify()
        link.close()


def test_a_connection_that_was_reset_comes_back():
    with TcpPeer(pump()) as peer:
        link = _link(peer.port)
        exchange = Exchange(link, TIMEOUT_S)
        exchange.identify()
        peer.pull()
        with pytest.raises(LinkLost):
            exchange.ask("STAT?")
        link.reopen(5)
        exchange.identify()
        link.close()


def test_a_connection_is_let_go_at_once():
    with TcpPeer(pump()) as peer:
        port = SerialPort(peer.port)
        began_s = time.monotonic()
        port.close()
        port.close()
        assert time.monotonic() - began_s < 0.2


def test_half_an_answer_before_a_cut_is_forgotten():
    with TcpPeer(lambda line: reply(line, "12345")[:-4]) as peer:
        link = _link(peer.port)
        assert Exchange(link, TIMEOUT_S).once("#a A? *" + "0" * 8, "a") is None
        assert link.unfinished()
        peer.answer = lambda line: reply(line, "7")
        link.reopen(5)
        assert Exchange(link, TIMEOUT_S).ask("B?") == "7"
        assert len(peer.lines) == 2  # at the first try
        link.close()


def test_a_port_that_another_program_holds_is_named():
    with PtyPeer(pump()) as peer:
        holder = os.open(peer.port, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(PortBusy, match=rf"{peer.port}: in use by another program: close"):
            _link(peer.port)
        os.close(holder)
        _link(peer.port).close()


def test_two_clients_cannot_have_one_port():
    with PtyPeer(pump()) as peer:
        link = _link(peer.port)
        with pytest.raises(PortBusy):
            _link(peer.port)
        link.close()


def _fails(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (PermissionError(13, "Permission denied"), PortDenied, "usermod -aG dialout"),
        (serial.SerialException(13, "could not open port"), PortDenied, "usermod -aG dialout"),
        (OSError(16, "Device or resource busy"), PortBusy, "in use by another program"),
        (FileNotFoundError(2, "No such file or directory"), PortMissing, "no such port"),
        (OSError(5, "Input/output error"), LinkError, "Input/output error"),
        (IsADirectoryError(21, "Is a directory"), LinkError, "that is no serial port"),
    ],
)
def test_a_port_that_cannot_be_opened_is_explained(monkeypatch, error, kind, said):
    monkeypatch.setattr(serial, "serial_for_url", _fails(error))
    with pytest.raises(kind, match=f"/dev/ttyX: .*{said}"):
        _link("/dev/ttyX")


def test_a_port_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PortMissing, match="ttyNONE: there is no such port"):
        _link(str(tmp_path / "ttyNONE"))


def test_a_file_is_no_port(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path, "/dev/null"):
        with pytest.raises(LinkError, match=f"{path}: that is no serial port; give /dev/"):
            _link(str(path))


def test_a_server_that_is_not_there_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PortMissing, match=f"socket://127.0.0.1:{port}: nobody answers there"):
        _link(f"socket://127.0.0.1:{port}")


@pytest.mark.parametrize("port", ["socket://nowhere", "sokcet://h:1", "socket://h:70000"])
def test_a_port_that_makes_no_sense_is_explained(port):
    with pytest.raises(PumpError, match=port) as info:
        _link(port)
    assert "\n" not in str(info.value)
    assert isinstance(info.value, BadValue | PortMissing)


def test_a_plug_that_bridges_its_pins_is_no_pump():
    link = _link("loop://")
    with pytest.raises(Garbage, match="sends back what it is sent"):
        Exchange(link, 0.1).identify()
    link.close()


def _flood(link):
    while True:
        link.send("X" * 3_000)


def test_a_line_that_never_takes_what_is_sent_is_cut(monkeypatch):
    monkeypatch.setattr("pumpctl.serial_port._WRITE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = _link(f"socket://127.0.0.1:{server.getsockname()[1]}")
        accepted, _ = server.accept()
        with pytest.raises(LinkLost, match="Write timeout"):
            _flood(link)
        accepted.close()
        link.close()


PICO = types.SimpleNamespace(device="/dev/ttyACM0", description="Board", vid=0x2E8A, pid=5)
BRIDGE = types.SimpleNamespace(device="/dev/ttyUSB0", description="CP2102", vid=0x10C4, pid=0xEA60)
MODEM = types.SimpleNamespace(device="/dev/ttyS0", description="n/a", vid=None, pid=None)


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ([], "no pump found on USB: plug it in"),
        ([MODEM], "no pump found on USB"),
        ([PICO, BRIDGE], "several boards found, .*: /dev/ttyACM0 .*, /dev/ttyUSB0"),
    ],
)
def test_no_pump_or_several_are_explained(monkeypatch, there, said):
    monkeypatch.setattr(list_ports, "comports", lambda: there)
    with pytest.raises(NoPump, match=said) as info:
        Pump.open()
    assert info.value.exit_code == 3


def test_the_only_board_is_taken(monkeypatch):
    with PtyPeer(pump()) as peer:
        board = types.SimpleNamespace(**{**vars(PICO), "device": peer.port})
        monkeypatch.setattr(list_ports, "comports", lambda: [MODEM, board])
        with Pump.open() as found:
            assert found.identity.serial == "E66"
            with pytest.raises(PumpError, match="needs a role"):
                found.stop()


def test_a_port_is_let_go_when_opening_a_pump_fails():
    with PtyPeer(lambda line: None) as peer:
        with pytest.raises(NoAnswer) as kept:
            Pump.open(peer.port, timeout_s=0.05)
        _link(peer.port).close()
        assert kept.tb  # holds all that was open
