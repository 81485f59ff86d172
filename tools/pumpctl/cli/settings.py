"""The options that every verb takes, before it or after it, and where their values are kept."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from pumpctl.cli import complete
from pumpctl.framing import ROLES


@dataclass
class Settings:
    """What was asked for with the options that every verb takes."""

    port: str | None = None
    role: str | None = None
    keys: Path | None = None
    json: bool = False
    yes: bool = False
    press: bool = False
    speed: float = 1.0
    timeout: float = 2.0
    debug: bool = False


def _note(context: click.Context, param: click.Parameter, value: Any) -> None:
    settings = context.ensure_object(Settings)
    assert param.name is not None
    given = context.get_parameter_source(param.name)
    if given not in (click.core.ParameterSource.DEFAULT, None):
        setattr(settings, param.name, value)


def _option(*names: str, **attributes: Any) -> Callable[[bool], click.Option]:
    def make(shown: bool) -> click.Option:
        varying = dict(attributes)
        if not shown:  # or the environment would win over what stands before the verb
            varying.pop("envvar", None)
            varying.pop("show_envvar", None)
        return click.Option(names, callback=_note, expose_value=False, hidden=not shown, **varying)

    return make


_OPTIONS = (
    _option(
        "--port",
        envvar="PUMPCTL_PORT",
        show_envvar=True,
        metavar="PORT",
        shell_complete=complete.ports,
        help="/dev/..., socket://host:port, sim (a simulated pump) or rig (an emulated Pico); "
        "looked for on USB if not given.",
    ),
    _option("--role", type=click.Choice(ROLES), help="Open a session of this role."),
    _option(
        "--keys",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Keys file, in place of $CISTERNA_KEYS or ~/.config/cisterna/keys.toml.",
    ),
    _option("--json", is_flag=True, help="Write JSON, and nothing else, to standard output."),
    _option("--yes", is_flag=True, help="Do not ask; the pump's button is still wanted."),
    _option("--press", is_flag=True, help="Press the button of a simulated pump when wanted."),
    _option(
        "--speed",
        type=click.FloatRange(0.1, 3600),
        metavar="N",
        help="Let a pump started by --port sim run N times as fast.",
    ),
    _option(
        "--timeout",
        type=click.FloatRange(0.05, 600),
        metavar="S",
        help="Seconds that a reply may take; 2 if not given, of --port rig at least 60.",
    ),
    _option("--debug", is_flag=True, help="Show where in the program an error came from."),
)

_MORE = "Every verb also takes the options that pumpctl --help lists, such as --port and --json."


class Verb(click.Command):
    """A command that also takes the options of every verb after its name, unlisted."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **{"epilog": _MORE, **attributes})
        self.params += [make(False) for make in _OPTIONS]


class Verbs(click.Group):
    """A group of such commands."""

    command_class = Verb
    group_class = type

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **{"epilog": _MORE, **attributes})
        self.params += [make(False) for make in _OPTIONS]


class TopVerbs(click.Group):
    """The outermost group, which lists the options of every verb."""

    command_class = Verb
    group_class = Verbs

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params = [make(True) for make in _OPTIONS] + self.params


# Gives a verb the Settings as its first argument.
pass_settings = click.make_pass_decorator(Settings, ensure=True)
