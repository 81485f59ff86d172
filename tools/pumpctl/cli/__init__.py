"""pumpctl, the command line of the pump's telemetry: a small file for each group of verbs."""

from pumpctl.cli.app import main

__all__ = ["main"]
