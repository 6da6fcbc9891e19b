"""The README's tables against the code: no setting and no command is missing there, and no default is out of date."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import pytest
from pydantic.fields import FieldInfo

from pushlane.callback.settings import (
    ApiKeySettings,
    CallbackSettings,
    ModerationSettings,
    PolicySettings,
    WebhookSettings,
)
from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.cli.fake_api import command as fake_api
from pushlane_worker.cli.program import pushlane
from pushlane_worker.fake_api.control import Control, Cut, Fail, Garbage, PushFault, Stall
from pushlane_worker.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def table(first_cell: str, document: str = README) -> dict[str, list[str]]:
    """The rows of the table whose head begins with this cell, by their own first cell."""
    _, _, after = document.partition(f"\n| {first_cell} |")
    assert after, f"no table {first_cell}"
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in after.partition("\n\n")[0].splitlines()[2:]]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in rows}


def written(field: FieldInfo) -> str:
    """A field's default as the table writes it."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True, validated_data={"kind": "cinnox"})
    if default is None or default in (frozenset(), ()):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float) and default.is_integer():
        return str(int(default))
    return str(default)


@pytest.mark.parametrize(
    ("head", "fields"),
    [
        ("`PUSHLANE_…`", {name: field for name, field in Settings.model_fields.items() if name != "channels"}),
        ("`PUSHLANE_CHANNELS__<NAME>__…`", ChannelSettings.model_fields),
        ("`PUSHLANE_MODERATION__…`", ModerationSettings.model_fields),
        ("`PUSHLANE_WEBHOOK__<NAME>__…`", WebhookSettings.model_fields),
        ("`PUSHLANE_API_KEYS__<SERVICE>__…`", ApiKeySettings.model_fields),
    ],
)
def test_every_setting_is_in_the_readme_with_its_default(head: str, fields: Mapping[str, FieldInfo]) -> None:
    """Who reads the table knows all there is to set, and what holds when it is not."""
    told = {name: cells[0] for name, cells in table(head).items()}
    assert told == {f"`{name.upper()}`": written(field) for name, field in fields.items()}


def test_what_the_callback_reads_beside_its_sections_is_a_workers_setting_too() -> None:
    """One table has them for both."""
    shared = set(CallbackSettings.model_fields) - {"moderation", "webhook", "api_keys"}
    assert shared <= set(Settings.model_fields)
    assert not [name for name in shared if f"`{name.upper()}`" not in README.partition("The callback reads")[2]]


def test_every_option_of_a_policy_is_in_the_readme() -> None:
    """The example of a chain of objects has them all."""
    example = re.search(r"`(\[\{\"policy\".*\}\])`", README)
    assert example
    (policy,) = json.loads(example[1])
    assert set(policy) == set(PolicySettings.model_fields)
    PolicySettings.model_validate(policy)


def test_the_example_of_a_services_test_passes() -> None:
    """It may be copied as it stands."""
    (example,) = [
        block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "pushlane.testing" in block
    ]
    names: dict[str, Callable[[], None]] = {}
    exec(example, names)  # noqa: S102 # our own README
    names["test_a_customer_is_told_once"]()


def test_every_command_is_in_the_readme() -> None:
    """What `pushlane --help` lists is in the table, and the table lists nothing else."""
    told = {re.findall(r"`pushlane ([a-z-]+)", cell)[0] for cell in table("command")}
    assert isinstance(pushlane, click.Group)
    assert told == set(pushlane.list_commands(click.Context(pushlane)))


def test_all_that_the_stand_in_can_be_told_is_written_down() -> None:
    """Each field of its control document, and each of a fault, whether all of them have it or one."""
    document = (Path(__file__).parents[2] / "docs" / "fake-api.md").read_text(encoding="utf-8")
    told = table("`/_control`", document)
    assert set(told) == {f"`{name}`" for name in Control.model_fields}
    common = table("in a fault", document)
    assert set(common) == {f"`{name}`" for name in PushFault.model_fields}
    for fault in (Stall, Cut, Fail, Garbage):
        own = set(fault.model_fields) - set(PushFault.model_fields)
        assert not [name for name in own if f"`{name}`" not in told[f"`{fault.name}`"][1]], fault
    options = {option for cells in told.values() for option in re.findall(r"--[a-z-]+", cells[0])}
    known = {option for one in fake_api.params for option in one.opts}
    assert options == known - {"--host", "--port"}
