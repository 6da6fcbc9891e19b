"""The group of commands. Each is in the module with its name, which is imported only when the command is called.

Nothing else is imported before that: a shell runs this at each TAB, and the library alone takes 200 ms.
"""

from importlib import import_module

import click
from click.shell_completion import CompletionItem

from pushlane_worker.cli.commands import COMMANDS, version


class LazyGroup(click.Group):
    """Knows its commands by name; ``--help`` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order in which a new user needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The object ``command`` of its module. For an unknown name the error suggests similar ones."""
        if cmd_name not in COMMANDS:
            if ctx.resilient_parsing:  # a shell that completes what follows it
                return None
            raise click.exceptions.NoSuchCommand(cmd_name, possibilities=COMMANDS, ctx=ctx)
        command: click.Command = import_module(f"pushlane_worker.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - the same
        """Lists the commands with their descriptions."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin so. click would import every command for its help."""
        commands = [CompletionItem(name, help=what) for name, what in COMMANDS.items() if name.startswith(incomplete)]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    if wanted and not ctx.resilient_parsing:
        click.echo(version())
        ctx.exit()


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
def pushlane() -> None:
    """A queue between services and chat APIs.

    Settings come from PUSHLANE_* variables and from pushlane.toml. Exit codes: 0 success; 2 nothing was
    attempted, because the command line, a setting or a message is wrong; 1 attempted and failed.
    """


def run() -> int:
    """Runs the command in the arguments and returns its exit code."""
    try:
        code = pushlane.main(prog_name="pushlane", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:
        from pushlane_worker.cli.exit_codes import explain  # noqa: PLC0415 - see above

        ending = explain(error)
        if ending is None:
            raise
        line, code = ending
        click.echo(f"pushlane: {line}", err=True)
    return code or 0
