"""A POST of JSON with a bearer token; only the body differs between pushes."""

from collections.abc import Callable

from yarl import URL

from pushlane import __version__
from pushlane_worker.queue.outcome import PushRequest


class JsonPost:
    """Builds the same request around each body.

    Args:
        url: The address; what a URL cannot hold as it is, such as ``ü``, is encoded.
        token: The bearer token, or a function that returns the current one.
    """

    def __init__(self, url: str, token: str | Callable[[], str]) -> None:
        self._url = str(URL(url))
        self._token = token

    def request(self, body: bytes) -> PushRequest:
        """The request with this body."""
        token = self._token if isinstance(self._token, str) else self._token()
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": f"pushlane/{__version__}",
        }
        return PushRequest(self._url, headers, body)
