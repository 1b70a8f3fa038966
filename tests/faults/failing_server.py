"""A server on this machine that fails, for all that asks it directly or as a proxy."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

STALL_SECONDS = 20  # not for ever, so that a test of who waits too long fails and does not hang


class Handler(BaseHTTPRequestHandler):
    """Notes what is asked for, and gives the answer that the test has set for it."""

    server: "FailingServer"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answers = (answer for ending, answer in self.server.answers.items() if self.path.endswith(ending))
        next(answers, status(404))(self)

    def reply(self, code: int, body: bytes, length: int | None = None) -> None:
        """Send an answer; `length` is what it claims to be long, if that is a lie."""
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.send_header("Cache-Control", "max-age=365000000, immutable")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


Answer = Callable[[Handler], None]


class FailingServer(ThreadingHTTPServer):
    """A server, from the start to the end of a `with` block, with `answers` by the ending of the path, and 404 to all else."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[str] = []
        self.answers: dict[str, Answer] = {}
        self.closed = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closed.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what the tests are about."""


def status(code: int) -> Answer:
    return lambda handler: handler.reply(code, b"an error page")


def content(body: bytes) -> Answer:
    return lambda handler: handler.reply(200, body)


def cut_off(handler: Handler) -> None:
    """Half of what the head promises."""
    handler.reply(200, bytes(1000), length=2000)


def stall(handler: Handler) -> None:
    """The head, and then nothing."""
    handler.reply(200, b"", length=2000)
    handler.server.closed.wait(STALL_SECONDS)
