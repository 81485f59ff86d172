"""``python -m pumpctl``: the same as the command pumpctl."""

from pumpctl.cli import main

if __name__ == "__main__":
    main()
