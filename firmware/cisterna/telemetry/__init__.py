"""The telemetry interface: how a line is answered."""
