"""One tall picture of a run on a shared time axis: flow, reservoir, pressure, alarms, effect."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, MultipleLocator

from cisterna_sim.record import Run, read
from cisterna_sim.summary import alarm_spans

FILE = "picture.png"
S_PER_DAY = 86_400
_HOURS_UP_TO_DAYS = 3
# The lamp colours of IEC 60601-1-8, dark enough to be seen on white.
PRIORITY_COLOURS = {"HIGH": "#d62839", "MEDIUM": "#e8b410", "LOW": "#1fa8b8"}
BELIEVED, TRUE, FAINT, MARK = "#2f4b7c", "#e07a1f", "#b8c4d6", "#666666"
GRANTED, REFUSED = "#2a9d55", "#d62839"
# matplotlib's stubs list every key of this table; the drawing itself would name a wrong one.
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "legend.fontsize": 8,
}


def picture(run_dir: Path) -> Path:
    """Draw the run into its directory and return the file; any number of samples will do."""
    run = read(run_dir)
    spans = alarm_spans(run)
    lanes = len(spans) + any(e.name.startswith("BOLUS_") for e in run.events)
    heights = [2.4, 1.8, 2.1, 0.5 + 0.28 * max(2, lanes), 1.6]
    with matplotlib.rc_context(_STYLE):
        # A Figure of its own draws with Agg and leaves no state behind in pyplot.
        figure = Figure(figsize=(11, sum(heights) + 2.2), layout="constrained")
        panels = figure.subplots(len(heights), sharex=True, height_ratios=heights)
        figure.suptitle(_title(run), x=0.01, ha="left", fontsize=12, weight="bold")
        data = {key: np.array(run.samples[key], dtype=float) for key in _NUMBERS}
        unit_s, unit = _time_unit(run)
        x = data["true_s"] / unit_s
        _flow(panels[0], run, data, x)
        _reservoir(panels[1], run, data, x)
        _pressure(panels[2], run, data, x)
        _alarms(panels[3], run, spans, unit_s)
        _effect(panels[4], data, x)
        _time_axis(panels[-1], run, unit_s, unit)
        path = run_dir / FILE
        figure.savefig(path, dpi=110)
    return path


_NUMBERS = (
    "true_s",
    "true_tip_nl",
    "rate_nl_per_day",
    "remaining_nl",
    "true_remaining_nl",
    "pressure_pa",
    "true_pressure_pa",
    "effect_percent",
)


def tip_flow_ml_per_day(
    true_s: "np.ndarray[Any, Any]", tip_nl: "np.ndarray[Any, Any]", window_s: float
) -> "np.ndarray[Any, Any]":
    """Flow out of the tip in mL/day at each sample, averaged over a window round it."""
    if len(true_s) < 2:
        return np.full(len(true_s), np.nan)
    begin = np.maximum(true_s - window_s / 2, true_s[0])
    end = np.minimum(true_s + window_s / 2, true_s[-1])
    moved_nl = np.interp(end, true_s, tip_nl) - np.interp(begin, true_s, tip_nl)
    span_s = np.where(end > begin, end - begin, np.nan)
    flow: np.ndarray[Any, Any] = moved_nl / span_s * S_PER_DAY / 1e6
    return flow


def _flow(axes: Axes, run: Run, data: dict[str, Any], x: Any) -> None:
    # A step is about a minute of basal: 20 min holds enough of them to show a rate.
    window_s = max(1200.0, _length_s(run) / 200)
    truth = tip_flow_ml_per_day(data["true_s"], data["true_tip_nl"], window_s)
    span = f"{window_s / 3600:.1f} h" if window_s >= 7200 else f"{window_s / 60:.0f} min"
    axes.plot(x, truth, color=TRUE, lw=1.1, label=f"true, at the tip, mean of {span}")
    axes.step(x, data["rate_nl_per_day"] / 1e6, where="post", color=BELIEVED, lw=1.4,
              label="programmed now")  # fmt: skip
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    _dress(axes, "Flow", "mL/day")


def _reservoir(axes: Axes, run: Run, data: dict[str, Any], x: Any) -> None:
    axes.plot(x, data["true_remaining_nl"] / 1e6, color=TRUE, lw=3, alpha=0.6, label="true")
    axes.plot(x, data["remaining_nl"] / 1e6, color=BELIEVED, lw=1.3, label="account")
    for key, name, lift in (("low_nl", "low", 24), ("empty_nl", "empty", 0)):
        _mark_if_near(axes, run.meta.get(key), 1e6, name, "mL", lift)
    _dress(axes, "Reservoir", "mL")


def _pressure(axes: Axes, run: Run, data: dict[str, Any], x: Any) -> None:
    # A long run's line is a block: thin, and behind the dots.
    wide = len(x) < 6000
    axes.plot(x, data["pressure_pa"] / 1e3, ".", color=FAINT, ms=2.5, label="measured",
              zorder=2 if wide else 3)  # fmt: skip
    axes.plot(x, data["true_pressure_pa"] / 1e3, color=TRUE, lw=1.1 if wide else 0.3,
              label="true", zorder=2.5)  # fmt: skip
    _mark_if_near(axes, run.meta.get("occlusion_pa"), 1e3, "threshold", "kPa")
    _dress(axes, "Line pressure", "kPa")


def _mark_if_near(
    axes: Axes, value: Any, scale: float, name: str, unit: str, lift: int = 0
) -> None:
    """A dashed line at a limit; one far from the data is named beside the panel instead.

    ``lift``: how many points higher, where several are named.

    Drawing a limit ten times the data away would press the data flat.
    """
    if value is None:
        return
    limit = value / scale
    low, high = axes.get_ylim()
    room = max(high - low, 1e-9)
    if low - room <= limit <= high + room:
        axes.axhline(limit, color=MARK, ls="--", lw=0.9)
        axes.annotate(name, (1.0, limit), xycoords=("axes fraction", "data"), xytext=(3, 0),
                      textcoords="offset points", va="center", color=MARK, fontsize=8)  # fmt: skip
    else:
        up = limit > high
        axes.annotate(f"{'↑' if up else '↓'} {name}\n{limit:g} {unit}", (1.0, 1.0 if up else 0.0),
                      xycoords="axes fraction", xytext=(3, lift), textcoords="offset points",
                      va="top" if up else "bottom", color=MARK, fontsize=8)  # fmt: skip


def _alarms(axes: Axes, run: Run, spans: list[dict[str, Any]], unit_s: float) -> None:
    """A lane an alarm: solid while the condition lasts, pale until it is acknowledged."""
    end_s = _length_s(run)
    least = end_s / unit_s / 400
    names = []
    for lane, alarm in enumerate(spans):
        colour = PRIORITY_COLOURS.get(alarm["priority"], MARK)
        names.append(alarm["alarm"].replace("_", " ").lower())
        raises = [span["raised_s"] for span in alarm["spans"]]
        for span, following_s in zip(alarm["spans"], [*raises[1:], end_s], strict=True):
            start_s = span["raised_s"]
            gone_s = min(following_s, span["gone_s"] if span["gone_s"] is not None else end_s)
            over_s = min(following_s, span["over_s"] if span["over_s"] is not None else end_s)
            width = max((over_s - start_s) / unit_s, least)
            axes.broken_barh([(start_s / unit_s, width)], (lane - 0.32, 0.64), color=colour,
                             alpha=0.3, lw=0)  # fmt: skip
            width = max((gone_s - start_s) / unit_s, least)
            axes.broken_barh([(start_s / unit_s, width)], (lane - 0.32, 0.64), color=colour, lw=0)
    boluses = [e for e in run.events if e.name in ("BOLUS_GRANTED", "BOLUS_REFUSED")]
    if boluses:
        lane = len(names)
        names.append("bolus")
        for event in boluses:
            granted = event.name == "BOLUS_GRANTED"
            axes.plot(event.true_s / unit_s, lane, "^" if granted else "x", ms=7, mew=2,
                      color=GRANTED if granted else REFUSED)  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(len(names), 1) - 0.4, -0.6)
    axes.set_title("Alarms and bolus decisions")
    if not names:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color=MARK)
        return
    handles: list[Any] = [
        Patch(color=PRIORITY_COLOURS[priority], label=priority.lower())
        for priority in PRIORITY_COLOURS
        if any(alarm["priority"] == priority for alarm in spans)
    ]
    if spans:
        handles.append(Patch(color=MARK, alpha=0.3, label="gone, not acknowledged"))
    for name, marker, colour in (("GRANTED", "^", GRANTED), ("REFUSED", "x", REFUSED)):
        if any(e.name == f"BOLUS_{name}" for e in boluses):
            handles.append(Line2D([], [], ls="", marker=marker, color=colour, ms=6, mew=2,
                                  label=f"bolus {name.lower()}"))  # fmt: skip
    _legend(axes, handles)


def _effect(axes: Axes, data: dict[str, Any], x: Any) -> None:
    axes.axhspan(50, 150, color="#2a9d55", alpha=0.08, lw=0)
    for edge in (50, 150):
        axes.axhline(edge, color=MARK, ls="--", lw=0.9)
    axes.plot(x, data["effect_percent"], color="#6a4c93", lw=1.3, label="effect")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.0), max(high, 175.0))
    _dress(axes, "Patient model: effect of the drug (no clinical claim)", "% of steady", False)


def _dress(axes: Axes, title: str, unit: str, legend: bool = True) -> None:
    axes.set_title(title)
    axes.set_ylabel(unit)
    axes.margins(x=0.01)
    if legend:
        _legend(axes, None)


def _legend(axes: Axes, handles: list[Any] | None) -> None:
    # Above the panel, on the line of its title, where no curve can pass under it.
    place: dict[str, Any] = {
        "loc": "lower right",
        "bbox_to_anchor": (1.0, 0.99),
        "ncols": 6,
        "borderaxespad": 0.2,
        "markerscale": 1.5,
    }
    if handles is None:
        axes.legend(**place)
    else:
        axes.legend(handles=handles, **{**place, "markerscale": 1.0})


def _title(run: Run) -> str:
    meta = run.meta
    status = meta.get("status", "")
    note = "" if status == "complete" else f"   [{status}]"
    return f"{meta.get('scenario', run.folder.name)}: {meta.get('title', '')}{note}"


def _length_s(run: Run) -> float:
    """How long the run was, as far as it got; never 0, so that an axis can be drawn."""
    times = [run.samples["true_s"][-1]] if run.samples["true_s"] else []
    times += [run.events[-1].true_s] if run.events else []
    return float(max([*times, 60.0]))


def _time_unit(run: Run) -> tuple[float, str]:
    hours = _length_s(run) <= _HOURS_UP_TO_DAYS * S_PER_DAY
    return (3600.0, "hours") if hours else (float(S_PER_DAY), "days")


def _time_axis(axes: Axes, run: Run, unit_s: float, unit: str) -> None:
    end = _length_s(run) / unit_s
    axes.set_xlim(-0.005 * end, 1.005 * end)
    if unit == "hours" and end > 2:
        axes.xaxis.set_major_locator(MultipleLocator(2 if end <= 26 else 6))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(12, integer=end > 3))
    start = str(run.meta.get("start", "")).replace("T", " ").removesuffix(":00")
    axes.set_xlabel(f"{unit} since the start, {start}" if start else f"{unit} since the start")
