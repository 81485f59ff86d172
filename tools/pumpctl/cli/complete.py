"""What a shell completes beyond verbs and options: ports, fault names and limits."""

from collections.abc import Callable
from contextlib import suppress

import click
from click.shell_completion import CompletionItem

from cisterna.base import faults, settings

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def ports(context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Boards on USB, simulated pumps that are served, and the words for one."""
    from cisterna_sim import served
    from pumpctl.usb_ports import boards

    found = [(info.device, info.description) for info in boards()]
    with suppress(OSError):
        found += [(port, pump.what) for pump in served.running() for port in pump.ports]
    found += [("sim", "a simulated pump"), ("rig", "an emulated Pico")]
    return [CompletionItem(port, help=what) for port, what in found if port.startswith(incomplete)]


def words(known: list[str]) -> Completer:
    """A completer of these words, in any case."""

    def complete(
        context: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(word) for word in known if word.startswith(incomplete.upper())]

    return complete


fault_names = words([row[0] for row in faults.FAULTS])
alarm_names = words(["ALL", *(row[0] for row in faults.FAULTS)])


def limit_names(
    context: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """NAME= of each limit, with its range."""
    return [
        CompletionItem(f"{name}=", help=f"{low} to {high} {unit}".rstrip())
        for name, low, high, _, unit in settings.LIMIT_FIELDS
        if name.startswith(incomplete)
    ]
