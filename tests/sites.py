"""A site on this machine: files, ranges of them, and connections that break."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What is served, and what was asked for. Paths begin with a slash."""

    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"one"'
    ranges: bool = True
    limit: int | None = None
    """Bytes after which a connection breaks."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and range of each request."""
    url: str = ""

    def put(self, path: str, content: bytes) -> str:
        self.files[path] = content
        return self.url + path


@contextmanager
def serving() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self, site)

        def log_message(self, format, *args):
            pass

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    site.url = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(request: BaseHTTPRequestHandler, site: Site) -> None:
    wanted = request.headers["Range"]
    site.asked.append((request.path, wanted))
    if request.path not in site.files:
        request.send_error(404)
        return
    content = site.files[request.path]
    same = request.headers["If-Range"] in (None, site.etag)
    first = int(wanted[6:-1]) if wanted and site.ranges and same else 0
    if first and first >= len(content):
        request.send_response(416)
        request.send_header("Content-Range", f"bytes */{len(content)}")
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    request.send_response(206 if first else 200)
    if site.etag:
        request.send_header("ETag", site.etag)
    if first:
        span = f"bytes {first}-{len(content) - 1}/{len(content)}"
        request.send_header("Content-Range", span)
    rest = content[first:]
    request.send_header("Content-Length", str(len(rest)))
    request.end_headers()
    request.wfile.write(rest[: site.limit])
    request.close_connection = True
