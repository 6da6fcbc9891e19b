"""The page about tracing against the code: no attribute is missing or left over."""

import re

from support.documentation import ROOT, page, read, table

NAME = r"(?:messaging|pushlane|http|url|server|error)\.[a-z_.]+(?<!http.response.start)"
SPEAK = (
    "producer/pushlane/tracing.py",
    "producer/pushlane/enqueue_protocol.py",
    "producer/pushlane/callback/http/request_spans.py",
    "producer/pushlane/callback/moderation/endpoint.py",
    "worker/pushlane_worker/drains/push.py",
)
"""The modules that tell spans something."""


def test_every_attribute_is_documented() -> None:
    """Who builds a query finds the name, and none that is never set."""
    written = {name for file in SPEAK for name in re.findall(rf'"({NAME})"', read(ROOT / file))}
    told = {name for cell in table("attribute", page("tracing")) for name in re.findall(rf"`({NAME})`", cell)}
    assert told == written


def test_no_other_module_tells_a_span_something() -> None:
    """Else an attribute could be missing unnoticed."""
    files = [*(ROOT / "producer").rglob("*.py"), *(ROOT / "worker").rglob("*.py")]
    speak = {str(file.relative_to(ROOT)) for file in files if re.search(r"\bspan\.tell\(|tracing\.note\(", read(file))}
    assert speak <= set(SPEAK)
