"""What the ESP32 files use of ``machine``, as recorded fakes; only for the scripts beside it."""

from fake_clock import clock

WDT_RESET = 3

conversions = []  # what the next conversions of any ADC give, in uV
levels = {}  # of every pin, by number


class Pin:
    """A pin; ``owner`` is what drives it, None being its own output register."""

    IN = 1
    OUT = 3
    PULL_UP = 2
    cut_us = 10  # until it has been taken from whatever drove it

    def __init__(self, number, mode=-1, pull=-1, value=None):
        self.number = number
        self.owner = None
        levels.setdefault(number, 1)
        if mode != -1:
            self.init(mode, pull, value=value)

    def init(self, mode, pull=-1, value=None):
        clock.note("pin", self.number, mode, value)
        self.mode = mode
        if mode == Pin.OUT:
            if self.owner is not None:
                clock.advance(Pin.cut_us)
                self.owner.pin_taken()
            self.owner = None
        if value is not None:
            levels[self.number] = value

    def value(self, level=None):
        if level is None:
            return levels[self.number]
        clock.note("level", self.number, int(level))
        levels[self.number] = int(level)
        return None

    __call__ = value


class Timer:
    """A one-shot timer in ms."""

    ONE_SHOT = 0

    def __init__(self, number):
        self.number = number
        self.runs = 0

    def init(self, mode, period, callback):
        assert mode == Timer.ONE_SHOT
        clock.note("timer", period)
        self.runs += 1
        run = self.runs

        def fire():
            if run == self.runs:
                callback(self)

        clock.at(clock.us + period * 1000, fire)


def disable_irq():
    clock.note("irq off")
    return 1


def enable_irq(state):
    assert state == 1
    clock.note("irq on")


class ADC:
    ATTN_11DB = 3

    def __init__(self, pin, atten):
        assert atten == ADC.ATTN_11DB
        self.pin = pin

    def read_uv(self):
        return conversions.pop(0)


class PWM:
    def __init__(self, pin, freq, duty_u16):
        clock.note("pwm", pin.number, freq, duty_u16)

    def duty_u16(self, duty):
        clock.note("duty", duty)


class I2C:
    def __init__(self, number, scl, sda, freq, timeout):
        clock.note("i2c", number, scl.number, sda.number, freq, timeout)

    def readfrom_mem_into(self, address, register, into):
        raise OSError(19)


class WDT:
    def __init__(self, timeout):
        clock.note("wdt", timeout)

    def feed(self):
        clock.note("fed")


class RTC:
    kept = b""

    def memory(self, data=None):
        if data is None:
            return RTC.kept
        RTC.kept = data
        return None


def reset_cause():
    return WDT_RESET
