"""What the Pico's files use of ``machine``, on a VM: a rig on which nothing goes wrong.

Frozen into the VM, and as small as can be: only objects that a board has as well lie on the heap.
$ADC is a list of pin:raw. The button, pin 14, is pressed for a while once the pump has run some
seconds.
"""

import os
import time

WDT_RESET = 3
_PRESS_MS, _RELEASE_MS = 3_000, 3_700
_BUTTON = 14
_began_ms = time.ticks_ms()
_raw = {}
for _item in os.getenv("ADC").split():
    _pin, _value = _item.split(":")
    _raw[int(_pin)] = int(_value)

steps = 0  # that the motor has made
mem32 = {0x4005800C: 0}


class Pin:
    IN, OUT, PULL_UP, PULL_DOWN = 0, 1, 1, 2

    def __init__(self, number, mode=-1, pull=-1, value=None):
        self.number = number

    def value(self, level=None):
        if level is None and self.number == _BUTTON:
            passed_ms = time.ticks_diff(time.ticks_ms(), _began_ms)
            return 0 if _PRESS_MS < passed_ms < _RELEASE_MS else 1
        return 1

    __call__ = value


class ADC:
    noise = 1

    def __init__(self, pin):
        self._number = pin.number

    def read_u16(self):
        ADC.noise = (ADC.noise * 75 + 74) % 65_537
        return _raw[self._number] + (ADC.noise & 15)


class PWM:
    def __init__(self, pin, freq, duty_u16):
        pass

    def duty_u16(self, duty):
        pass


class I2C:
    """An AS5600 with its magnet, on a screw of 3200 steps a turn."""

    def __init__(self, number, scl, sda, freq, timeout):
        pass

    def readfrom_mem_into(self, address, register, into):
        if register == 0x0B:
            into[0] = 0x20
        else:
            angle = steps * 4096 // 3200 & 4095
            into[0] = angle >> 8
            into[1] = angle & 255


class WDT:
    def __init__(self, timeout):
        pass

    def feed(self):
        pass


def freq():
    return 125_000_000


def unique_id():
    return b"\xe6\x61\x64\x08\x43\x21\x00\x01"


def reset_cause():
    return 1
