"""An HTTP server that keeps every request whole, as it came over the socket."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Status = Callable[[bytes], int]


@dataclass(frozen=True)
class Recording:
    """The requests so far, each as ``{method, path, headers, body}``: header names in lower case, the body parsed."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)

    def answered(self, status: int) -> list[dict[str, Any]]:
        """Those that got this status, without it."""
        return [
            {name: part for name, part in one.items() if name != "status"}
            for one in list(self.requests)
            if one["status"] == status
        ]


@contextlib.contextmanager
def recording(status: Status) -> Iterator[Recording]:
    """The server on loopback; ``status`` says how a body is answered: with ``{"code": 0}``, or that code."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            with contextlib.suppress(ConnectionError):
                super().handle_one_request()

        def do_POST(self) -> None:  # http.server names it; it answers other methods with 501
            body = self.rfile.read(int(self.headers["content-length"]))
            names = [name.lower() for name in self.headers]
            assert len(names) == len(set(names)), f"a header is there twice: {names}"
            number = status(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = {"method": self.command, "path": self.path, "headers": headers, "body": json.loads(body)}
            kept.requests.append(request | {"status": number})
            answer = json.dumps({"code": 0 if number == 200 else number}).encode()
            self.send_response(number)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing: the test prints what it needs."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept = Recording(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
