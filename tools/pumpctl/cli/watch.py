"""watch: the pump's state as it changes: flow, reservoir, pressure, alarms, events."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cisterna.base import faults
from pumpctl.cli.alarms import STYLES
from pumpctl.cli.connect import pump_for
from pumpctl.cli.out import console, tell
from pumpctl.cli.settings import Settings, Verb, pass_settings
from pumpctl.cli.units import amount, measured
from pumpctl.cli.until import until
from pumpctl.models import LogEvent, Reservoir, Sample

_BARS = "▁▂▃▄▅▆▇█"
_HISTORY = 60
_EVENTS = 8
_BAR_WIDTH = 40


class View:
    """What has been heard so far, drawn."""

    def __init__(self, reservoir: Reservoir) -> None:
        self._reservoir = reservoir
        self._rates: deque[int] = deque(maxlen=_HISTORY)
        self._events: deque[LogEvent] = deque(maxlen=_EVENTS)
        self.sample: Sample | None = None

    def take(self, item: Sample | LogEvent) -> None:
        """Take up a line of telemetry."""
        if isinstance(item, Sample):
            self.sample = item
            self._rates.append(item.rate_nl_per_day)
        else:
            self._events.append(item)

    def draw(self) -> RenderableType:
        """The present frame."""
        now = self.sample
        if now is None:
            return Text("Waiting for the pump ...")
        table = Table.grid(padding=(0, 2))
        table.add_row("mode", Text(now.mode if not now.bolus else f"{now.mode}, {now.bolus}"))
        table.add_row("flow", Text(amount("rate_nl_per_day", now.rate_nl_per_day)))
        table.add_row("", Text(sparkline(self._rates), style="cyan"))
        table.add_row("delivered", Text(amount("delivered_nl", now.delivered_nl)))
        table.add_row("remaining", Text(amount("remaining_nl", now.remaining_nl)))
        table.add_row("", self._bar(now.remaining_nl))
        table.add_row("pressure", Text(measured("pressure_pa", now.pressure_pa)))
        events = "\n".join(f"{e.t_ms / 1000:>12.1f} s  {e.event} {e.detail}" for e in self._events)
        return Group(
            Panel(table, title="pump", title_align="left"),
            Panel(_alarms(now.alarms), title="alarms", title_align="left"),
            Panel(Text(events or "none since this began"), title="events", title_align="left"),
        )

    def _bar(self, remaining_nl: int | None) -> ProgressBar:
        low = remaining_nl is None or remaining_nl <= self._reservoir.low_nl
        return ProgressBar(
            total=self._reservoir.capacity_nl,
            completed=remaining_nl or 0,
            width=_BAR_WIDTH,
            complete_style="red" if low else "green",
            finished_style="green",
        )


def sparkline(values: Iterable[int]) -> str:
    """The values as a row of bars from 0 to their highest."""
    shown = list(values)
    top = max(shown, default=0)
    if not top:
        return _BARS[0] * len(shown)
    return "".join(_BARS[max(0, value) * (len(_BARS) - 1) // top] for value in shown)


def _alarms(names: list[str]) -> Text:
    text = Text()
    for name in names:
        try:
            row = faults.FAULTS[faults.code_of(name)]
        except ValueError:  # of a newer pump
            text.append(f"{name}\n")
            continue
        text.append(f"{name}: {row[4]}\n", style=STYLES[faults.PRIORITY_NAMES[row[1]]])
    text.rstrip()
    return text if names else Text("none", style="green")


@click.command(cls=Verb)
@click.option("--period", "period_s", type=click.FloatRange(0.1, 3600), default=1.0,
              show_default=True, help="Seconds between samples.")  # fmt: skip
@click.option("--once", is_flag=True, help="One frame, then end.")
@click.option("--seconds", type=click.FloatRange(0.1), help="End after so long.")
@pass_settings
def watch(settings: Settings, period_s: float, once: bool, seconds: float | None) -> None:
    """Watch the pump until Ctrl-C; with --json a line for each sample and event."""
    with pump_for(settings) as pump, until(seconds):
        view = View(pump.reservoir())
        # Closed in any case, which turns telemetry off.
        with closing(iter(pump.telemetry(round(period_s * 1000)))) as lines:
            heard = _first_sample(lines) if once else lines
            if settings.json:
                for item in heard:
                    tell(settings, item, "")
            elif once:
                for item in heard:
                    view.take(item)
                console().print(view.draw())
            else:
                with Live(view.draw(), console=console(), auto_refresh=False) as live:
                    for item in heard:
                        view.take(item)
                        live.update(view.draw(), refresh=True)


def _first_sample(lines: Iterable[Sample | LogEvent]) -> Iterator[Sample | LogEvent]:
    """Telemetry up to the first sample."""
    for item in lines:
        yield item
        if isinstance(item, Sample):
            return


VERBS = (watch,)
