"""JSON from outside: what is refused, and how little a hostile document costs."""

import contextlib
import json
import tracemalloc
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.strict_json import (
    MAX_CHARS,
    MAX_DEPTH,
    MAX_LIST_VALUES,
    MAX_VALUES,
    NotStrictJson,
    TooMuchJson,
    elements,
    is_list,
    load,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
MIB = 1024 * 1024


def refusal(read: Callable[[bytes], object], document: bytes) -> NotStrictJson:
    """The error that this document meets."""
    with pytest.raises(NotStrictJson) as caught:
        read(document)
    return caught.value


def read_all(document: bytes) -> list[object]:
    """The elements."""
    return list(elements(document))


@given(JSON, st.sampled_from([{"indent": 1}, {"ensure_ascii": False}]))
def test_what_is_json_is_read_as_it_is(value: object, how: dict[str, Any]) -> None:
    """With and without blanks and escapes; a list also element by element."""
    document = json.dumps(value, **how).encode(errors="replace")
    expected = json.loads(document)
    assert load(document) == load(b" \n\t\r" + document + b" \n") == expected
    assert is_list(document) is isinstance(expected, list)
    if isinstance(expected, list):
        assert read_all(b" " + document + b"\n") == expected


@pytest.mark.parametrize("size", [900, 1000, 1010, 1020, 1030, 2100, 5000, 70_000])
def test_an_element_may_end_anywhere(size: int) -> None:
    """Also where a window ends, within a number or an escape."""
    for value in ("x" * size, [1] * min(size // 3, 9000), {"a": "é" * size}, "\\" * size, int("1" * min(size, 4000))):
        document = json.dumps([value, 12345678, value], separators=(",", ":")).encode()
        assert read_all(document) == json.loads(document)


@pytest.mark.parametrize(
    ("document", "index"),
    [
        (b"[", 0),
        (b"[1", None),
        (b"[1,", 1),
        (b"[1,]", 1),
        (b"[,1]", 0),
        (b"[1 2]", None),
        (b"[1]]", None),
        (b'[1, {"a": 1, "a": 2}]', 1),
        (b"[[1], [NaN]]", 1),
        (b"[1, " + b"9" * 5000 + b"]", 1),
        (b"[1, " + b"[" * 5000 + b"]", 1),
        (b'["\xff"]', None),
    ],
)
def test_an_error_in_a_list_names_its_element(document: bytes, index: int | None) -> None:
    """If it is in one."""
    assert refusal(read_all, document).index == index


def test_a_name_given_twice_is_named() -> None:
    """The first of them, wherever it stands."""
    assert refusal(load, b'{"a": {"b": 1, "c": 2, "c": 3, "b": 4}}').name == "c"


BRACKETS = "[" * MAX_DEPTH + "]" * MAX_DEPTH


def test_what_is_as_large_as_allowed_is_read() -> None:
    """To the last value and level; commas in strings are no values."""
    assert len(load(f"[{'1,' * (MAX_VALUES - 2)}1]".encode())) == MAX_VALUES - 1
    assert load(BRACKETS.encode()) == json.loads(BRACKETS)
    assert load(f'["{",[{" * MAX_VALUES}"]'.encode()) == [",[{" * MAX_VALUES]
    texts = [{"text": ',\\"' * 1000}] * 100
    assert read_all(json.dumps(texts).encode()) == texts


@pytest.mark.parametrize(
    "document",
    [
        f"[{'1,' * MAX_VALUES}1]",
        f"[{'{},' * MAX_VALUES}1]",
        f"{{{','.join(f'{chr(34)}{n}{chr(34)}:0' for n in range(MAX_VALUES + 1))}}}",
        f"[{BRACKETS}]",
        f'["{"x" * MAX_CHARS}"]',
        "[" * MIB,
        '{"a":' * MIB,
    ],
    ids=lambda document: document[:9],
)
def test_what_is_larger_is_refused(document: str) -> None:
    """Alone, and as an element."""
    assert isinstance(refusal(load, document.encode()), TooMuchJson)
    assert refusal(read_all, f"[1,{document}]".encode()).index == 1


def test_a_list_may_hold_no_more_than_so_many_values_in_all() -> None:
    """Each of its elements may hold some."""
    one = f"[{'1,' * (MAX_VALUES - 2)}1]"
    error = refusal(read_all, f"[{','.join([one] * 10)}]".encode())
    assert isinstance(error, TooMuchJson)
    assert error.index == MAX_LIST_VALUES // MAX_VALUES


HOSTILE = {
    "names": ("{" + ",".join(f'"{n:x}":0' for n in range(400_000)) + ',"0":0}').encode(),
    "a name": b'{"' + b"x" * (4 * MIB) + b'":0}',
    "objects": b"[" + b"{}," * 1_390_000 + b"0]",
    "lists": b"[" * (4 * MIB),
    "strings": b"[" + b'"",' * 1_390_000 + b"0]",
    "a list of lists": b"[" + b",".join([b"[" + b"[]," * (MAX_VALUES - 3) + b"0]"] * 100) + b"]",
}


@pytest.mark.parametrize("document", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_document_takes_little_memory(document: bytes) -> None:
    """4 MiB of JSON would become up to 800 MiB of objects; its text and what is built at most are 16."""
    for read in (lambda: load(document), lambda: list(islice(elements(document), 1001))):
        tracemalloc.start()
        try:
            with contextlib.suppress(NotStrictJson):
                read()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 16 * MIB


def test_elements_behind_a_wrong_one_are_not_read() -> None:
    """Whoever reads a list stops at the first that does not belong there."""
    reading = elements(b'[{},{"a":1},' + b"\x00" * MIB)
    assert [next(reading), next(reading)] == [{}, {"a": 1}]
