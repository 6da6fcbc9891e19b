"""What the log says of a collector."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from structlog.testing import capture_logs

from pushlane import tracing
from pushlane.service import span_pipeline
from pushlane.service.span_export import SpanExport

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan


class Away(SpanExporter):
    """An exporter whose collector is away for two tries, back for one, and away again."""

    def __init__(self) -> None:
        self.tries: Iterator[str] = iter(["connection refused", "connection refused", "", "HTTP 401"])

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """The next try, with the lines that the library has for it."""
        del spans
        if not (problem := next(self.tries)):
            return SpanExportResult.SUCCESS
        library = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        library.warning("Transient error %s encountered", problem)
        library.error("Failed to export spans batch due to timeout, max retries or shutdown.")
        return SpanExportResult.FAILURE


def test_an_outage_of_the_collector_is_one_line_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    """And one when it is over; the library's own line at each try is not printed."""
    exporter = span_pipeline._Reported(Away())
    with capture_logs() as lines:
        for _ in range(4):
            exporter.export([])
    assert [(line["event"], line.get("problem")) for line in lines] == [
        ("spans.unsent", "Transient error connection refused encountered"),
        ("spans.sent_again", None),
        ("spans.unsent", "Transient error HTTP 401 encountered"),
    ]
    assert caplog.records == []


def test_without_the_extra_a_wish_for_spans_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process works all the same; without a wish it says nothing."""
    monkeypatch.setattr(tracing, "INSTALLED", False)
    export = SpanExport("pushlane-worker")
    with capture_logs() as lines:
        export.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        export.start()
        export.close()
    assert [line["event"] for line in lines] == ["spans.extra_missing"]


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_SDK_DISABLED": "True", "OTEL_TRACES_EXPORTER": "otlp"}, False),
    ],
)
def test_the_standard_variables_decide(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], *, wanted: bool
) -> None:
    """As `docs/tracing.md` says."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert tracing.is_wanted() is wanted
