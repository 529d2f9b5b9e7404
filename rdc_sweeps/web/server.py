"""Serves the pages of a report on this machine while runs are training; it only reads."""

import hashlib
import mimetypes
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from rdc_sweeps.errors import RdcError, UsageError
from rdc_sweeps.web.site import INDEX, Site, SiteReader

ADDRESS = "127.0.0.1"

FRESH_SECONDS = 1.0
"""The runs are read at most this often, however many browsers ask."""

READING_SHARE = 0.1
"""Largest share of the time that is spent on reading: many runs on a slow disk are read less often."""


class LiveSite:
    """The site of the moment, for several threads."""

    def __init__(self, reader: SiteReader) -> None:
        self._reader = reader
        self._mutex = threading.Lock()
        self._site: Site | None = None
        self._due = 0.0

    def content(self, address: str) -> bytes | None:
        """The content of a file now, or a moment ago."""
        with self._mutex:
            start = time.monotonic()
            if self._site is None or start >= self._due:
                self._site = self._reader.read()
                end = time.monotonic()
                self._due = end + max(FRESH_SECONDS, (end - start) / READING_SHARE)
            return self._site.content(address)


class BoardServer(ThreadingHTTPServer):
    """Serves a site on the loopback address.

    Args:
        site: The site.
        port: The port; 0 for any free one.

    Raises:
        UsageError: Another program uses the port.
    """

    daemon_threads = True

    def __init__(self, site: LiveSite, port: int = 0) -> None:
        self.site = site
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UsageError(f"port {port} of {ADDRESS}: {error}; choose another one with --port") from error

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that has gone while it was sent something."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        """The address of the first page."""
        return f"http://{ADDRESS}:{self.server_port}/"

    @property
    def names(self) -> set[str]:
        """What a browser on this machine calls this server; another name may be that of a page elsewhere."""
        return {f"{host}:{self.server_port}" for host in (ADDRESS, "localhost")}


class _Handler(BaseHTTPRequestHandler):
    server: BoardServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "rdc-sweep", ""
    timeout = 30
    """Seconds that a silent connection is kept."""

    def do_GET(self) -> None:
        """Send a file."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Send the headers of a file."""
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        # A page elsewhere can make its own name point to this address, and would then be allowed to read answers.
        if self.headers.get("Host", "") not in self.server.names:
            refusal = b"this server answers to its own address only\n"
            self._send(HTTPStatus.MISDIRECTED_REQUEST, refusal, "text/plain", body)
            return
        address = unquote(urlsplit(self.path).path).lstrip("/") or INDEX
        try:
            content = self.server.site.content(address)
        except (RdcError, OSError) as error:
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, f"{error}\n".encode(), "text/plain", body)
            return
        if content is None:
            self._send(HTTPStatus.NOT_FOUND, b"there is no such page\n", "text/plain", body)
            return
        kind = mimetypes.guess_type(address)[0] or "application/octet-stream"
        self._send(HTTPStatus.OK, content, kind, body)

    def _send(self, status: HTTPStatus, content: bytes, kind: str, body: bool) -> None:
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        unchanged = status == HTTPStatus.OK and self.headers.get("If-None-Match") == tag
        self.send_response(HTTPStatus.NOT_MODIFIED if unchanged else status)
        text = kind.startswith("text/") or kind.endswith(("json", "javascript"))
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if text else kind)
        self.send_header("ETag", tag)
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Content-Length", "0" if unchanged else str(len(content)))
        self.end_headers()
        if body and not unchanged:
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing: pages ask every other second."""
