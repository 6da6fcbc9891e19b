"""The document's part for ``/metrics``."""

from typing import Final

from pushlane.callback.openapi.part import Part, operation, problems

_SCHEME: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token in `PUSHLANE_METRICS_TOKEN_FILE`.",
}
_OK: Final = {
    "description": "Prometheus' text format. While Redis is away, it has only what the process itself knows.",
    "content": {
        "text/plain": {"schema": {"type": "string"}, "examples": {"up": {"value": "pushlane_redis_up 1\n"}}},
    },
}


def part(*, is_open: bool) -> Part:
    """The part; with a token unless the route is open."""
    told = {
        "security": [] if is_open else [{"metrics_token": []}],
        "responses": {"200": _OK} | ({} if is_open else problems(401, on_401="No token, or an unknown one.")),
    }
    return Part(
        paths={"/metrics": {"get": operation("metrics", "metrics", "Metrics of all channels.", **told)}},
        security_schemes={} if is_open else {"metrics_token": _SCHEME},
    )
