"""The board of the default rig, and its calibration: the figures of the Pico's board file."""

from cisterna.base.settings import Calibration
from cisterna.parts.board import Board
from cisterna_boards import pico

BOARD = Board(pico)


def default_calibration(**changes: int) -> Calibration:
    """What the default rig's board file says, but for ``changes``; LimitError as Calibration."""
    figures = {field[0]: getattr(BOARD.calibration, field[0]) for field in Calibration.FIELDS}
    figures.update(changes)
    return Calibration(figures)
