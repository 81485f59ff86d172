"""Writes ``firmware/package.json``, which `mpremote mip install` reads: what goes where.

python -m cisterna_tools.flash.package
"""

import json
from pathlib import Path

from cisterna_tools import boards
from cisterna_tools.flash.payload import modules


def package(root: Path = boards.ROOT) -> str:
    """The file's text. It names itself last: on the board it says that all before it came."""
    firmware = root / "firmware"
    names = [path.relative_to(firmware).as_posix() for path in modules(firmware, None)]
    urls = [[name, name] for name in [*names, "main.py", "package.json"]]
    rows = ",\n".join(f"    {json.dumps(row)}" for row in urls)
    return f'{{\n  "version": "{boards.version(root)}",\n  "urls": [\n{rows}\n  ]\n}}\n'


if __name__ == "__main__":
    (boards.ROOT / "firmware/package.json").write_text(package(), encoding="utf-8")
