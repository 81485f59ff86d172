"""What a pump on an emulated board tells of itself, and what can be done to it from within.

Two tasks beside it: one reports on its console, one does harm when a pin is driven high.
"""

from typing import NamedTuple

# Pins that nothing else uses: high, the harm task puts the looks off, or never comes back.
PUT_OFF, NEVER_BACK = 6, 7

# The tasks: a report a second. The harm task spins while a burst may run, and then sleeps where a
# task must not, which is as endless, and takes the emulator no time.
_TASKS = b"""
import asyncio, gc, time

async def tell(pump):
    while True:
        await asyncio.sleep_ms(1000)
        gc.collect()
        line = b"~heap %d %d %d %d\\n" % (
            pump.pump.modes.mode, gc.mem_free(), gc.mem_alloc(), pump.worst_tick_us)
        pump.console.write(line)
        pump.conversation.spoken()

async def harm(pump):
    from machine import Pin
    put_off, never_back = [Pin(pin, Pin.IN, Pin.PULL_DOWN) for pin in (6, 7)]
    while True:
        await asyncio.sleep_ms(40)
        if put_off.value():
            pump._look_us += 1 << 40
        if never_back.value():
            begun_ms = time.ticks_ms()
            while True:
                if time.ticks_diff(time.ticks_ms(), begun_ms) > 120:
                    time.sleep_ms(50)

def attach(harmful):
    from hal import loop
    run = loop.Loop.run
    async def probed(self):
        asyncio.create_task(tell(self))
        if harmful:
            asyncio.create_task(harm(self))
        await run(self)
    loop.Loop.run = probed
"""

# Each is a start-up file, which runs before the pump does: the tasks beside the pump, or bare
# reports and no harm.
HARMFUL = {"/boot.py": _TASKS + b"attach(True)\n"}
QUIET = {"/boot.py": _TASKS + b"attach(False)\n"}


class Report(NamedTuple):
    """Of the running pump: its mode, bytes of heap, longest tick so far."""

    mode: int
    free: int
    used: int
    worst_tick_us: int


def reports(said: str) -> list[Report]:
    """The reports among what a console said, from its first line end to its last."""
    lines = said.split("\n")[1:-1]
    return [Report(*map(int, line.split()[1:])) for line in lines if line.startswith("~heap")]
