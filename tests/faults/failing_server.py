"""A server on this machine that answers wrongly: as the server itself, as a proxy for http, and behind CONNECT for https."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TRICKLE_SECONDS = 0.2
GONE_SECONDS = 10
PAGE = b"<html><body><h1>Please accept the terms of use of this network</h1></body></html>"


class Handler(BaseHTTPRequestHandler):
    """Notes what was asked for, and lets the server's answer speak."""

    server: "FailingServer"

    def do_GET(self) -> None:
        """Answer a request, sent to a server or to a proxy."""
        self.server.asked.append(self.path)
        self.server.speaking.add(self)
        try:
            self.server.answer(self)
        finally:
            self.server.speaking.discard(self)

    def do_CONNECT(self) -> None:
        """Answer the request for a tunnel to a host that speaks TLS."""
        self.server.asked.append(self.path)
        self.server.connect(self)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def reply(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        """Send a whole answer; `length` is what it says of its length, where that is a lie."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def send_for_ever(self, chunk: bytes, pause: float) -> None:
        """Send a chunk and pause, until the other side or the server goes away."""
        while not self.server.closed.wait(pause):
            self.wfile.write(chunk)


Answer = Callable[[Handler], None]


class FailingServer(ThreadingHTTPServer):
    """A server whose answers the test sets: `answer` to requests, `connect` to a proxy's CONNECT."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[str] = []
        self.closed = threading.Event()
        self.speaking: set[Handler] = set()
        self.answer: Answer = status(503)
        self.connect: Answer = status(503)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what the tests are about."""

    def is_left(self) -> bool:
        """Whether, soon, no client listens any more."""
        deadline = time.monotonic() + GONE_SECONDS
        while self.speaking and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.speaking


@contextmanager
def failing_server() -> Iterator[FailingServer]:
    """Start a server on a free port; end it, and what it still sends, at the end."""
    with FailingServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.closed.set()
            server.shutdown()
            thread.join()


def status(code: int, **headers: str) -> Answer:
    return lambda handler: handler.reply(code, PAGE, Content_Type="text/html", **headers)


def page(handler: Handler) -> None:
    """The log-in page of a network, with status 200."""
    handler.reply(200, PAGE, Content_Type="text/html")


def stall(handler: Handler) -> None:
    """Never answer."""
    handler.server.closed.wait()


def stall_in_the_middle(handler: Handler) -> None:
    handler.reply(200, b"\x1f\x8b\x08", length=1000)
    handler.server.closed.wait()


def trickle(length: int = 10**9) -> Answer:
    """A byte now and then: no time-out for a silent connection ever ends this."""

    def answer(handler: Handler) -> None:
        handler.reply(200, b"", length=length)
        handler.send_for_ever(b"0", TRICKLE_SECONDS)

    return answer


def endless(handler: Handler) -> None:
    """As much as the line carries, with no length and no end."""
    handler.send_response(200)
    handler.end_headers()
    handler.send_for_ever(bytes(2**20), 0)


def cut(handler: Handler) -> None:
    """Half of what the head promises."""
    handler.reply(200, bytes(1000), length=2000)


def longer_than_it_says(handler: Handler) -> None:
    handler.reply(200, bytes(2000), length=1000)


def hang_up(handler: Handler) -> None:
    """Not a word."""
    handler.close_connection = True


def no_http(handler: Handler) -> None:
    handler.wfile.write(b"220 ready for mail\r\n")


def content(body: bytes, content_type: str = "application/octet-stream") -> Answer:
    """A body that may be kept for ever, as archives say of their files."""
    return lambda handler: handler.reply(200, body, Content_Type=content_type, Cache_Control="max-age=365000000, immutable")


def redirect(url: str) -> Answer:
    return lambda handler: handler.reply(302, b"", Location=url)


def in_turn(*answers: Answer) -> Answer:
    """Each answer once, the last one from then on."""
    left = list(answers)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


def by_path(answers: dict[str, Answer], otherwise: Answer) -> Answer:
    """The answer to the first ending that the path has."""

    def answer(handler: Handler) -> None:
        next((found for ending, found in answers.items() if handler.path.endswith(ending)), otherwise)(handler)

    return answer


def tls(context: ssl.SSLContext, answer: Answer) -> Answer:
    """Open the tunnel and speak TLS in it, with the context's certificate."""

    def connect(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError), context.wrap_socket(handler.connection, server_side=True) as tunnel:
            handler.rfile, handler.wfile = tunnel.makefile("rb"), tunnel.makefile("wb")
            handler.handle_one_request()

    return connect
