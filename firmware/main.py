"""Starts the pump on a board. Its first act is to take the motor's current away."""

import gc

try:
    import board
    from machine import Pin

    # Before anything that can fail: driver off (active low), step line at rest.
    Pin(board.PINS["enable"], Pin.OUT, value=1)
    Pin(board.PINS["step"], Pin.OUT, value=0)

    # What stays must lie close together: without this, loading strews it all over the heap.
    gc.threshold(32_768)

    from hal import loop
except Exception as error:  # not all of it was copied, not of one MicroPython, or a part is hidden
    print(f"cisterna: not dosing: the firmware is not whole, {error!r}; run make flash")
else:
    loop.main(board)
