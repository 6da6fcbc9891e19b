"""The help of the groups of commands."""

import click
import pytest
from click.testing import CliRunner

from pushlane_worker.cli.commands import COMMANDS
from pushlane_worker.cli.program import pushlane

assert isinstance(pushlane, click.Group)
CONTEXT = click.Context(pushlane)
GROUPS = [name for name in COMMANDS if isinstance(pushlane.get_command(CONTEXT, name), click.Group)]


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_says_of_each_command_what_it_does(name: str) -> None:
    """In a terminal of the usual width, no line is cut off."""
    told = CliRunner().invoke(pushlane, [name, "--help"], env={"COLUMNS": "80"})
    assert told.exit_code == 0
    assert "..." not in told.output.partition("Commands:")[2]
