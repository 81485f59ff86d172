"""The compilers that a build needs, from Debian's packages."""

import os
import shutil
import subprocess
from pathlib import Path

from cisterna_tools.image import CannotBuild, tasks

# Program to look for; package that has it.
PROGRAMS = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "cmake": "cmake",
    "gcc": "gcc",
    "g++": "g++",
    "make": "make",
}
# Library of the cross compiler to look for; package that has it.
LIBRARIES = {
    "nosys.specs": "libnewlib-arm-none-eabi",
    "libstdc++.a": "libstdc++-arm-none-eabi-newlib",
}


def missing() -> list[str]:
    """Packages that are yet to be installed."""
    wanted = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    wanted += [package for library, package in LIBRARIES.items() if not _has(library)]
    return wanted


def provide() -> None:
    """Install what is missing, as root; otherwise CannotBuild says what to type."""
    wanted = missing()
    if not wanted:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *wanted]
    if os.geteuid() != 0:
        raise CannotBuild(f"the compilers are not installed: sudo {' '.join(command)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    tasks.run(["apt-get", "update"], Path("/"), environment)
    tasks.run(command, Path("/"), environment)
    if missing():
        raise CannotBuild(f"installed, but still not found: {', '.join(missing())}")


def _has(library: str) -> bool:
    if not shutil.which("arm-none-eabi-gcc"):
        return False
    # The name comes back as it was given if there is no such file.
    command = [
        "arm-none-eabi-gcc",
        "-mcpu=cortex-m0plus",
        "-mthumb",
        f"-print-file-name={library}",
    ]
    return "/" in subprocess.run(command, capture_output=True, text=True).stdout
