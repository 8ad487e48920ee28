"""Functions that run elsewhere: real servers that answer as Lambda does, or as no server should."""

import asyncio
import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from functions_world import World, document, world

from penstock.core.errors import ServiceError
from penstock.host.clock import SystemClock, monotonic_s
from penstock.host.entropy import SystemEntropy
from penstock.host.httppost import HttpPost
from penstock.services.functions.invoking import Invoked
from penstock.services.functions.running.concurrency import Concurrency
from penstock.services.functions.running.remote import RemoteRunner
from penstock.services.functions.running.surroundings import Surroundings

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer(self, self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def respond(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def asked(folder: Path, url: str, event: Any = None, **others: Any) -> tuple[Invoked, World]:
    """What an invocation was answered."""

    async def run() -> tuple[Invoked, World]:
        async with world(folder) as made:
            post = HttpPost(url)
            around = Surroundings(made.clock, made.clock, SystemClock(), SystemEntropy(), made.tasks, monotonic_s)
            made.invoker = RemoteRunner(made, post, around, made.log, made.meter, Concurrency(1000))
            made.add("f", **others)
            try:
                return await made.invoke("f", event, wants_log=True), made
            finally:
                made.meter.collect()
                post.close()

    return asyncio.run(run())


def test_event_when_invoked_is_posted_to_the_functions_url_and_its_answer_is_the_answer(tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        respond(
            handler,
            b'{"path":"%s","event":%s}' % (handler.path.encode(), body),
            X_Amz_Log_Result=base64.b64encode(b"printed\n").decode(),
        )

    with served(answer) as url:
        invoked, made = asked(tmp_path, url, {"a": 1})
    assert document(invoked) == {"path": "/2015-03-31/functions/function/invocations", "event": {"a": 1}}
    assert invoked.function_error is None
    text = made.log.text
    assert text.startswith(
        f"START RequestId: {invoked.request_id} Version: $LATEST\nprinted\nEND RequestId: {invoked.request_id}\nREPORT"
    )
    assert invoked.log_tail.decode() == text
    assert {measure.name for _, measure in made.told.measures} >= {"Invocations", "Duration", "Errors"}


@pytest.mark.parametrize("error", ["Unhandled", None])
def test_function_when_it_fails_there_has_failed(tmp_path: Path, error: str | None) -> None:
    body = b'{"errorMessage": "no", "errorType": "ValueError", "stackTrace": []}'
    headers = {"X_Amz_Function_Error": error} if error else {}
    with served(lambda handler, _: respond(handler, body, 200, **headers)) as url:
        invoked, _ = asked(tmp_path, url)
    assert (invoked.payload, invoked.function_error) == (body, "Unhandled")


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (lambda handler, _: respond(handler, b"", 429), "TooManyRequestsException", "Rate Exceeded"),
        (lambda handler, _: respond(handler, b"", 500), "ServiceException", "it answers 500"),
        (lambda handler, _: respond(handler, b"", 302, Location="/elsewhere"), "ServiceException", "it answers 302"),
        (lambda handler, _: handler.wfile.write(b"what?\r\n\r\n"), "ServiceException", "cannot be asked"),
        (lambda handler, _: handler.connection.shutdown(socket.SHUT_RDWR), "ServiceException", "cannot be asked"),
    ],
)
def test_endpoint_when_it_does_not_answer_as_lambda_is_an_error_of_ours(
    tmp_path: Path, answer: Answer, code: str, words: str
) -> None:
    with served(answer) as url, pytest.raises(ServiceError, match=words) as refused:
        asked(tmp_path, url)
    assert refused.value.code == code


def test_endpoint_when_nobody_listens_is_an_error_of_ours(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ServiceError, match=r"cannot be asked: .*refused"):
        asked(tmp_path, f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("dripping", [False, True])
def test_endpoint_when_it_takes_longer_than_the_function_may_is_given_up(
    tmp_path: Path, dripping: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.services.functions.running.remote.GRACE_S", -0.5)
    monkeypatch.setattr("penstock.host.httppost.CONNECT_S", 0.5)
    over = threading.Event()

    def answer(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        if dripping:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not over.wait(0.05):
            if dripping:
                handler.wfile.write(b"x")

    with served(answer) as url:
        try:
            invoked, _ = asked(tmp_path, url, timeout_s=1)
        finally:
            over.set()
    assert document(invoked)["errorMessage"].endswith("Task timed out after 1.00 seconds")


def test_answer_when_it_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _piece in range(1000):
                handler.wfile.write(b"x" * 1_000_000)
        except ConnectionError:
            return

    with served(answer) as url:
        invoked, _ = asked(tmp_path, url, timeout_s=60)
    assert document(invoked)["errorType"] == "Function.ResponseSizeTooLarge"
