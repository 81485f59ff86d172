"""Which MicroPython VM rung 2 runs on, and what is said when it is not the one of 32 bits."""

import shutil

import pytest

from cisterna_sim import vm
from cisterna_tools.image import CannotBuild, vm32

choose = vm.chosen.__wrapped__


@pytest.fixture(autouse=True)
def no_wish(monkeypatch):
    monkeypatch.delenv("MICROPYTHON_VM", raising=False)


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without a compiler, on which nothing has been built."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    vm.built.cache_clear()
    yield
    vm.built.cache_clear()


def test_without_a_compiler_it_is_that_of_the_package_and_says_what_to_install(bare):
    assert choose() == vm.package()
    assert "64 bits" in vm.header()
    assert "apt install gcc-multilib make" in vm.header()
    with pytest.raises(CannotBuild, match="apt install gcc-multilib make"):
        vm32.find()


def test_one_that_is_asked_for_and_cannot_be_had_is_no_other(bare, monkeypatch):
    monkeypatch.setenv("MICROPYTHON_VM", "32bit")
    with pytest.raises(vm.VmError, match="no 32-bit VM: no 32-bit compiler here"):
        choose()


def test_an_unknown_one_is_named_with_those_there_are(monkeypatch):
    monkeypatch.setenv("MICROPYTHON_VM", "16bit")
    with pytest.raises(vm.VmError, match="MICROPYTHON_VM = 16bit is none of 32bit, package"):
        choose()


def test_integers_are_those_of_its_bits(either, staged):
    told = either.run(staged, "bits.py")
    assert told["bits"] == either.bits
    # What is built is the oldest MicroPython that a board may run.
    assert told["version"] == [1, 25] or either == vm.package()
