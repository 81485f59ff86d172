"""MicroPython images for the Pico: a plain one for the emulator, and one with the pump inside."""


class ImageError(Exception):
    """No image, and why, in one line."""


class CannotBuild(ImageError):
    """This machine lacks what a build needs; nothing is wrong with the project."""
