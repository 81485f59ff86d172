"""What the port's own rp2.py, and the pump, use of the RP2040: state machines and the flash.

A burst is over at once. The flash's file system is the file $FLASH.
"""

import os

import machine


class PIO:
    IN_LOW, IN_HIGH, OUT_LOW, OUT_HIGH = 0, 1, 2, 3
    SHIFT_LEFT, SHIFT_RIGHT = 0, 1
    JOIN_NONE, JOIN_TX, JOIN_RX = 0, 1, 2
    IRQ_SM0 = 0


_STEP_SM, _COUNT_SM = 0, 4


class StateMachine:
    def __init__(self, number, program, **settings):
        self._number = number

    def active(self, on):
        pass

    restart = exec = active

    def put(self, words):
        if self._number == _STEP_SM:
            machine.steps += words[0]

    def get(self, into=None):
        if into is not None:
            into[0] = machine.steps if self._number == _COUNT_SM else 0

    def tx_fifo(self):
        return 0

    def rx_fifo(self):
        return 1


class Flash:
    def __init__(self):
        self._file = open(os.getenv("FLASH"), "r+b")  # noqa: SIM115 - as long as the VM runs

    def readblocks(self, block, buffer, offset=0):
        self._file.seek(block * 4096 + offset)
        self._file.readinto(buffer)
        return 0

    def writeblocks(self, block, buffer, offset=0):
        self._file.seek(block * 4096 + offset)
        self._file.write(buffer)
        return 0

    def ioctl(self, op, block):
        if op == 4:
            return 352
        if op == 5:
            return 4096
        if op == 6:
            self._file.seek(block * 4096)
            for _ in range(16):
                self._file.write(b"\xff" * 256)
        return 0
