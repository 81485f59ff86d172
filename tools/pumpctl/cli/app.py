"""The command itself: its verbs, and how every error becomes one line and an exit code."""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from pumpctl.cli.settings import Settings, TopVerbs
from pumpctl.errors import PROTECTED, AuthorityError, PumpError, Refused
from pumpctl.exit_codes import EXIT_CODES, INTERRUPTED

# The verbs, by the file that has them; it is loaded when one of them is asked for.
_VERBS = {
    "overview": ("list", "info", "status"),
    "watch": ("watch",),
    "program": ("program",),
    "reservoir": ("refill",),
    "deliver": ("start", "stop", "suspend", "resume"),
    "bolus": ("bolus",),
    "limits": ("limits",),
    "alarms": ("alarms",),
    "log": ("log",),
    "clock": ("clock",),
    "staged": ("staged",),
    "keys": ("keys",),
    "record": ("record", "export"),
    "term": ("term",),
    "doctor": ("doctor",),
    "simulate": ("sim",),
    "completion": ("completion",),
}
_FILES = {verb: file for file, verbs in _VERBS.items() for verb in verbs}
_CODES = "\n".join(f"  {code:>3}  {text}" for code, text in EXIT_CODES)


class LazyVerbs(TopVerbs):
    """The outermost group."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Every verb."""
        return sorted(_FILES)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The verb, its file loaded now; None if there is none."""
        if name not in _FILES:
            return None
        try:
            verbs: tuple[click.Command, ...] = import_module(f"pumpctl.cli.{_FILES[name]}").VERBS
        except KeyboardInterrupt:  # nothing has begun: no word about it
            sys.exit(INTERRUPTED)
        return next(verb for verb in verbs if verb.name == name)


@click.group(
    cls=LazyVerbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
    epilog=f"\b\nExit codes:\n{_CODES}",
)
@click.version_option(package_name="cisterna", prog_name="pumpctl")
@click.pass_context
def cli(context: click.Context) -> None:
    """Talk to the pump over its telemetry line.

    Research and teaching rig: not a medical device, never for use on people or animals.

    Every change is shown and asked for first, and dose changes want the pump's own button.
    """
    context.ensure_object(Settings)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run pumpctl and exit with a code of EXIT_CODES."""
    arguments = list(sys.argv[1:] if args is None else args)
    try:
        code = cli.main(arguments, prog_name="pumpctl", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        click.echo("", err=True)
        code = INTERRUPTED
    except BrokenPipeError:  # whoever read our output has gone, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        code = _report(error, "--debug" in arguments)
    sys.exit(code if isinstance(code, int) else 0)


def _report(error: Exception, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    if isinstance(error, PumpError):
        click.echo(f"pumpctl: {error}", err=True)
        if isinstance(error, Refused) and error.number == PROTECTED:
            return AuthorityError.exit_code
        return error.exit_code
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"pumpctl: {where}{error.strerror or error}", err=True)
        return click.UsageError.exit_code if error.filename else 1
    click.echo(
        f"pumpctl: {type(error).__name__}: {error}; this is a mistake in pumpctl: run it again "
        "with --debug and report what it says",
        err=True,
    )
    return 1
