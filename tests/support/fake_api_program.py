"""The stand-in for the chat API as ``support.stack`` starts it: with any control, which the command cannot say."""

import sys

from pushlane_worker.fake_api.control import Control
from pushlane_worker.fake_api.process import run


def main() -> None:
    """Serves at a free port, after it has printed its address."""
    run("127.0.0.1", 0, Control.model_validate_json(sys.argv[1]), lambda url: print(url, flush=True))  # noqa: T201 - its caller reads it
