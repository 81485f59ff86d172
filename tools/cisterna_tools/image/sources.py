"""Source code of MicroPython, pico-sdk and TinyUSB, from the Debian mirror this machine uses.

The mirror's address is read from the machine's own apt sources; everything else about apt is
private to one folder, so the system's lists, cache and sources stay as they are. apt checks the
signatures with the keys that the machine trusts.
"""

import os
import shutil
import subprocess
from pathlib import Path

from cisterna_tools.image import CannotBuild, ImageError, tasks

MICROPYTHON = "1.25.0"
SUITE = "trixie"  # the release that carries this MicroPython
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCE_PACKAGE = "micropython"
BINARY_PACKAGES = ("pico-sdk-source", "tinyusb-source")


def fetch(folder: Path) -> None:
    """Leave ``micropython/``, ``pico-sdk/`` and ``tinyusb/`` in ``folder``; ImageError if not."""
    apt = folder / "apt"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("lists/partial", "cache/archives/partial", "down"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    _update(apt)
    down = apt / "down"
    tasks.run(["apt-get", "source", "--download-only", SOURCE_PACKAGE], down, _environment(apt))
    tasks.run(["apt-get", "download", *BINARY_PACKAGES], down, _environment(apt))
    originals = list(down.glob(f"micropython_{MICROPYTHON}*.orig.tar.*"))
    if len(originals) != 1:
        found = ", ".join(sorted(path.name for path in down.glob("micropython_*"))) or "nothing"
        raise CannotBuild(f"{SUITE} has no MicroPython {MICROPYTHON} sources but {found}")
    (folder / "micropython").mkdir()
    tasks.run(
        ["tar", "-xf", str(originals[0]), "-C", "micropython", "--strip-components=1"], folder
    )
    for package in sorted(down.glob("*.deb")):
        tasks.run(["dpkg-deb", "-x", str(package), str(apt / "root")], folder)
    for name in ("pico-sdk", "tinyusb"):
        (apt / "root/usr/src" / name).rename(folder / name)
    shutil.rmtree(apt)


def mirrors() -> list[str]:
    """Addresses of Debian archives in this machine's apt sources, in their order."""
    shown = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"],
        capture_output=True,
        text=True,
    )
    rows = [line.split() for line in shown.stdout.splitlines()]
    return list(dict.fromkeys(row[0] for row in rows if len(row) == 2 and "-" not in row[1]))


def _update(apt: Path) -> None:
    """Fetch the suite's lists from the first mirror that has them."""
    (apt / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{apt}/suite.sources";\n'
        'Dir::Etc::sourceparts "/dev/null";\n'
        f'Dir::State "{apt}";\n'
        f'Dir::State::lists "{apt}/lists";\n'
        f'Dir::State::status "{apt}/status";\n'
        f'Dir::Cache "{apt}/cache";\n'
        f'APT::Sandbox::User "{"root" if os.geteuid() == 0 else ""}";\n'
        'Acquire::Languages "none";\n'
        'APT::Get::List-Cleanup "false";\n',
        encoding="utf-8",
    )
    if not shutil.which("apt-get"):
        raise CannotBuild("no apt-get here: build on Debian, or give MICROPYTHON_UF2=file")
    known = f"Signed-By: {KEYRING}\n" if KEYRING.exists() else ""
    for mirror in mirrors():
        (apt / "suite.sources").write_text(
            f"Types: deb deb-src\nURIs: {mirror}\nSuites: {SUITE}\nComponents: main\n{known}",
            encoding="utf-8",
        )
        try:
            tasks.run(["apt-get", "update", "--error-on=any"], apt, _environment(apt))
        except ImageError:
            continue
        return
    raise CannotBuild(
        f"no mirror in this machine's apt sources serves Debian {SUITE}: build on Debian with a "
        "mirror set up, or give MICROPYTHON_UF2=file"
    )


def _environment(apt: Path) -> dict[str, str]:
    return {**os.environ, "APT_CONFIG": str(apt / "apt.conf"), "LC_ALL": "C"}
