"""What every test shares: Hypothesis profiles, and the markers `req` and `slow`."""

import os

import pytest
from hypothesis import settings

# A deadline would judge the machine's load, not the pump.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "req(*ids): requirements that the test proves")
    config.addinivalue_line("markers", "slow: takes more than about 10 s")
