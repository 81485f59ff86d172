"""T04, T07: a right key with wrong arguments is answered, whatever they are."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cisterna.base.settings import Limits
from cisterna.telemetry.commands import all_rows
from cisterna.telemetry.rows import INT, ONE_OF
from cisterna.telemetry.rows import SESSION as IN_SESSION
from host_tests.kit.desk import Desk
from host_tests.kit.roles import MAY

_NUMBERS = st.sampled_from(
    [-1, 0, 1, 2, 60, 127, 128, 1_439, 2_000, 10**6, 2**31, 2**63, 10**18 - 1]
)
_WORDS = st.sampled_from(
    ["", "a", "ALL", "EMPTY", "RUNAWAY", "service", "profile", "stopped", "minimum", "low_nl",
     "max_daily_dose_ng", "restarts", "5a" * 32, "0" * 8, "1.5", "--1", "\"", "nan"]
)  # fmt: skip


def _argument(spec):
    """An argument that is often right, or just beyond what is, or something else."""
    right: st.SearchStrategy[Any] = st.just("x")
    if spec[0] == INT:
        right = st.one_of(
            st.integers(spec[2], spec[3]), st.sampled_from([spec[2], spec[3], spec[3] + 1])
        )
    elif spec[0] == ONE_OF:
        right = st.sampled_from(spec[2])
    elif spec[1] == "name":
        right = st.sampled_from([row[0] for row in Limits.FIELDS])
    elif spec[1] == "value":
        right = st.integers(0, 10**8)
    return st.one_of(*[right.map(str)] * 6, _NUMBERS.map(str), _WORDS)


@st.composite
def _commands(draw):
    """A command that needs a session, with any arguments."""
    row = draw(st.sampled_from([row for row in all_rows() if row.kind >= IN_SESSION]))
    specs = list(row.arguments)
    specs += specs[len(specs) - row.again :] * draw(st.integers(0, 3)) if row.again else []
    texts = [draw(_argument(spec)) for spec in specs]
    texts = texts[: draw(st.one_of(st.just(99), st.integers(0, 12)))]
    return row.header, (row.header + " " + ",".join(texts)).strip()


@pytest.mark.req("T04", "T07")
@settings(max_examples=100)
@given(st.booleans(), st.lists(_commands(), min_size=1, max_size=12))
def test_whoever_has_every_right_and_any_arguments_gets_a_reply_and_no_crash(start, commands):
    desk = Desk(start=start)
    sessions = {"c": desk.open("clinician"), "s": desk.open("service")}
    for header, text in commands:
        role = "s" if "c" not in MAY[header] else "c"
        if header in ("*RST", "AUTH:BYE"):
            continue
        payload = sessions[role].ask(text)
        assert payload == "OK" or payload[:1] == "{" or payload.startswith("ERR -"), payload
        assert "-310" not in payload
        if payload[:1] == "{":
            staged = json.loads(payload)
            desk.press()
            if staged["confirm"]:
                assert sessions["cs"[role == "c"]].confirm(staged) == "OK"
            if header != "KEY:ROT:STAG":
                assert sessions[role].commit(staged).split(" ")[0] in ("OK", "ERR")
    desk.run(5)
    assert desk.ask("*OPC?") == "1"
