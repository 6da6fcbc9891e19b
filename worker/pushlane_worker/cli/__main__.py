"""``python -m pushlane_worker.cli``: the command from a checkout that is not installed."""

from pushlane_worker.cli import main

if __name__ == "__main__":
    main()
