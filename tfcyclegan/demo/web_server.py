"""Serves a folder to browsers on this machine only."""

import webbrowser
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tfcyclegan.errors import UserError
from tfcyclegan.system.progress import log

HOST = "127.0.0.1"
HEADERS = {
    # These two isolate the page; without isolation browsers provide no threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The page has a stricter policy of its own; this one also applies to its workers.
    "Content-Security-Policy": "script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}

_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpeg": "image/jpeg",
    ".txt": "text/plain",
    "": "application/octet-stream",
}


class Handler(SimpleHTTPRequestHandler):
    """Serves only files of the folder: no listings, and no answers to pages of other hosts."""

    protocol_version = "HTTP/1.1"
    extensions_map = _TYPES

    def send_head(self) -> Any:
        if self.headers.get("Host", "").rsplit(":", 1)[0] not in (HOST, "localhost"):
            # another site's name that resolves to this address
            self.send_error(HTTPStatus.FORBIDDEN, "Only for this machine")
            return None
        if "\0" in self.translate_path(self.path):
            self.send_error(HTTPStatus.NOT_FOUND, "File not found")
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> None:
        self.send_error(HTTPStatus.NOT_FOUND, "File not found")

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Logs nothing: the terminal is for messages that users can act on."""


def open_server(directory: Path, port: int) -> ThreadingHTTPServer:
    """A server of `directory` on loopback; port 0 takes a free port.

    Raises:
        UserError: the port is taken.
    """
    try:
        return ThreadingHTTPServer((HOST, port), partial(Handler, directory=str(directory)))
    except OSError as error:
        raise UserError(
            f"--port={port}: cannot be used ({error.strerror}); 0 takes a free port"
        ) from error


def serve(directory: Path, port: int, *, open_browser: bool) -> None:
    """Serves `directory` until KeyboardInterrupt."""
    with open_server(directory, port) as server:
        url = f"http://{HOST}:{server.server_port}/"
        log(f"the demo is at {url}; stop it with Ctrl-C")
        if open_browser and not webbrowser.open(url):
            log("could not open a browser; open the address yourself")
        server.serve_forever()
