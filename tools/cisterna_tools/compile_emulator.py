"""``python -m cisterna_tools.compile_emulator``: make the emulated RP2040 twice as fast.

The emulator's wheel is compiled for every Python from 3.11 on, which keeps it from the quick ways
into any one of them. Its sources are in the wheel, too: here they are compiled for this Python,
and lie beside the others, which then are not used.
"""

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path

_DIRECTIVES = ("language_level=3", "boundscheck=False", "wraparound=False")


def main() -> None:
    """Compile it, or say in one line why it stays as it is: it works all the same."""
    spec = find_spec("rp2040py")
    if spec is None or not spec.submodule_search_locations:
        return
    package = Path(spec.submodule_search_locations[0])
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    for old in (package / "native").glob(f"*{suffix}"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / package.name
        shutil.copytree(package, copy)
        sources = sorted(str(path) for path in (copy / "native").glob("*.pyx"))
        flags = [word for directive in _DIRECTIVES for word in ("-X", directive)]
        done = subprocess.run(
            [sys.executable, "-m", "Cython.Build.Cythonize", "-i", "-j", "2", *flags, *sources],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        built = sorted((copy / "native").glob(f"*{suffix}"))
        if done.returncode or len(built) != len(sources):
            why = (done.stderr.strip().splitlines() or ["no compiler"])[-1].strip("\t *")
            print(f"The emulated Pico runs at half its speed: its code cannot be compiled ({why})")
            return
        for path in built:
            shutil.copy(path, package / "native" / path.name)


if __name__ == "__main__":
    main()
