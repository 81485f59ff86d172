"""``python -m cisterna_tools.bench [PART...]``: measure all parts or those named."""

import sys
from importlib import import_module

import click
from rich.console import Console

from cisterna_tools.bench import BenchError

# The module of a part, and what it measures; the quick ones first.
PARTS = {
    "pio": "how exact the step program's periods are, in the interpreter of its words",
    "size": "bytes of the compiled firmware",
    "sim": "the simulator's speed and memory",
    "vm": "heap, allocations and wear of the flash, on the MicroPython VM",
    "board": "start, heap, ticks and over-delivery, on the emulated Pico (a minute or two)",
    "telemetry": "how fast the pump answers, over TCP and on the emulated Pico (some minutes)",
}
_WIDTH = 140


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\n" + "\n".join(f"{part:11}{what}" for part, what in PARTS.items()),
)
@click.argument("parts", nargs=-1, metavar="[PART]...")
def main(parts: tuple[str, ...]) -> None:
    """Measure all parts, or those named."""
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        click.echo(f"WHAT = {unknown[0]} is no part; there are {', '.join(PARTS)}", err=True)
        sys.exit(2)
    console = Console(width=_WIDTH)
    failed = False
    for part in parts or PARTS:
        try:
            for table in import_module(f"cisterna_tools.bench.{part}").tables():
                console.print(table, "")
        except BenchError as error:
            click.echo(f"make bench: {part}: {error}", err=True)
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
