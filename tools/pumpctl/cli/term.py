"""term: the bare line, with completion from the pump's own table of commands."""

import sys
import threading
from collections.abc import Callable

import click

from pumpctl import LinkError, Pump
from pumpctl.cli.connect import pump_for
from pumpctl.cli.settings import Settings, Verb, pass_settings

_HISTORY = "history"
_POLL_S = 0.05
_REPLY_S = 2.0
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_LEAVE = ("exit", "quit")


@click.command(cls=Verb)
@pass_settings
def term(settings: Settings) -> None:
    """Type commands and see replies as they are; telemetry stands apart, dimmed.

    Lines go to the pump as typed. State changes need a session and are refused: use the other
    verbs. Tab completes, the arrows go through the history, Ctrl-D leaves.
    """
    with pump_for(settings) as pump:
        commands = pump.help().split(",")
        if not sys.stdin.isatty():
            for line in sys.stdin:
                _exchange(pump, line.strip(), click.echo)
            return
        _converse(pump, commands)


def _converse(pump: Pump, commands: list[str]) -> None:
    # Here and not above: it takes longer to load than most verbs take to run.
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.patch_stdout import patch_stdout

    history = pump.keys.path.parent / _HISTORY
    history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    session: PromptSession[str] = PromptSession(
        "pump> ",
        completer=WordCompleter(commands, ignore_case=True, sentence=True),
        complete_while_typing=False,
        history=FileHistory(str(history)),
    )
    # The link is of one thread at a time.
    lock, ended = threading.Lock(), threading.Event()
    listener = threading.Thread(target=_listen, args=(pump, lock, ended), daemon=True)
    with patch_stdout(raw=True):
        listener.start()
        try:
            while True:
                try:
                    line = session.prompt().strip()
                except KeyboardInterrupt:
                    continue
                if line.lower() in _LEAVE:
                    return
                with lock:
                    _exchange(pump, line, print)
        except EOFError:
            return
        finally:
            ended.set()
            listener.join()


def _exchange(pump: Pump, line: str, show: Callable[[str], object]) -> None:
    """Send a line and show its reply."""
    if not line:
        return
    link = pump.link
    while (stale := link.reply(0)) is not None:
        show(stale.decode("ascii", "replace"))
    link.send(line)
    reply = link.reply(max(_REPLY_S, pump.exchange.timeout_s))
    show("(no reply)" if reply is None else reply.decode("ascii", "replace"))


def _listen(pump: Pump, lock: threading.Lock, ended: threading.Event) -> None:
    """Show telemetry above the prompt while nobody is asking."""
    while not ended.wait(_POLL_S):
        with lock:
            try:
                for line in iter(lambda: pump.link.telemetry(0), None):
                    print(f"{_DIM}{line.decode('ascii', 'replace')}{_PLAIN}")
            except LinkError as error:
                print(f"pumpctl: {error}")
                return


VERBS = (term,)
