"""A small HTTP server that alerts are sent to: one address for plain webhooks, one shaped like Slack's."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class AlertListener:
    """Collects what is posted to /webhook and /slack."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, Any]]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                listener.received.append((self.path.strip("/"), json.loads(body)))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: object) -> None:
                """Keep the story's terminal to the story."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, name="alerts", daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{path}"

    def of(self, path: str) -> list[dict[str, Any]]:
        return [body for where, body in self.received if where == path]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
