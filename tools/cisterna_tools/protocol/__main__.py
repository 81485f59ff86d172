"""``python -m cisterna_tools.protocol``: write tools/protocol.md anew."""

from pathlib import Path
from string import Template

from cisterna.telemetry import sessions, staging, stream, wire
from cisterna.telemetry.keys import KEY_BYTES
from cisterna.telemetry.reads import LOG_PAGE, PROTOCOL
from cisterna_tools.protocol import tables
from cisterna_tools.protocol.transcript import Transcript

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "protocol.md"


def page() -> str:
    """The whole page."""
    said = Transcript()
    values: dict[str, object] = {
        **{f"scene_{name}": f"```text\n{text}\n```" for name, text in said.scenes.items()},
        **said.facts,
        "host": (FOLDER / "host.py").read_text(encoding="utf-8").rstrip(),
        "commands": tables.commands(said.examples),
        "mnemonics": tables.mnemonics(),
        "errors": tables.errors(),
        "alarms_table": tables.alarms(),
        "events": tables.log_events(),
        "modes": tables.pump_modes(),
        "limits": tables.limits(),
        "members": tables.members(),
        "protocol": PROTOCOL,
        "line_bytes": tables.number(wire.LINE_BYTES),
        "mac_digits": wire.MAC_DIGITS,
        "key_bytes": KEY_BYTES,
        "key_digits": 2 * KEY_BYTES,
        "failures": sessions.FAILURES,
        "back_off_s": sessions.BACK_OFF_S,
        "max_back_off_s": tables.number(sessions.MAX_BACK_OFF_S),
        "idle_s": sessions.IDLE_US // 1_000_000,
        "max_sessions": sessions.MAX_SESSIONS,
        "expiry_s": staging.EXPIRY_S,
        "min_period_ms": stream.MIN_PERIOD_MS,
        "log_page": LOG_PAGE,
    }
    return Template((FOLDER / "template.md").read_text(encoding="utf-8")).substitute(values)


def main() -> None:
    """Write it."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
