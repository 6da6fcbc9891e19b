"""The document's part for health checks; the only routes that need no authentication."""

from typing import Final

from pushlane.callback.openapi.part import Part, json_content, object_of, operation, ref

_OK = {"description": "Yes.", "content": json_content(ref("Health"), ok={"status": "ok"})}
_AWAY = {
    "description": "Redis is unreachable, or cannot hold a queue.",
    "content": json_content(ref("Health"), away={"status": "redis is away"}),
}

PART: Final = Part(
    paths={
        "/healthz": {
            "get": operation("healthz", "health", "Whether the process answers.", security=[], responses={"200": _OK})
        },
        "/readyz": {
            "get": operation(
                "readyz",
                "health",
                "Whether Redis answers, too, and can hold a queue; with moderation, it is ready without Redis.",
                security=[],
                responses={"200": _OK, "503": _AWAY},
            )
        },
    },
    schemas={
        "Health": object_of(
            {"status": {"type": "string", "description": "`ok`, or what is wrong."}}, additionalProperties=False
        )
    },
)
