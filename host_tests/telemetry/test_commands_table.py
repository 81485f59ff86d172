"""The table of commands: what it repeats of other modules is what they say."""

import pytest

from cisterna.base.roles import ROLES
from cisterna.parts.program import KINDS
from cisterna.telemetry import commands, keys, rows, two_steps, wire
from cisterna.telemetry.rows import HEX, INT, TEXT

ROWS = {row.header: row for row in commands.all_rows()}


def specs(header):
    return {spec[1]: spec for spec in ROWS[header].arguments}


def test_no_command_stands_twice_and_each_is_found():
    assert len(ROWS) == len(commands.all_rows())
    for header, row in ROWS.items():
        assert vars(commands.find(header)) == vars(row)


def test_each_has_what_carries_it_out_and_nothing_else_has():
    own = {header for header in ROWS if not header.endswith(":COMM")}
    for header, row in ROWS.items():
        assert callable(row.act)
        assert (row.act is two_steps.commit) == (header not in own)
    assert len({row.act for row in ROWS.values()}) == len(own) + 1


@pytest.mark.parametrize("header", [header for header in ROWS if header.endswith(":COMM")])
def test_what_commits_is_given_by_the_role_that_stages(header):
    staging, commits = ROWS[header.replace(":COMM", ":STAG")], ROWS[header]
    assert commits.roles == staging.roles
    assert (staging.kind, commits.kind) == (rows.SESSION, rows.CHANGE)


def test_roles_stand_where_authority_is_needed():
    for row in ROWS.values():
        assert bool(row.roles) == (row.kind >= rows.SESSION)


def test_words_and_numbers_are_those_of_the_modules_that_own_them():
    assert specs("PROG:STAG")["kind"][2] == tuple(KINDS)
    for header in ("AUTH:HELL", "KEY:ROT:STAG"):
        assert specs(header)["role"][2] == ROLES
    assert tuple(specs("KEY:PROV")) == ROLES
    arguments = [*specs("KEY:PROV").values(), specs("KEY:ROT:STAG")["wrapped"]]
    assert {spec[2] for spec in arguments} == {2 * keys.KEY_BYTES}
    assert specs("AUTH:PROV")["mac"][2] == wire.MAC_DIGITS


def test_all_forms_of_arguments_are_taken_apart():
    program = ROWS["PROG:STAG"]
    assert (program.needed, program.again) == (6, 3)
    assert program.arguments[-3:] == [
        (INT, "days", 1, 127, "mask with 1 for Monday"),
        (INT, "start_min", 0, 1439, "min"),
        (INT, "dose_ng_per_day", 1, 100_000_000, "ng/day"),
    ]
    limits = ROWS["LIM:STAG"]
    assert (limits.needed, limits.again) == (2, 2)
    assert limits.arguments == [(TEXT, "name"), (TEXT, "value")]
    assert specs("CONF")["echo"] == (HEX, "echo", 8)
    assert (ROWS["SYST:HELP?"].needed, ROWS["SYST:HELP?"].again) == (0, 0)
    assert specs("PROG:STAG")["daily_cap"] == (INT, "daily_cap", 0, 24, "")
