"""The console on a real pipe that nobody reads; ``stdio_calls.py <paths> <bytes to write>``.

Only on MicroPython. It tells what happened on the standard error.
"""

import sys
import time

sys.path[:0] = sys.argv[1].split(":")

from hal.console import RING_BYTES, on_stdio  # noqa: E402

console = on_stdio()
written = 0
slowest_ms = 0
while written < int(sys.argv[2]):
    begun = time.ticks_ms()
    console.write(b"x" * 63 + b"\n")
    console.flush()
    slowest_ms = max(slowest_ms, time.ticks_diff(time.ticks_ms(), begun))
    written += 64
heard = bytearray()
while (byte := console.read()) >= 0:
    heard.append(byte)
assert console.held <= RING_BYTES
print(console.dropped, console.held, slowest_ms, heard.decode(), file=sys.stderr)
