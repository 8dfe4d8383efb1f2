"""The page's server: this machine only, read only, nothing kept between two requests.

The standard library's server is enough for one person on one machine, and asks nobody to install anything. What it
leaves to its user is done here: it listens on the loopback address alone, answers no other host name (a page elsewhere
that rebinds its own name to 127.0.0.1 is refused), allows no other origin to read, and reads no path of a file: the
page's few files are taken into memory at the start, and profiles are those named then.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from socketserver import TCPServer
from typing import Any
from urllib.parse import urlsplit

from prism.errors import InputError
from prism.files import to_json
from prism.units import check_range
from sim.explorer.answer import answer
from sim.explorer.choices import choices
from sim.explorer.question import Profiles, read_question, require_comparable

LOOPBACK = "127.0.0.1"
#: What a browser may call this server. Any port: a tunnel may have another at its near end.
HOSTS = frozenset({LOOPBACK, "localhost"})

#: Nothing from elsewhere; of its own the page needs scripts, styles, answers, and the pictures it makes for export.
SECURITY: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_JSON = "application/json"


@dataclass(frozen=True)
class Reply:
    """What a request is answered with."""

    status: HTTPStatus
    content_type: str
    body: bytes


class Site:
    """What there is to be had, by path. Replies depend on the request and the profiles alone."""

    def __init__(self, profiles: Profiles) -> None:
        for profile in profiles.values():
            require_comparable(profile)
        self._profiles = profiles
        self._files = page_files()

    def reply(self, target: str, host: str | None) -> Reply:
        """The reply to a request.

        Args:
            target: path and query as the request line has them.
            host: its Host header.
        """
        if not _ours(host):
            return _error(HTTPStatus.FORBIDDEN, f"this page answers as {LOOPBACK} or localhost only")
        path, _, query = target.partition("?")
        if path in self._files:
            return self._files[path]
        try:
            if path == "/api/choices":
                return _found(choices(self._profiles))
            if path == "/api/answer":
                return _found(answer(read_question(query, self._profiles)))
        except InputError as error:
            return _error(HTTPStatus.BAD_REQUEST, str(error))
        return _error(HTTPStatus.NOT_FOUND, "no such page; there is /, /api/choices and /api/answer")


def page_files() -> dict[str, Reply]:
    """The page's files by path; the page itself also as ``/``."""
    replies = {
        f"/{entry.name}": Reply(HTTPStatus.OK, _TYPES[entry.name.rpartition(".")[2]], entry.read_bytes())
        for entry in (files("sim.explorer") / "page").iterdir()
        if entry.name.rpartition(".")[2] in _TYPES
    }
    return replies | {"/": replies["/index.html"]}


def _ours(host: str | None) -> bool:
    try:
        return host is not None and urlsplit(f"//{host}").hostname in HOSTS
    except ValueError:
        return False


def _found(value: Any) -> Reply:
    return Reply(HTTPStatus.OK, _JSON, to_json(value).encode())


def _error(status: HTTPStatus, line: str) -> Reply:
    return Reply(status, _JSON, to_json({"error": line}).encode())


class ExplorerServer(ThreadingHTTPServer):
    """Serves the page on the loopback address; `port` 0 takes a free one.

    Raises:
        InputError: the port is taken, reserved or none.
    """

    daemon_threads = True
    allow_reuse_port = False

    def __init__(self, port: int, profiles: Profiles) -> None:
        check_range("port", port, 0, 65535)
        self.site = Site(profiles)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise InputError(
                f"port {port} of {LOOPBACK} cannot be had ({error.strerror}); choose another --port, "
                "or 0 for a free one"
            ) from None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    def server_bind(self) -> None:
        """Without the base class's question for the machine's full name, which can wait for a network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has lost interest in an answer hangs up; that is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD, with connections kept open: a new one for each answer would cost more than the answer."""

    server: ExplorerServer
    protocol_version = "HTTP/1.1"
    server_version = "Prism"
    sys_version = ""
    timeout = 120
    #: Headers and body leave together; apart, the second would wait for the first to be acknowledged.
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        self._send(with_body=True)

    def do_HEAD(self) -> None:
        self._send(with_body=False)

    def _send(self, *, with_body: bool) -> None:
        reply = self.server.site.reply(self.path, self.headers.get("Host"))
        self.send_response(reply.status)
        for name, value in SECURITY.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        if self.headers.get("Content-Length") or self.headers.get("Transfer-Encoding"):
            self.send_header("Connection", "close")  # a body that nobody reads must not be taken for the next request
        self.end_headers()
        if with_body:
            self.wfile.write(reply.body)

    def log_message(self, *_: Any, **__: Any) -> None:
        """Nothing: a line for each move of a slider helps nobody."""
