"""The export of our own processes' spans: whether there is one, its start and its end.

``span_pipeline.py`` has what it is made of, and is only imported by a process that exports.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from pushlane import tracing
from pushlane.service.logs import logger

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

FLUSH_S: Final = 2.0
"""How long a process that ends waits for its last spans to leave."""


class SpanExport:
    """The export of this process's spans, to be started after the fork; does nothing unless ``OTEL_*`` asks for it.

    Args:
        service: The default of ``service.name``.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._provider: TracerProvider | None = None

    def start(self) -> None:
        """Starts it, once; a tracer provider that the program already has stays the only one."""
        if not tracing.is_wanted() or tracing.is_on():
            return
        if not tracing.INSTALLED:
            logger().warning("spans.extra_missing", problem="OTEL_* asks for spans; they need the extra otel")
            return
        from opentelemetry import trace  # noqa: PLC0415 # not installed in most environments

        from pushlane.service.span_pipeline import make_provider  # noqa: PLC0415 # loads the whole SDK

        self._provider = make_provider(self._service)
        trace.set_tracer_provider(self._provider)

    def close(self) -> None:
        """Sends the last spans, for at most ``FLUSH_S``. A process that skips Python's own shutdown must call it."""
        if self._provider is not None:
            ending = threading.Thread(target=self._provider.shutdown, name="pushlane-spans", daemon=True)
            ending.start()
            ending.join(FLUSH_S)
