"""``python -m tools.pumpctl``: the same as the command pumpctl."""

from tools.pumpctl.cli import main

if __name__ == "__main__":
    main()
