"""The tables and links of the documentation against the code: nothing is missing, and no default is out of date."""

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

import click
import pytest
from pydantic.fields import FieldInfo
from support.documentation import DOCUMENTS, README, ROOT, anchors, blocks, links, page, pages, read, table

import pushlane as library
from pushlane import errors, message_json
from pushlane.callback import ChatMessage
from pushlane.callback.blocked_words.policy import BlockedWords
from pushlane.callback.openapi import decisions, messages, webhook
from pushlane.callback.openapi.part import Part
from pushlane.callback.policy_settings import PolicySettings
from pushlane.callback.settings import (
    ApiKeySettings,
    CallbackSettings,
    DashboardSettings,
    ModerationSettings,
    WebhookSettings,
)
from pushlane.receipt import CancelResult
from pushlane.service.redis_requirements import SUPPORTED
from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.cli.fake_api import command as fake_api
from pushlane_worker.cli.program import pushlane
from pushlane_worker.fake_api.control import Control, Cut, Fail, Garbage, PushFault, Stall
from pushlane_worker.settings import Settings

EVERYTHING = "\n\n".join(read(one) for one in pages())
"""The README and its pages, in the README's order."""


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
        ("`PUSHLANE_DASHBOARD__…`", DashboardSettings.model_fields),
    ],
)
def test_every_setting_is_documented_with_its_default(head: str, fields: Mapping[str, FieldInfo]) -> None:
    """Who reads the table knows all there is to set, and what holds when it is not, in the code's own words."""
    rows = {
        name: (default, re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text))
        for name, (default, text) in table(head, EVERYTHING).items()
    }
    assert rows == {f"`{name.upper()}`": (written(field), field.description) for name, field in fields.items()}


def test_what_the_callback_reads_beside_its_sections_is_a_workers_setting_too() -> None:
    """One table has them for both."""
    shared = set(CallbackSettings.model_fields) - {"moderation", "webhook", "api_keys", "dashboard"}
    assert shared <= set(Settings.model_fields)
    assert not [
        name for name in shared if f"`{name.upper()}`" not in page("settings").partition("The callback reads")[2]
    ]


def test_every_option_of_a_policy_is_documented() -> None:
    """The example of a chain of objects has them all."""
    example = re.search(r"`(\[\{\"policy\".*\}\])`", EVERYTHING)
    assert example
    (policy,) = json.loads(example[1])
    assert set(policy) == set(PolicySettings.model_fields)
    PolicySettings.model_validate(policy)


def test_the_example_of_a_services_test_passes() -> None:
    """It may be copied as it stands."""
    (example,) = [block.text for block in blocks("python") if "pushlane.testing" in block.text]
    names: dict[str, Callable[[], None]] = {}
    exec(example, names)  # noqa: S102 # our own page
    names["test_a_customer_is_told_once"]()


def test_every_command_is_documented() -> None:
    """What `pushlane --help` lists is in the table, and the table lists nothing else."""
    told = {re.findall(r"`pushlane ([a-z-]+)", cell)[0] for cell in table("command", EVERYTHING)}
    assert isinstance(pushlane, click.Group)
    assert told == set(pushlane.list_commands(click.Context(pushlane)))


def test_all_that_the_fake_api_can_be_told_is_written_down() -> None:
    """Each field of its control document, and each of a fault, whether all of them have it or one."""
    document = page("fake-api")
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


def test_every_error_of_the_library_is_documented() -> None:
    """The table has those that a service can catch, and no others."""
    exported = {one for name in library.__all__ if isinstance(one := getattr(library, name), type)}
    raised = {one.__name__ for one in exported if issubclass(one, Exception)} - {errors.PushlaneError.__name__}
    assert set(table("error", EVERYTHING)) == {f"`{name}`" for name in raised}


def test_every_result_of_a_cancellation_is_documented() -> None:
    """No caller meets one that the table does not explain."""
    assert set(table("result", EVERYTHING)) == {f"`{result}`" for result in get_args(CancelResult)}


def test_every_field_of_a_message_is_documented() -> None:
    """The table has all fields of the JSON form, of either kind."""
    named = {name for cell in table("field", EVERYTHING) for name in re.findall(r"`(\w+)`", cell)}
    assert named == {*message_json._ROOM, *message_json._THIRD_PARTY}


def statuses(part: Part) -> set[str]:
    """The statuses that its routes answer with."""
    return {status for path in part.paths.values() for route in path.values() for status in route["responses"]}


@pytest.mark.parametrize(
    ("head", "served", "before_routing"),
    [("status", [messages.PART, decisions.PART], {"400", "431"}), ("answer", [webhook.PART], set())],
)
def test_every_http_status_is_documented(head: str, served: list[Part], before_routing: set[str]) -> None:
    """The table has those of the OpenAPI document, and those that are answered before any route is known."""
    told = {status for cell in table(head, EVERYTHING) for status in re.findall(r"\d{3}", cell)}
    assert told == before_routing.union(*map(statuses, served))


def test_the_examples_of_blocked_words_are_right() -> None:
    """What the table calls caught is caught, and what it calls not caught is not."""
    (head,) = re.findall(r"^\| (.*) in the list \| \|$", EVERYTHING, re.MULTILINE)
    policy = BlockedWords(re.findall(r"`(\w+)`", head))
    rows = re.findall(r"^\| (caught|not caught) \| (.*) \|$", EVERYTHING, re.MULTILINE)
    assert len(rows) == 4
    for verdict, cell in rows:
        plain, _, displayed = cell.partition("text that is displayed")
        texts = re.findall(r"`([^`]+)`", plain)
        assert texts
        if displayed:
            _, before, after = re.findall(r"`([^`]+)`", displayed)
            texts.append(f"{before}\u202e{after}")
        for text in texts:
            content = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}]
            message = ChatMessage(
                "C2C.CallbackBeforeSendMsg", "1", "a", "b", "k", content, "", online_only=False, fields={}
            )
            assert (policy.judge(message) is not None) == (verdict == "caught"), text


def test_every_ignored_rule_has_its_reason() -> None:
    """Behind it, so that whoever reads the line can judge whether it still holds."""
    ignored = re.compile(r"#\s*(?:ruff: noqa|noqa|type: ignore)(?:: [A-Z0-9, ]+|\[[a-z, -]+\])(.*)")
    found = [
        (f"{path.relative_to(ROOT)}:{number}", reason)
        for folder in ("producer", "worker", "tests", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if "/." not in str(path.relative_to(ROOT))  # what the benchmarks fetch
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for reason in ignored.findall(line)
    ]
    assert len(found) > 100
    assert not [place for place, reason in found if not re.match(r"\s*(?:#|--?) \S", reason)]


def test_the_supported_versions_are_those_that_the_package_asks_for() -> None:
    """Nobody installs what the table names and finds it refused."""
    rows = {name: cells[0] for name, cells in table("software", EVERYTHING).items()}
    project = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]
    assert rows["Python"] == f"{project['requires-python'].removeprefix('>=')} or newer"
    assert f"Redis {rows['Redis']}, or Valkey {rows['Valkey']}" == SUPPORTED
    extras = project["optional-dependencies"]
    for package, name, needed in (("celery[redis]", "Celery", extras["worker"]), ("flower", "Flower", extras["demo"])):
        assert any(one.startswith(f"{package}>={rows[name]},") for one in needed), name


def test_every_make_target_is_documented() -> None:
    """The guide for contributors has those that `make help` lists."""
    told = {re.findall(r"`make ([a-z-]+)`", cell)[0] for cell in table("target", read(ROOT / "CONTRIBUTING.md"))}
    assert told == set(re.findall(r"^([a-z-]+):.*## ", read(ROOT / "Makefile"), re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    """Each relative link names a file of the repository, and its anchor a heading of it."""
    for target, anchor in links(document):
        assert target.is_relative_to(ROOT), target
        assert target.exists(), target
        assert not anchor or anchor in anchors(target), f"{target.name}#{anchor}"


def test_the_readme_lists_every_page() -> None:
    """A page that nobody finds is not read; nor is one that the source distribution leaves out."""
    assert {one.resolve() for one in pages()} == {one.resolve() for one in DOCUMENTS}
    included = tomllib.loads(read(ROOT / "pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert {target.relative_to(ROOT).parts[0] for target, _ in links(README)} <= set(included)
