"""Puts the firmware on a board: compiles, copies what changed, verifies, starts it."""


class FlashError(Exception):
    """The board was not flashed, and why and what to do, in one line."""
