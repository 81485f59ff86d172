"""The firmware's version; releases, images and ``*IDN?`` name it."""

VERSION = "0.1.0"
