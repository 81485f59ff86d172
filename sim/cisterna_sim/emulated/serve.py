"""The emulated board for a person: at the pace of real time, its console on a pty and on TCP."""

import time
from collections.abc import Callable

import click

from cisterna_sim.emulated.board_rig import BoardRig
from cisterna_sim.terminals import Terminals

_SLICE_S = 0.01
# By the board's clock; its owner has to be answered while the button is held.
_PRESS_US = 2_000_000
_RELEASE_US = 600_000


def serve(
    rig: BoardRig,
    terminals: Terminals,
    going: Callable[[], bool] = lambda: True,
    presses: Callable[[], int] = int,
) -> None:
    """Run the board at the pace of real time, or as fast as it goes, as long as ``going()``.

    ``presses`` says how often the button was pressed since it was last called.
    """
    due_s = time.monotonic()
    wanted, held, until_us = False, False, -_RELEASE_US
    heard, resets = len(rig.chip.console.received), len(rig.chip.resets)
    while going():
        wanted |= presses() > 0
        if held and rig.chip.now_us >= until_us:
            held = False
            rig.wiring.press(False)
        if wanted and rig.chip.now_us >= until_us + _RELEASE_US:
            wanted, held, until_us = False, True, rig.chip.now_us + _PRESS_US
            rig.wiring.press(True)
        console = rig.chip.console
        if len(console.received) > heard:
            terminals.say(bytes(console.received[heard:]))
            heard = len(console.received)
        if len(rig.chip.resets) > resets:
            resets = len(rig.chip.resets)
            click.echo(f"{rig.chip.now_us / 1e6:.1f} s: the board was reset", err=True)
        typed = terminals.typed(due_s - time.monotonic())
        if typed:
            console.send(typed)
        # What a busy board could not keep up with is not made up.
        due_s = max(due_s + _SLICE_S, time.monotonic())
        rig.run(_SLICE_S)
