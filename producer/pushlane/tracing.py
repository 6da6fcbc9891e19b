"""OpenTelemetry spans; no more than a condition while the API is not installed or the program has no tracer provider.

Whether there are spans is up to the program: it sets a provider, ours do so in ``service/span_export.py``. A message
takes the context of the span that sends it along, as W3C's ``traceparent``, if that span is sampled. Spans follow the
semantic conventions for messaging and never contain what a message says.
"""

from __future__ import annotations

import contextlib
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, Self

try:
    from opentelemetry import trace
except ImportError:
    INSTALLED = False
else:
    INSTALLED = True

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from opentelemetry.context import Context


Attributes = dict[str, str | int | bool]
MESSAGE_ID: Final = "messaging.message.id"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_TRACEPARENT: Final = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class Span:
    """A span that is not recorded: entering it and setting its attributes cost next to nothing."""

    context = ""
    """The context for a message that is sent in this span; empty unless the span is sampled."""
    is_recording = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        return None

    def set_attributes(self, attributes: Attributes) -> None:
        """Adds attributes."""

    def set_error(self, error: str) -> None:
        """Gives the span the status error, because of this kind of error."""


NO_SPAN: Final = Span()


class _LiveSpan(Span):
    """The current span between enter and exit; it fails with the class of an exception that leaves it.

    What the program's own tracing raises stays here: its message is accepted, or its push answered, all the same.
    """

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._scope = trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False)
        context = span.get_span_context()
        self.is_recording = span.is_recording()
        if self.is_recording and context.trace_flags.sampled:
            self.context = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def __enter__(self) -> Self:
        self._scope.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.set_error(kind.__name__)
        with contextlib.suppress(Exception):
            self._scope.__exit__(kind, error, traceback)

    def set_attributes(self, attributes: Attributes) -> None:
        with contextlib.suppress(Exception):
            self._span.set_attributes(attributes)

    def set_error(self, error: str) -> None:
        with contextlib.suppress(Exception):
            self._span.set_status(trace.StatusCode.ERROR)
            self._span.set_attribute("error.type", error)


@lru_cache(maxsize=1)
def _tracer_of(provider: trace.TracerProvider) -> trace.Tracer:
    return provider.get_tracer("pushlane")


def is_on() -> bool:
    """Whether the program has a tracer provider."""
    return INSTALLED and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def is_wanted() -> bool:
    """Whether the standard variables ask our own processes to export spans; services decide for themselves."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    return exporter == "otlp" or (not exporter and any(os.environ.get(name) for name in _ENDPOINTS))


def start(
    name: str,
    kind: Literal["PRODUCER", "CLIENT", "SERVER"],
    attributes: Attributes,
    parent: Context | None = None,
    links: Iterable[trace.Link] = (),
) -> Span:
    """A new span to enter; its parent is the current span unless there is another one."""
    if not is_on():
        return NO_SPAN
    try:
        tracer = _tracer_of(trace.get_tracer_provider())
        span = tracer.start_span(name, parent, kind=trace.SpanKind[kind], attributes=attributes, links=tuple(links))
    except Exception:  # noqa: BLE001 # a processor or sampler of the program's
        return NO_SPAN
    return _LiveSpan(span)


def sending(channel: str) -> Span:
    """The span of sending messages to the channel."""
    return start(f"send {channel}", "PRODUCER", _messaging(channel, "send")) if is_on() else NO_SPAN


def pushing(channel: str, contexts: Mapping[str, bytes], attributes: Attributes) -> Span:
    """The span of a push, linked to the span that sent each message: contexts by message id, empty for one without.

    It is a child of the first of these spans, so that it appears in a trace and shares its sampling; without any, a
    push is not recorded.
    """
    if not is_on():
        return NO_SPAN
    sent = {message_id: context for message_id, value in contexts.items() if (context := _read(value))}
    if not sent:
        return NO_SPAN
    parent = trace.set_span_in_context(trace.NonRecordingSpan(next(iter(sent.values()))))
    links = [trace.Link(context, {MESSAGE_ID: message_id}) for message_id, context in sent.items()]
    return start(f"push {channel}", "CLIENT", _messaging(channel, "push") | attributes, parent, links)


def note(attributes: Attributes) -> None:
    """Adds attributes to the current span, if there is one."""
    if is_on():
        trace.get_current_span().set_attributes(attributes)


def log_ids() -> dict[str, str]:
    """``trace_id`` and ``span_id`` of the current span; empty outside of any span. Call it if the API is installed."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}


def _messaging(channel: str, operation: str) -> Attributes:
    return {
        "messaging.system": "pushlane",
        "messaging.destination.name": channel,
        "messaging.operation.type": "send",
        "messaging.operation.name": operation,
    }


def _read(value: bytes) -> trace.SpanContext | None:
    if not (found := _TRACEPARENT.fullmatch(value)):
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    context = trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags))
    return context if context.is_valid else None
