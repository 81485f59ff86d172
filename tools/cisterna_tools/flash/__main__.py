"""``python -m cisterna_tools.flash``: put the firmware on a board, as files or as an image."""

import sys

import click

from cisterna_tools.boards import BoardError
from cisterna_tools.flash import FlashError, ports, whole
from cisterna_tools.flash.payload import RELEASE, Payload, sha256
from cisterna_tools.flash.remote import ANSWER_S, HIDING, Facts, Remote
from cisterna_tools.image import ImageError

OLDEST = (1, 25, 0)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--board", default="pico", show_default=True, help="a board file's name")
@click.option("--port", "device", default="", help="serial port; looked for if not given")
@click.option(
    "--patience", default=ANSWER_S, show_default=True, help="s that the board may take to start"
)
@click.option("--image", is_flag=True, help="the one-file image, by the boot loader's drive")
@click.option("--drive", default="", help="where that drive is mounted; looked for if not given")
def main(board: str, device: str, patience: int, image: bool, drive: str) -> None:
    """Compile the firmware, copy what changed, verify it on the board, start it."""
    try:
        if image:
            said = whole.flash(board, device, drive, patience)
        else:
            said = flash(board, device, patience)
    except (BoardError, FlashError, ImageError) as error:
        click.echo(f"make flash: {error}", err=True)
        sys.exit(1)
    click.echo(said)
    if "not dosing:" in said:
        sys.exit(1)


def flash(board: str, device: str, patience_s: int = ANSWER_S) -> str:
    """Flash a board and return what it says when it starts; FlashError if it stays unflashed."""
    payload = Payload(board)
    size = sum(map(len, payload.files.values()))
    click.echo(f"{board}: version {payload.version}, {len(payload.files)} files, {size} bytes")
    device = device or ports.find(payload.port)
    ports.check(device)
    remote = Remote(device, patience_s)
    try:
        port = remote.port()
        if port != payload.port:
            raise FlashError(f"{device} is a board of port {port}, {board} one of {payload.port}")
        # Before anything that takes long: the watchdog of the pump just stopped is running.
        remote.to_service(port)
        facts = remote.facts()
        _check(payload, device, facts)
        _copy(remote, payload, facts.hashes)
        return f"{device}: {remote.start()}"
    finally:
        remote.close()


def _check(payload: Payload, device: str, facts: Facts) -> None:
    """Raise FlashError if the board cannot take the firmware as it is."""
    if facts.micropython < OLDEST:
        raise FlashError(
            f"{device} runs MicroPython {_dotted(facts.micropython)}; at least {_dotted(OLDEST)} "
            "is needed"
        )
    if facts.frozen:
        raise FlashError(
            f"{device} runs a one-file image of {facts.frozen}: make flash IMAGE=1 puts this "
            "version's on it; for files, drag plain MicroPython onto it first"
        )
    strange = [
        path
        for path in facts.hashes
        if (path.count("/") == 1 or path.split("/")[1] in HIDING)
        and path not in payload.files
        and path not in (RELEASE, "/boot.py", "/main.mpy", "/board.py")
    ]
    if strange:
        raise FlashError(
            f"{device} holds {strange[0]}, which the pump could import by mistake; save it and "
            f"remove it: mpremote connect {device} rm :{strange[0]}"
        )


def _copy(remote: Remote, payload: Payload, on_board: dict[str, str]) -> None:
    """Make the board's files those of the payload, and see that they are."""
    wanted = payload.hashes()
    changed = [path for path, digest in wanted.items() if on_board.get(path) != digest]
    stale = [path for path in on_board if path not in wanted and path not in (RELEASE, "/boot.py")]
    if not changed and not stale and on_board.get(RELEASE) == sha256(payload.release()):
        click.echo(f"copied 0, removed 0, verified {len(wanted)} files")
        return
    remote.remove(RELEASE)
    for path in stale:
        remote.remove(path)
    for path in changed:
        remote.write(path, payload.files[path])
    now = remote.facts().hashes
    wrong = [path for path, digest in wanted.items() if now.get(path) != digest]
    if wrong:
        raise FlashError(
            f"{len(wrong)} files differ on the board after copying, the first {wrong[0]}; "
            "the pump will not dose: run make flash again"
        )
    remote.write(RELEASE, payload.release())
    click.echo(f"copied {len(changed)}, removed {len(stale)}, verified {len(wanted)} files")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


if __name__ == "__main__":
    main()
