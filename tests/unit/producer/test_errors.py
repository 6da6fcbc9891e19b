"""Errors cross process borders whole."""

import pickle

import pytest

from pushlane import (
    IdempotencyConflict,
    InvalidMessage,
    NewerChannel,
    PushlaneError,
    QueueFull,
    QueueUnavailable,
    UnknownChannel,
)
from pushlane.errors import SettingsError
from pushlane_worker.errors import MessagesDeadLettered, PushesPostponed, PushNotSent

ERRORS: list[PushlaneError] = [
    InvalidMessage("text", "is too long", limit=5000, index=3),
    UnknownChannel("support"),
    IdempotencyConflict("key", "id"),
    QueueFull("support", "2 messages are already waiting", 1.0),
    QueueUnavailable("no answer", "id"),
    NewerChannel("support", 3),
    SettingsError("PUSHLANE_REDIS_URL", "is missing"),
    PushNotSent("no connection"),
    MessagesDeadLettered("support", 1, 2, "HTTP 400"),
    PushesPostponed("support", "1 failed", 0.5),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling(error: PushlaneError) -> None:
    """Celery and multiprocessing pickle exceptions: class, message and facts must come out as they went in."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 # made one line above
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.__dict__ == error.__dict__
