"""``python -m cisterna_tools.image``: a board's release image, or the emulator's plain one."""

import sys

import click

from cisterna_tools.boards import BoardError
from cisterna_tools.image import ImageError, plain, release


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--board", default="pico", show_default=True, help="a board file's name")
@click.option("--for-tests", is_flag=True, help="plain MicroPython; print where it is")
def main(board: str, for_tests: bool) -> None:
    """Make one UF2 file with the pump inside, to drag onto a board in its boot-loader."""
    try:
        if for_tests:
            click.echo(plain.find())
            return
        path, size = release.make(board)
    except (BoardError, ImageError) as error:
        click.echo(f"make image: {error}", err=True)
        sys.exit(1)
    click.echo(f"{path}: {size} bytes of flash; hold BOOTSEL, plug in, drag it onto the drive")


if __name__ == "__main__":
    main()
