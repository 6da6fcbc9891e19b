"""From a span to the collector: OpenTelemetry's SDK, as the standard ``OTEL_*`` variables configure it.

A collector that is away or hangs costs its spans and nothing else. A bounded queue and a thread of its own stand
between it and our work, and the log says once that it is away, and once that it is back.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import pushlane
from pushlane.service.logs import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

_CHATTY: Final = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")
"""The library's loggers: a line at each try while the collector is away, and for spans that find the queue full."""


def make_provider(service: str) -> TracerProvider:
    """A provider that exports; ``service`` is the default of ``service.name``."""
    ours = Resource({"service.name": service, "service.version": pushlane.__version__, "process.pid": os.getpid()})
    resource = Resource.create(ours.merge(OTELResourceDetector().detect()).attributes)
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_Reported(OTLPSpanExporter())))
    return provider


class _Reported(SpanExporter):
    """An exporter whose failures are in our log, once per outage."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._said = _LastLine()
        self._away = False
        for name in _CHATTY:
            library = logging.getLogger(name)
            library.handlers, library.propagate = [self._said], False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away and not self._away:
            logger().warning("spans.unsent", problem=self._said.problem)
        elif self._away and not away:
            logger().info("spans.sent_again")
        self._away = away
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _LastLine(logging.Handler):
    """Keeps what the library said last that tells what is wrong: the line about a retry has the cause."""

    problem = "no answer"

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
            if "due to timeout, max retries or shutdown" not in message:
                self.problem = message
        except Exception:  # noqa: BLE001 # like every logging handler: a line that fails must not stop the caller
            self.handleError(record)
