"""A pump made ready for any one command of the protocol."""

from cisterna.telemetry.commands import all_rows
from host_tests.kit.desk import ROLES, Desk, Session, example

AT_REST = ("*RST", "LIM:STAG", "LIM:COMM", "DEL:STAR:STAG", "DEL:STAR:COMM")


def ready(header: str) -> tuple[Desk, Session, str]:
    """A pump that would carry out the command, the session, and its frame, not yet sent."""
    desk = Desk(start=header not in AT_REST)
    row = next(row for row in all_rows() if row.header == header)
    role = next(role for i, role in reversed(list(enumerate(ROLES))) if row.may(i))
    session = desk.open(role)
    text = example(header)
    if header == "DEL:RES":
        assert session.ask("DEL:SUSP") == "OK"
    if header.endswith(":COMM"):
        staged = session.stage(example(header.removesuffix("COMM") + "STAG"))
        desk.press()
        if staged["confirm"]:
            other = desk.open("clinician" if role == "service" else "service")
            assert other.confirm(staged) == "OK"
        text = f"{header} {staged['id']},{staged['echo']}"
    if header == "CONF":
        desk.order("stop")
        staged = desk.open("clinician").stage(example("RES:REF:STAG").replace("2000", "1000"))
        text = f"CONF {staged['id']},{staged['echo']}"
    return desk, session, session.frame(text)
