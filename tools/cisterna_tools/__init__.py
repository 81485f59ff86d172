"""Flashing, images, benchmarks and the protocol's page. Run from a checkout; never installed."""
