"""Commands in two steps: what puts STAG and COMM into a table, and the commit of them all."""

from ..base.compat import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .desk import Call
    from .rows import Act, Rows

OK = "OK"

# The row of a commit, by the initial of the role that stages and commits.
_COMMITS = {
    "c": "change c | id 0..999999999999999, echo hex8 | OK | Do what was staged, once the button "
    "was pressed",
    "s": "change s | id 0..999999999999999, echo hex8 | OK | Do what was staged, once the button "
    "was pressed",
}


def commit(call: "Call") -> str:
    """Do what was staged, as the COMM of every command in two steps."""
    assert call.session is not None
    desk, (number, echo) = call.desk, call.args
    what = call.row.header[: -len(":COMM")]
    change = desk.staging.to_commit(call.now_us, what, number, echo, call.session.role)
    desk.act(call.now_us, change.order, change.arguments)
    desk.staging.drop()
    return OK


def two_steps(rows: "Rows", header: str, text: str) -> "Callable[[Act], Act]":
    """Put in a command that is staged by the function below this, and its commit."""

    def keep(stage: "Act") -> "Act":
        rows.put(header + ":STAG", text, stage)
        rows.put(header + ":COMM", _COMMITS[text[len("session ")]], commit)
        return stage

    return keep
