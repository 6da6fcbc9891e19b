"""The document's part for health checks; the only routes that need no authentication."""

from typing import Any, Final

from pushlane.callback.openapi.part import Part, json_content, ref


def _probe(name: str, summary: str, answers: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"operationId": name, "tags": ["health"], "summary": summary, "security": [], "responses": answers}}


_OK = {"description": "Yes.", "content": json_content(ref("Health"), ok={"status": "ok"})}
_AWAY = {
    "description": "Redis is unreachable, or cannot hold a queue.",
    "content": json_content(ref("Health"), away={"status": "redis is away"}),
}

PART: Final = Part(
    paths={
        "/healthz": _probe("healthz", "Whether the process answers.", {"200": _OK}),
        "/readyz": _probe(
            "readyz",
            "Whether Redis answers, too, and can hold a queue; with moderation, it is ready without Redis.",
            {"200": _OK, "503": _AWAY},
        ),
    },
    schemas={
        "Health": {
            "type": "object",
            "properties": {"status": {"type": "string", "description": "`ok`, or what is wrong."}},
            "required": ["status"],
            "additionalProperties": False,
        }
    },
)
