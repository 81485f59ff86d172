"""``python -m pumpctl``: the same as the command pumpctl."""

from pumpctl.console import pumpctl

if __name__ == "__main__":
    pumpctl()
