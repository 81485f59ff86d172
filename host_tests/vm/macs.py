"""HMAC-SHA-256 of the firmware on this VM.

    micropython macs.py <file with a JSON list of [key in hex, message in hex]>

Prints the MACs in hex, in that order.
"""

import json
import sys
from binascii import hexlify, unhexlify

from cisterna.telemetry.keys import Hmac
from host_tests.vm.facts import tell

with open(sys.argv[1]) as file:
    cases = json.load(file)
tell(
    {
        "macs": [
            hexlify(Hmac(unhexlify(key)).digest(unhexlify(message))).decode()
            for key, message in cases
        ]
    }
)
