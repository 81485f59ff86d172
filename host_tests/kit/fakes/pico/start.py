"""Starts the VM as a Pico starts: its file system, then the pump; and a report each second.

On stderr: the pump's mode, bytes of heap free after a collection, and the largest block of them;
first of all the bytes in use before the pump.
"""

import asyncio
import gc
import sys

import rp2
import vfs

_flash = rp2.Flash()
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(_flash, progsize=256), "/")
sys.path[:] = ["", ".frozen", "/lib"]


def largest():
    """The largest block that can be had."""
    low, high = 0, gc.mem_free()
    while high - low > 16:
        middle = (low + high) // 2
        try:
            bytearray(middle)
            low = middle
        except MemoryError:
            high = middle
    return low


async def tell(loop):
    while True:
        await asyncio.sleep_ms(1000)
        gc.collect()
        free = gc.mem_free()
        print(loop.pump.modes.mode, free, largest(), file=sys.stderr)
        gc.collect()


def attach():
    from hal.loop import Loop

    run = Loop.run

    async def beside(self):
        task = asyncio.create_task(tell(self))
        await run(self)
        task.cancel()

    Loop.run = beside


gc.collect()
print(gc.mem_alloc(), file=sys.stderr)
gc.threshold(32_768)
attach()
import main  # noqa: E402, F401 - the pump's own
