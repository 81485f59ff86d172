"""Boards that the tests of this rung share: each boots once a process and is used in copies of it.

A test that does anything to one of them is ``in_a_copy``.
"""

from types import SimpleNamespace

import pytest

from cisterna_sim.emulated import board_rig, flash, probe, session
from cisterna_sim.emulated.board_rig import BoardRig
from cisterna_sim.emulated.session import Session
from host_tests.kit.boards import (
    BOOT_S,
    NO_PLANT,
    PORT,
    PROGRAM,
    EmulatedBoard,
    SerialBoard,
)


@pytest.fixture(scope="session")
def image() -> None:
    """An image to run, or a skip that says why there is none."""
    if PORT:
        pytest.skip(NO_PLANT)
    missing = flash.missing()
    if missing:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def booted(image: None) -> SimpleNamespace:
    """A rig that was delivering when its power failed, booted and delivering again.

    ``rig``; ``running_s`` from power-on to the line on the console, ``ready_s`` to the motor.
    """
    rig = board_rig.deliver(PROGRAM)
    running_s = rig.run_until(lambda: "running" in rig.said, BOOT_S)
    rig.run_until(lambda: rig.wiring.enabled_us is not None, BOOT_S, 0.001)
    assert rig.wiring.enabled_us is not None
    ready_s = (rig.wiring.enabled_us - rig.began_us) / 1e6
    rig.run(1)
    return SimpleNamespace(rig=rig, running_s=running_s, ready_s=ready_s)


@pytest.fixture
def rig(booted: SimpleNamespace) -> BoardRig:
    """The rig of ``booted``."""
    rig: BoardRig = booted.rig
    return rig


@pytest.fixture(scope="session")
def probed(image: None) -> BoardRig:
    """A rig like ``booted`` that tells of its heap, and has settled."""
    rig = board_rig.deliver(PROGRAM, files=probe.HARMFUL)
    rig.run_until(lambda: rig.wiring.enabled_us is not None, BOOT_S)
    rig.run(3)
    return rig


@pytest.fixture(scope="session")
def connected(image: None, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A rig like ``booted`` that has its keys and tells of its heap, with a session open."""
    return session.begin(tmp_path_factory.mktemp("host"), PROGRAM, files=probe.QUIET)


@pytest.fixture
def board(request: pytest.FixtureRequest) -> object:
    """What an emulated board and one on the bench have in common."""
    return SerialBoard(PORT) if PORT else EmulatedBoard(request.getfixturevalue("booted").rig)
