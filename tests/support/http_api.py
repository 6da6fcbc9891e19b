"""Two services with API keys, and the callback that knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from redis import Redis

BILLING = "k3y-of-billing"
SHOP = "k3y-of-shop"
KEYS = {
    "PUSHLANE_API_KEYS__BILLING__KEY": BILLING,
    "PUSHLANE_API_KEYS__BILLING__CHANNELS": "support,crm,unregistered",
    "PUSHLANE_API_KEYS__SHOP__KEY": SHOP,
    "PUSHLANE_API_KEYS__SHOP__CHANNELS": "shop",
}
PROBLEM = "application/problem+json"
SUPPORT = "/v1/channels/support/messages"
HELLO = {"room_id": "r", "text": "hello"}


class Api(httpx.Client):
    """A service's client."""

    def __init__(self, url: str, key: str | None = BILLING) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        super().__init__(base_url=url, headers=headers, timeout=30)

    def raw(self, method: str, target: str, **how: Any) -> httpx.Response:  # noqa: ANN401 # what a request takes
        """The answer to a path that goes out as it is: an address would have its dots resolved."""
        return self.request(method, "/", extensions={"target": target.encode()}, **how)


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """What the problem document says, once it is sure that it is one, with this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    told: dict[str, Any] = answer.json()
    assert told["status"] == status
    assert told["title"]
    assert told["detail"]
    return told


def stored(redis: Redis) -> list[bytes]:
    """The keys of every message in the queue."""
    return sorted(redis.scan_iter("*}:message:*", count=1000))
