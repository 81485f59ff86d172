"""Makes tools/protocol.md: the telemetry protocol, from the tables that the firmware itself reads.

The prose is in template.md; what stands there as ``$name`` comes from the tables (tables.py) or
was said to the simulated pump (transcript.py).
"""
