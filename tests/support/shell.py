"""What the tests of the commands do again and again with ``pushlane``."""

import json
import subprocess
from typing import Any

from support.channels import push
from support.command import pushlane
from support.processes import environment, installed

from pushlane.outcome import Outcome


def send(url: str, room: str, text: str = "hello", *options: str) -> dict[str, Any]:
    """The receipt of one text."""
    receipt: dict[str, Any] = json.loads(
        pushlane("send", "support", "--room", room, text, "--receipts", *options, redis_url=url).ok()
    )
    return receipt


def dead_letter(url: str, room: str, text: str) -> str:
    """The id of a message that was sent and refused."""
    message_id: str = send(url, room, text, "--sender-eid", "agent")["message_id"]
    push(url, Outcome.REJECTED, dead="1", reason="r")
    return message_id


def show(url: str, *command: str, settings: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON
    """The document that a command prints with --json."""
    return json.loads(pushlane(*command, "--json", redis_url=url, settings=settings).ok())


def first_line(url: str, *command: str, **settings: str) -> Any:  # noqa: ANN401 - any JSON
    """The first document that a command prints which does not end by itself."""
    words = [installed("pushlane"), *command]
    with subprocess.Popen(
        words, env=environment(PUSHLANE_REDIS_URL=url, **settings), stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        first = json.loads(running.stdout.readline())
        running.kill()
    return first
