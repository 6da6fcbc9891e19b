"""The group of commands. Each lives in the module that bears its name, and is imported only when it is called."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

import click

from pushlane_worker.cli.ending import explain

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "demo": "Show 2,000 messages go through a queue of its own.",
        "worker": "Run a Celery worker that pushes; further arguments are Celery's.",
        "callback": "Answer moderation callbacks and take messages over HTTP.",
        "fake-api": "Run the stand-in for the chat API.",
        "send": "Enqueue one text, or a file of messages.",
        "status": "Show the channels.",
        "message": "Show where one message is.",
        "cancel": "Take one message out of the queue.",
        "dead": "List, show, replay and purge dead letters.",
        "blocked": "List conversations that can not move, and skip what blocks one.",
        "decide": "Decide on messages that are held.",
        "decisions": "Show what moderation has decided.",
        "channel": "Register, list, pause, resume and remove channels.",
        "check": "Check settings, Redis, the broker and the remote addresses.",
    }
)


class LazyGroup(click.Group):
    """Knows its commands by name; ``--help`` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order in which somebody new needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the same
        """The command out of its module, where it is the object ``command``."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"pushlane_worker.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - the same
        """The names with what they do."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pushlane", prog_name="pushlane")
def pushlane() -> None:
    """A queue between services and chat APIs.

    Settings come from PUSHLANE_* variables and from pushlane.toml. Exit codes: 0 done; 2 nothing was attempted,
    because the command line, a setting or a message is wrong; 1 attempted and failed.
    """


def run() -> int:
    """Runs the command that the arguments name and returns its exit code."""
    try:
        code = pushlane.main(prog_name="pushlane", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:
        ending = explain(error)
        if ending is None:
            raise
        line, code = ending
        click.echo(f"pushlane: {line}", err=True)
    return code or 0
