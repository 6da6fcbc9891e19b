"""The commands by name, and the help of ``pushlane`` if only the library is installed.

Needs no extra, and imports the library only for its version: a shell asks for the names at each TAB.
"""

from collections.abc import Mapping, Sequence

COMMANDS: Mapping[str, str] = {
    "demo": "Send 2,000 messages through its own queue.",
    "worker": "Run a Celery worker that pushes; further arguments are Celery's.",
    "callback": "Answer moderation callbacks and take messages over HTTP.",
    "fake-api": "Run the fake chat API.",
    "send": "Enqueue one text, or a file of messages.",
    "status": "Show the channels.",
    "message": "Show where one message is.",
    "cancel": "Take one message out of the queue.",
    "dead": "List, show, replay and purge dead letters.",
    "blocked": "List conversations that cannot move, and skip what blocks one.",
    "decide": "Decide on messages that are held.",
    "decisions": "Show what moderation has decided.",
    "audit": "Show what operators have done.",
    "channel": "Register, list, pause, resume and remove channels.",
    "check": "Check settings, Redis, the broker and the remote addresses.",
}

EXTRAS: Mapping[str, str] = {"callback": "callback", "demo": "demo"}
"""The extra that a command needs; the others need ``worker``."""


def without_extras(arguments: Sequence[str]) -> str | None:
    """The text for ``--version``, ``--help`` and no argument without click; None for everything else."""
    if list(arguments) == ["--version"]:
        return version()
    if list(arguments) not in ([], ["-h"], ["--help"]):
        return None
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    head = "Usage: pushlane [OPTIONS] COMMAND [ARGS]...\n\n  A queue between services and chat APIs.\n\nCommands:"
    others = [f"`{name}` needs `pip install 'pushlane[{extra}]'`" for name, extra in EXTRAS.items()]
    tail = f"Only the library is installed here: {', '.join(others)}, the others need `pip install 'pushlane[worker]'`."
    return "\n".join([head, *lines, "", tail])


def version() -> str:
    """What ``--version`` prints."""
    from pushlane import __version__  # noqa: PLC0415 - see above

    return f"pushlane, version {__version__}"
