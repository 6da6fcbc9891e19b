"""What CINNOX's third-party channel sends, and the environment of a callback that takes it."""

from __future__ import annotations

from typing import Any

TOKEN = "s3cr3t-t0ken"
PATH = "/cinnox/webhook"


def webhook(name: str = "shop", **settings: object) -> dict[str, str]:
    """The environment of a webhook with this token that relays to the user's room in ``support``."""
    values = {"token": TOKEN, "relay_channel": "support", **settings}
    return {f"PUSHLANE_WEBHOOK__{name.upper()}__{key.upper()}": str(value) for key, value in values.items()}


def bearer(token: str = TOKEN) -> dict[str, str]:
    """The header that brings the token."""
    return {"Authorization": f"Bearer {token}"}


def incoming(number: int = 1, text: str = "hello", *, user: str = "alice", **message: object) -> dict[str, Any]:
    """A message of the user with an id of its own; more fields of the IMMsg object by name."""
    return {"userId": user, "message": {"id": f"m{number}", "type": 1, "text": text, **message}}
