"""``python -m pushlane_worker.cli``: the command out of a checkout that nobody installed."""

from pushlane_worker.cli import main

if __name__ == "__main__":
    main()
