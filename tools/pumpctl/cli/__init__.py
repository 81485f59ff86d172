"""pumpctl, the command line of the pump's telemetry: a small file for each group of verbs."""
