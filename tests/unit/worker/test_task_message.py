"""What comes from the broker is one of our two tasks in a known form, made anew, or it is refused."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushlane_worker.task_message import DRAIN, ENQUEUE, MAX_BODY_BYTES, NotATask, read

HELLO = {"channel": "support", "message": {"room_id": "r", "text": "hello"}}


def raw(body: object = None, *, task: object = ENQUEUE, properties: object = None, **headers: object) -> dict[str, Any]:
    """A message as kombu takes it out of a list."""
    if body is None:
        body = [[], HELLO, {}] if task == ENQUEUE else [["support"], {}, {}]
    own = {"delivery_tag": "t", "body_encoding": "utf-8", "delivery_info": {"exchange": "", "routing_key": "q"}}
    return {
        "body": body if isinstance(body, str) else json.dumps(body),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": task, "id": "an-id", **headers},
        "properties": own if properties is None else properties,
    }


def body_of(message: dict[str, Any]) -> Any:  # noqa: ANN401 # whatever JSON holds
    """What Celery reads of it."""
    return json.loads(base64.b64decode(message["body"]))


def test_a_task_keeps_what_it_is_and_loses_what_only_celery_reads() -> None:
    """Nothing of a sender's decides over the worker, or is shown."""
    late = "2030-01-01T00:00:00+00:00"
    told = raw(eta=late, retries=3, timelimit="x", stamped_headers=5, stamps=[], argsrepr="\x1b[31m", shadow="x")
    message = read(told)
    assert body_of(message) == [[], HELLO, {}]
    assert message["headers"] == {
        "task": ENQUEUE,
        "id": "an-id",
        "eta": late,
        "expires": None,
        "retries": 3,
        "root_id": None,
        "parent_id": None,
        "origin": None,
        "argsrepr": "()",
        "kwargsrepr": "{'channel': 'support', 'message': '…'}",
        "lang": "py",
        "timelimit": [None, None],
    }
    assert read(message) == message, "what is restored is read again"


def test_a_drain_shows_its_channel() -> None:
    """And has nothing but that."""
    bodies: list[Any] = [[["support"], {}, {}], [[], {"channel": "support"}, None]]
    for body in bodies:
        assert read(raw(body, task=DRAIN))["headers"]["argsrepr"] == "('support',)"


def test_the_first_protocol_is_read_too() -> None:
    """Clients in other languages speak it: the body has everything."""
    body = {"task": ENQUEUE, "id": "an-id", "args": [], "kwargs": HELLO, "retries": 0, "eta": None, "callbacks": None}
    message = read(raw(body) | {"headers": {}})
    assert (message["headers"]["task"], message["headers"]["id"]) == (ENQUEUE, "an-id")
    assert body_of(message) == [[], HELLO, {}]


def test_encoded_and_compressed_bodies_are_read() -> None:
    """As Celery's senders do by default, or with `task_compression`."""
    plain = json.dumps([[], HELLO, {}]).encode()
    properties = {"delivery_tag": "t", "body_encoding": "base64", "delivery_info": {}}
    for content, headers in ((plain, {}), (zlib.compress(plain), {"compression": "application/x-gzip"})):
        text = base64.b64encode(content).decode()
        assert body_of(read(raw(text, properties=properties, **headers)))[1] == HELLO
    bomb = base64.b64encode(zlib.compress(b" " * (MAX_BODY_BYTES + 1))).decode()
    with pytest.raises(NotATask, match="longer than"):
        read(raw(bomb, properties=properties, compression="application/x-gzip"))


def test_what_follows_a_task_goes_with_it() -> None:
    """A chain or a callback that is a task; anything else there is refused."""
    after = {"task": "tasks.then", "args": [1], "kwargs": {}, "options": {"queue": "q"}, "subtask_type": None}
    message = read(raw([[], HELLO, {"callbacks": [after], "errbacks": None, "chain": None, "chord": None}]))
    (kept,) = body_of(message)[2]["callbacks"]
    assert (kept["task"], kept["args"], kept["options"]) == ("tasks.then", [1], {"queue": "q"})
    wrongs: list[Any] = [5, [5], [{}], {"task": "t"}]
    for wrong in wrongs:
        with pytest.raises(NotATask, match="callbacks"):
            read(raw([[], HELLO, {"callbacks": wrong}]))


@pytest.mark.parametrize(
    "body", ["", "null", "3", "[1,2]", '"x"', "{}", "[[],3,{}]", "[[],{},5]", "[" * 99_999, "\ud800"]
)
@pytest.mark.parametrize("task", [DRAIN, ENQUEUE])
def test_a_body_of_another_form_is_refused(body: str, task: str) -> None:
    """Each of these ended a worker."""
    with pytest.raises(NotATask):
        read(raw(body, task=task))


@pytest.mark.parametrize(
    "headers",
    [
        {"task": ["a"]},
        {"task": "celery.backend_cleanup"},
        {"id": None},
        {"id": "\x1b[2J"},
        {"id": "x" * 201},
        {"eta": []},
        {"eta": "soon"},
        {"eta": "9999-12-31T23:59:59+00:00"},
        {"expires": 5},
        {"retries": "x"},
        {"retries": -1},
        {"root_id": {}},
        {"compression": "bzip2"},
    ],
    ids=str,
)
def test_a_header_of_another_form_is_refused(headers: dict[str, Any]) -> None:
    """What is said of it quotes nothing but the field's name."""
    with pytest.raises(NotATask) as refused:
        read(raw(**headers))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 200


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
_names = st.sampled_from(["task", "id", "eta", "expires", "retries", "root_id", "origin", "compression", "timelimit"])
_bodies = st.builds(json.dumps, _values) | st.text()


@settings(max_examples=300)
@given(_values)
def test_whatever_is_no_message_is_refused(message: object) -> None:
    """Of any JSON type."""
    with pytest.raises(NotATask):
        read(message)


@settings(max_examples=500)
@given(st.dictionaries(_names, _values), st.none() | _bodies, st.none() | _values, st.sampled_from([DRAIN, ENQUEUE]))
def test_any_header_body_and_property_makes_a_task_or_is_refused(
    headers: dict[str, Any], body: str | None, properties: object, task: str
) -> None:
    """Nothing else is raised, and what is made is of one form."""
    message = raw(body, task=task, properties=properties)
    message["headers"] |= headers
    try:
        made = read(message)
    except NotATask:
        return
    args, kwargs, embed = body_of(made)
    assert isinstance(args, list)
    assert isinstance(kwargs, dict)
    assert isinstance(embed, dict)
    assert isinstance(made["headers"]["id"], str)
