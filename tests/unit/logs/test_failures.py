"""What an error leaves in the log."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import structlog

from pushlane.callback.failures import MAX_FRAMES, log_failure
from pushlane.service.logs import configure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = "what alice wrote"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where standard error goes."""
    with (tmp_path / "log").open("w") as file:
        monkeypatch.setattr(sys, "__stderr__", file)
        yield tmp_path / "log"
    structlog.reset_defaults()


def converts() -> None:
    """An error that says it by itself."""
    float(SECRET)


def wraps() -> None:
    """An error whose causes say it, too."""
    try:
        converts()
    except ValueError as error:
        error.add_note(SECRET)
        raise KeyError(SECRET) from error


def groups() -> None:
    """An error made of errors."""
    raise ExceptionGroup(SECRET, [ValueError(SECRET)])


def recurses() -> None:
    """An error of a thousand frames."""
    recurses()


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    ("fails", "kind"),
    [(converts, "ValueError"), (wraps, "KeyError"), (groups, "ExceptionGroup"), (recurses, "RecursionError")],
)
def test_an_error_is_told_by_its_kind_and_place(
    written: Path, log_format: str, fails: Callable[[], None], kind: str
) -> None:
    """Enough to find it, and nothing that people wrote."""
    configure(log_format, "INFO")
    with pytest.raises(BaseException) as caught:  # noqa: PT011 # any of them
        fails()
    log_failure("policy.failed", caught.value, policy="mine")
    told = written.read_text()
    assert SECRET not in told
    for fact in (
        "policy.failed",
        "mine",
        kind,
        __file__,
        f"in {fails.__name__}",
        f"line {caught.traceback[-1].lineno + 1}",
    ):
        assert fact in told
    assert told.count("line ") <= MAX_FRAMES
