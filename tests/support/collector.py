"""An OpenTelemetry collector: takes spans over OTLP/HTTP on a port of this machine."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True)
class Received:
    """A span as it arrived."""

    service: str
    span: Span

    @property
    def name(self) -> str:
        """Its name."""
        return self.span.name

    @property
    def links(self) -> dict[str, str]:
        """Trace and span that are linked, by the id of the message."""
        return {
            str(_values(link.attributes)["messaging.message.id"]): f"{link.trace_id.hex()}-{link.span_id.hex()}"
            for link in self.span.links
        }

    @property
    def attributes(self) -> dict[str, Any]:
        """Its attributes."""
        return _values(self.span.attributes)


def _values(attributes: Any) -> dict[str, Any]:  # noqa: ANN401 # protobuf's own container
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@dataclass
class Collector:
    """What it has received."""

    port: int = 0
    received: list[Received] = field(default_factory=list)

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes a process of ours export to it, soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    def named(self, name: str) -> list[Received]:
        """The spans of this name, by their start."""
        found = [span for span in self.received if span.name == name]
        return sorted(found, key=lambda each: each.span.start_time_unix_nano)

    def take(self, body: bytes) -> None:
        """Keeps the spans of one request."""
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _values(group.resource.attributes)["service.name"]
            self.received += [Received(service, span) for scope in group.scope_spans for span in scope.spans]


@contextlib.contextmanager
def collector(port: int = 0) -> Iterator[Collector]:
    """A collector that takes everything."""
    taken = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        taken.port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield taken
        server.shutdown()
