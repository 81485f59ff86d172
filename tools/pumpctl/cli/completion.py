"""completion: what a shell needs to complete pumpctl's words."""

import click
from click.shell_completion import get_completion_class

from pumpctl.cli.settings import Verb


@click.command(cls=Verb)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion for a shell, as for: eval "$(pumpctl completion bash)"."""
    kind = get_completion_class(shell)
    assert kind is not None
    root = context.find_root()
    click.echo(kind(root.command, {}, "pumpctl", "_PUMPCTL_COMPLETE").source())


VERBS = (completion,)
