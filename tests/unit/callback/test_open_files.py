"""How many connections a callback holds where files are few."""

from __future__ import annotations

import resource

import pytest

from pushlane.callback.server import MAX_CONNECTIONS, OTHER_FILES, _connections

UNLIMITED = resource.RLIM_INFINITY
NEEDED = MAX_CONNECTIONS + OTHER_FILES


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "connections"),
    [
        (1024, 4096, NEEDED, MAX_CONNECTIONS),
        (1024, UNLIMITED, NEEDED, MAX_CONNECTIONS),
        (256, 1024, 1024, 1024 - OTHER_FILES),
        (64, 64, 64, 2),
        (NEEDED, NEEDED, None, MAX_CONNECTIONS),
        (UNLIMITED, UNLIMITED, None, MAX_CONNECTIONS),
    ],
)
def test_the_limit_of_files_is_raised_and_some_are_kept(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int | None, connections: int
) -> None:
    """Strangers must not take those that Redis and the spool need."""
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: limits.append(limit))
    assert _connections() == connections
    assert limits == ([] if raised is None else [(raised, hard)])
