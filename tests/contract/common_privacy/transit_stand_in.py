"""Stands in for the transit engine of OpenBao and Vault, on the wire: neither server is in a package registry.

It answers what the documentation of the transit API says of encrypt, decrypt, and of a key's rotate, config and read.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "s.right-token"


class Refused(Exception):
    """An answer that is an error: status and text."""


class Transit:
    """One key of the type aes256-gcm96, with its versions."""

    def __init__(self) -> None:
        self.versions = {1: os.urandom(32)}
        self.least = 1
        self.seen: list[str] = []

    def answer(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        self.seen.append(f"{method} {path}")
        match method, path:
            case "POST", "/v1/transit/encrypt/modelog":
                newest = max(self.versions)
                nonce, extra = os.urandom(12), base64.b64decode(body["associated_data"])
                sealed = AESGCM(self.versions[newest]).encrypt(nonce, base64.b64decode(body["plaintext"]), extra)
                text = f"vault:v{newest}:{base64.b64encode(nonce + sealed).decode()}"
                return {"ciphertext": text, "key_version": newest}
            case "POST", "/v1/transit/decrypt/modelog":
                return {"plaintext": self._decrypted(body)}
            case "POST", "/v1/transit/keys/modelog/rotate":
                self.versions[max(self.versions) + 1] = os.urandom(32)
                return None
            case "POST", "/v1/transit/keys/modelog/config":
                self.least = body["min_decryption_version"]
                return None
            case "GET", "/v1/transit/keys/modelog":
                return {"latest_version": max(self.versions), "min_decryption_version": self.least}
        raise Refused(404, "no handler for route")

    def _decrypted(self, body: dict[str, Any]) -> str:
        _, version, text = body["ciphertext"].split(":")
        number, raw = int(version[1:]), base64.b64decode(text)
        if number < self.least:
            raise Refused(400, "ciphertext or signature version is disallowed by policy (too old)")
        try:
            plain = AESGCM(self.versions[number]).decrypt(raw[:12], raw[12:], base64.b64decode(body["associated_data"]))
        except InvalidTag:
            raise Refused(400, "cipher: message authentication failed") from None
        return base64.b64encode(plain).decode()


@contextmanager
def serving(transit: Transit) -> Iterator[str]:
    """Answers over HTTP until the block ends; gives host:port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        do_PUT = do_POST  # noqa: N815 - the base class names it

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                if self.headers.get("X-Vault-Token") != TOKEN:
                    raise Refused(403, "permission denied")
                data = transit.answer(self.command, self.path, json.loads(content or b"{}"))
            except Refused as refused:
                status, text = refused.args
                self._send(status, {"errors": [text]})
            else:
                self._send(*((204, None) if data is None else (200, {"data": data})))

        def _send(self, status: int, body: dict[str, Any] | None) -> None:
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()
