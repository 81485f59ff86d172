"""What every test shares: Hypothesis profiles, and the markers `req` and `slow`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from host_tests.kit import surroundings

if TYPE_CHECKING:
    from host_tests.kit.served import Home, Served

surroundings.settle()
# 25 examples on the way; CI and LONG=1 draw 100 of each, unless a test says how many.
# A deadline would judge the machine's load, not the pump.
settings.register_profile("default", deadline=None, max_examples=25)
settings.register_profile("long", deadline=None, max_examples=100)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
_LONG = os.environ.get("LONG") == "1"
settings.load_profile("ci" if os.environ.get("CI") else "long" if _LONG else "default")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "req(*ids): requirements that the test proves")
    config.addinivalue_line("markers", "slow: takes more than about 10 s")
    config.addinivalue_line(
        "markers", "long: takes more than a minute or so; run if LONG=1 is set"
    )


def pytest_report_header() -> list[str]:
    """Say what does not run, and on what VM rung 2 does."""
    from cisterna_sim import vm

    left_out = [] if _LONG else ["long tests: left out; LONG=1 runs them, too"]
    return [*left_out, vm.header()]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out unless LONG=1; pytest counts them as deselected."""
    if _LONG:
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> "Home":
    """A user's folder for pumpctl, of this module."""
    from host_tests.kit.served import Home

    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def bench(home: "Home") -> "Iterator[Served]":
    """A served pump that delivers 300 ug/day, for tests that leave it so."""
    from host_tests.kit.served import Served

    pump = Served(home)
    yield pump
    assert pump.down() == 0


@pytest.fixture
def pump(tmp_path: Path) -> "Iterator[Served]":
    """A served pump, and a user's folder, of this test."""
    from host_tests.kit.served import Home, Served

    served = Served(Home(tmp_path))
    yield served
    assert served.down() == 0
