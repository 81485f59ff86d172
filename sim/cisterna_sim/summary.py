"""What a run came to, from its directory alone: as JSON for programs, as text for people.

What the pump believes stands beside what is true. The pump's doses in ug are volumes times the
concentration; the true one is what came out of the catheter, whatever it held before.
"""

import io
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cisterna_sim.record import Run, clock, read

JSON_FILE = "summary.json"
TEXT_FILE = "summary.txt"


def write(run_dir: Path) -> str:
    """Write summary.json and summary.txt into the run directory; return the text."""
    facts = summarise(read(run_dir))
    text = render(facts)
    (run_dir / JSON_FILE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (run_dir / TEXT_FILE).write_text(text, encoding="utf-8")
    return text


def summarise(run: Run) -> dict[str, Any]:
    """The facts of a run; None where the run did not get far enough to know one."""
    last = run.last or {}
    meta = run.meta
    concentration = meta.get("concentration_ug_per_ml")

    def amount(volume_nl: float | None) -> dict[str, float | None]:
        known = volume_nl is not None and concentration is not None
        # 1 ug/mL is 1e-6 ug/nL.
        dose_ug = round(volume_nl * concentration / 1e6, 4) if known else None  # type: ignore[operator]
        return {"nl": None if volume_nl is None else round(volume_nl, 1), "ug": dose_ug}

    return {
        **{key: meta.get(key) for key in ("scenario", "title", "status", "days", "seed", "start")},
        "simulated_s": last.get("true_s", 0.0),
        "mode": last.get("mode"),
        "programmed": amount(last.get("programmed_nl")),
        "counted": amount(last.get("counted_nl")),
        "delivered": _true_amount(last),
        "drawn_back": amount(last.get("drawn_back_nl")),
        "open": amount(last.get("open_nl")),
        "leaked": amount(last.get("leaked_nl")),
        "error_quanta": _error_quanta(last, meta),
        "quantum_pl": meta.get("quantum_pl"),
        "remaining_nl": {
            "ledger": last.get("remaining_nl"),
            "true": last.get("true_remaining_nl"),
        },
        "effect_percent": last.get("effect_percent"),
        "refill_date": meta.get("refill_date"),
        "low_date": meta.get("low_date"),
        "alarms": alarm_spans(run),
        "boluses": [
            {"true_s": e.true_s, "what": e.name.removeprefix("BOLUS_").lower(), "detail": e.detail}
            for e in run.events
            if e.name.startswith("BOLUS_")
        ],
        "resets": _resets(run),
    }


def alarm_spans(run: Run) -> list[dict[str, Any]]:
    """Every alarm that was raised, in order of its first time.

    ``first_s``: when it was first raised. ``end_s``: when it was last gone and acknowledged; None
    while it is either not. ``spans``: (raised, condition gone or None, over or None), one a raise.
    """
    alarms: dict[str, dict[str, Any]] = {}
    for event in run.events:
        if not event.name.startswith("ALARM_"):
            continue
        name, _, priority = event.detail.partition(" ")
        if event.name == "ALARM_RAISED":
            alarm = alarms.setdefault(
                name,
                {
                    "alarm": name,
                    "priority": priority.upper(),
                    "first_s": event.true_s,
                    "spans": [],
                },
            )
            alarm["spans"].append({"raised_s": event.true_s, "gone_s": None, "acked_s": None})
        elif name in alarms:
            span = alarms[name]["spans"][-1]
            key = "gone_s" if event.name == "ALARM_GONE" else "acked_s"
            if span[key] is None:
                span[key] = event.true_s
    for alarm in alarms.values():
        for span in alarm["spans"]:
            gone, acked = span["gone_s"], span["acked_s"]
            span["over_s"] = None if gone is None or acked is None else max(gone, acked)
        alarm["count"] = len(alarm["spans"])
        alarm["end_s"] = alarm["spans"][-1]["over_s"]
    return list(alarms.values())


def _resets(run: Run) -> list[dict[str, Any]]:
    """Every boot but the first, which is the start of the run."""
    boots = [event for event in run.events if event.name == "BOOT"]
    return [{"true_s": event.true_s, "cause": event.detail} for event in boots[1:]]


def _error_quanta(last: dict[str, Any], meta: dict[str, Any]) -> float | None:
    quantum_pl = meta.get("quantum_pl")
    if not quantum_pl or not last:
        return None
    # What was drawn back had been delivered as programmed, into a blocked line.
    counted_nl = last["counted_nl"] + last["drawn_back_nl"]
    error: float = (counted_nl - last["programmed_nl"]) * 1000 / quantum_pl
    return round(error, 2)


def _true_amount(last: dict[str, Any]) -> dict[str, float | None]:
    if not last:
        return {"nl": None, "ug": None}
    return {"nl": round(last["true_tip_nl"], 1), "ug": round(last["true_tip_ng"] / 1000, 4)}


def render(facts: dict[str, Any]) -> str:
    """The facts as text, 100 columns wide."""
    console = Console(file=io.StringIO(), width=100, no_color=True, highlight=False)
    length = clock(facts["simulated_s"]).strip()
    console.print(f"{facts['scenario']}: {facts['title']}", markup=False)
    console.print(
        f"{facts['status']} after {length} of {_days(facts['days'])}, seed {facts['seed']}"
    )
    if facts["mode"] is None:
        console.print("No sample was recorded.")
    else:
        console.print()
        console.print(_delivery(facts))
    for title, rows, heads in (
        ("Alarms", _alarm_rows(facts), ("alarm", "priority", "first", "end", "count")),
        ("Boluses", _bolus_rows(facts), ("time", "decision", "detail")),
        ("Resets", _reset_rows(facts), ("time", "cause")),
    ):
        console.print()
        if not rows:
            console.print(f"{title}: none")
            continue
        table = Table(*heads, title=title, title_justify="left", box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    output = console.file
    assert isinstance(output, io.StringIO)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines()) + "\n"


def _days(days: float) -> str:
    return f"{days:g} day" + ("" if days == 1 else "s")


def _delivery(facts: dict[str, Any]) -> Table:
    table = Table("", "the pump believes", "what is true", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"

    def dose(key: str) -> str:
        nl, ug = facts[key]["nl"], facts[key]["ug"]
        return "" if nl is None else f"{nl:,.0f} nL" + ("" if ug is None else f" = {ug:,.2f} ug")

    def millilitres(key: str) -> str:
        nl = facts["remaining_nl"][key]
        return "" if nl is None else f"{nl / 1e6:.4f} mL"

    table.add_row("programmed", dose("programmed"), "")
    table.add_row("delivered", dose("counted"), dose("delivered"))
    if facts["leaked"]["nl"]:
        table.add_row("leaked", "", dose("leaked"))
    if facts["drawn_back"]["nl"]:
        table.add_row("drawn back", dose("drawn_back"), "")
    if facts["open"]["nl"]:
        table.add_row("open after power loss", f"up to {dose('open')} more", "")
    if facts["error_quanta"] is not None:
        quantum_nl = facts["quantum_pl"] / 1000
        error = f"{facts['error_quanta']:+.2f} quanta of {quantum_nl:.1f} nL"
        table.add_row("counted - programmed", error, "")
    table.add_row("remaining", millilitres("ledger"), millilitres("true"))
    table.add_row("mode", facts["mode"], "")
    if facts["effect_percent"] is not None:
        table.add_row("effect of the drug", "", f"{facts['effect_percent']:.0f} %")
    for key, label in (("low_date", "low alarm expected"), ("refill_date", "refill before")):
        if facts[key]:
            table.add_row(label, str(facts[key]), "")
    return table


def _alarm_rows(facts: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            alarm["alarm"],
            alarm["priority"].lower(),
            clock(alarm["first_s"]),
            "still on" if alarm["end_s"] is None else clock(alarm["end_s"]),
            str(alarm["count"]),
        )
        for alarm in facts["alarms"]
    ]


def _bolus_rows(facts: dict[str, Any]) -> list[tuple[str, ...]]:
    return [(clock(b["true_s"]), b["what"], b["detail"]) for b in facts["boluses"]]


def _reset_rows(facts: dict[str, Any]) -> list[tuple[str, ...]]:
    return [(clock(reset["true_s"]), reset["cause"]) for reset in facts["resets"]]
