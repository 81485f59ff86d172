"""The button as a sign that a hand is on the pump: what a staged change waits for."""


class ConfirmPress:
    """``wanted``: presses confirm something, and ask for no bolus. ``pressed``: one did."""

    def __init__(self) -> None:
        self.wanted = False
        self.pressed = False

    def want(self) -> None:
        """Wait for a press from now on; one before does not count."""
        self.wanted = True
        self.pressed = False

    def drop(self) -> None:
        """Wait no longer."""
        self.wanted = self.pressed = False

    def take(self) -> bool:
        """Somebody pressed; True if the press was waited for."""
        if self.wanted:
            self.pressed = True
        return self.wanted
