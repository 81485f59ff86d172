"""What the tests on the MicroPython VM share: the firmware as a VM takes it, and the VMs."""

from pathlib import Path

import pytest

from cisterna_sim import vm


@pytest.fixture(scope="session")
def machine() -> vm.Vm:
    """The VM to use: of 32 bits where it can be built."""
    try:
        return vm.chosen()
    except vm.VmError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session", params=["32bit", "package"])
def either(request: pytest.FixtureRequest) -> vm.Vm:
    """Each VM that can be had."""
    try:
        return vm.WAYS[request.param]()
    except vm.VmError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware as .mpy files."""
    return vm.stage(tmp_path_factory.mktemp("mpy"))
