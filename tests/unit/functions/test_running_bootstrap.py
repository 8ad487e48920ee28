"""Functions with a runtime of their own, some of which do what no runtime should."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import pytest
from functions_world import World, document, world

from penstock.core.errors import ServiceError

CLIENT: Final = """
import http.client, json, os, socket, sys, time
address = os.environ["AWS_LAMBDA_RUNTIME_API"]
base = "/2018-06-01/runtime/"
def ask(method, path, body=None, headers={}):
    connection = http.client.HTTPConnection(address)
    connection.request(method, base + path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    return answer, text
def next():
    answer, text = ask("GET", "invocation/next")
    return answer.getheader("Lambda-Runtime-Aws-Request-Id"), text
def respond(request_id, body, what="response", headers={}):
    answer, text = ask("POST", f"invocation/{request_id}/{what}", body, headers)
    print(what, answer.status, text.decode().strip(), flush=True)
"""


def bootstrap(made: World, source: str, **others: object) -> None:
    made.bootstrap("f", CLIENT + source, **others)


def test_bootstrap_when_it_speaks_the_runtime_api_is_a_runtime(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            bootstrap(
                made,
                "while True:\n    i, event = next()\n    respond(i, json.dumps([event.decode(), os.environ['_HANDLER'], sys.argv[1:]]))\n",
            )
            assert document(await made.invoke("f", {"x": 1})) == ['{"x":1}', "app.handler", []]
            assert document(await made.invoke("f")) == ["{}", "app.handler", []]

    asyncio.run(run())


def test_answer_when_it_is_sent_in_chunks_or_is_no_json_is_passed_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            bootstrap(
                made,
                "i, _ = next()\nrespond(i, b'4\\r\\nnot \\r\\n4\\r\\njson\\r\\n0\\r\\n\\r\\n', headers={'Transfer-Encoding': 'chunked'})\n"
                "i, _ = next()\nrespond(i, b'')\nnext()\n",
            )
            assert (await made.invoke("f")).payload == b"not json"
            assert (await made.invoke("f")).payload == b""

    asyncio.run(run())


def test_error_when_it_is_reported_is_passed_on_with_its_kind(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            bootstrap(
                made,
                "i, _ = next()\nrespond(i, b'{\"errorType\":\"E\"}', 'error', {'Lambda-Runtime-Function-Error-Type': 'Handled'})\n"
                "i, _ = next()\nrespond(i, b'{\"errorType\":\"F\"}', 'error')\nnext()\n",
            )
            first, second = await made.invoke("f"), await made.invoke("f")
            assert (first.payload, first.function_error) == (b'{"errorType":"E"}', "Handled")
            assert (second.payload, second.function_error) == (b'{"errorType":"F"}', "Unhandled")

    asyncio.run(run())


def test_answer_when_it_is_given_twice_counts_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            bootstrap(
                made,
                "i, _ = next()\nrespond(i, b'1')\nrespond(i, b'2')\nj, _ = next()\nrespond(i, b'3')\nrespond(j, b'4')\nnext()\n",
            )
            assert document(await made.invoke("f")) == 1
            assert document(await made.invoke("f")) == 4
            await made.until(lambda: made.log.text.count("response ") == 4)
            lines = made.log.text.splitlines()
            assert [line.split("{")[0] for line in lines if line.startswith("response")] == [
                "response 202 ", "response 403 ", "response 400 ", "response 202 ",
            ]  # fmt: skip
            assert '"errorType":"InvalidStateTransition"' in made.log.text
            assert '{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}' in made.log.text

    asyncio.run(run())


def test_answer_when_it_is_for_another_functions_invocation_changes_nothing_there(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.bootstrap("victim", CLIENT + "i, _ = next()\nprint('id', i, flush=True)\ntime.sleep(1000)\n")
            made.bootstrap(
                "thief", CLIENT + "i, event = next()\nrespond(json.loads(event), b'9')\nrespond(i, b'0')\nnext()\n"
            )
            victim = asyncio.create_task(made.invoke("victim"))  # noqa: TID251 - beside the test
            await made.until(lambda: "id " in made.log.text)
            request_id = made.log.text.partition("id ")[2].split()[0]
            assert document(await made.invoke("thief", request_id)) == 0
            assert "response 400" in made.log.text
            assert not victim.done()
            made.clock.advance(3000)
            assert document(await victim)["errorType"] == "Sandbox.Timedout"

    asyncio.run(run())


@pytest.mark.parametrize(
    "garbage",
    [
        b"\\x00\\xff\\r\\n\\r\\n",
        b"DELETE / HTTP/1.1\\r\\n\\r\\n",
        b"POST /x HTTP/1.1\\r\\nContent-Length: many\\r\\n\\r\\n",
        b"POST /x HTTP/1.1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\nzz\\r\\n",
        b"POST /x HTTP/1.1\\r\\nContent-Length: 99999999999\\r\\n\\r\\n",
    ],
)
def test_garbage_when_it_comes_ends_the_connection_and_no_more(tmp_path: Path, garbage: bytes) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            bootstrap(
                made,
                f"c = socket.create_connection(address.split(':'))\nc.sendall(b'{garbage.decode()}')\n"
                "while c.recv(999): pass\ni, _ = next()\nrespond(i, b'5')\nnext()\n",
            )
            assert document(await made.invoke("f")) == 5

    asyncio.run(run())


@pytest.mark.parametrize(
    ("source", "answers"),
    [
        ("ask('GET', 'nowhere')", "404"),
        ("ask('POST', 'invocation/next')", "400"),
        ("ask('POST', 'invocation/x/y')", "400"),
        ("ask('GET', 'invocation/next')", "403"),
        ("ask('POST', 'init/error', b'{}')", "403"),
    ],
)
def test_request_when_it_is_not_its_time_or_there_is_none_such_is_refused(
    tmp_path: Path, source: str, answers: str
) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            bootstrap(made, f"i, _ = next()\nstatus = {source}[0].status\nrespond(i, str(status))\nnext()\n")
            assert (await made.invoke("f")).payload.decode() == answers

    asyncio.run(run())


def test_process_when_it_never_asks_is_given_up_after_ten_seconds(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            bootstrap(made, "print('here', flush=True)\ntime.sleep(1000)\n")
            asked = asyncio.create_task(made.invoke("f"))  # noqa: TID251 - beside the test
            await made.until(lambda: "here" in made.log.text)
            made.clock.advance(10_000)
            assert "Task timed out after 10.00 seconds" in document(await asked)["errorMessage"]
            await made.until(lambda: made.runner.slots == 0)

    asyncio.run(run())


def test_process_when_it_never_asks_again_is_replaced(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            bootstrap(made, "i, _ = next()\nrespond(i, str(os.getpid()))\ntime.sleep(1000)\n")
            first = document(await made.invoke("f"))
            assert document(await made.invoke("f")) != first, "it is not waited for"
            made.clock.advance(3000)
            await made.until(lambda: made.runner.slots == 0)

    asyncio.run(run())


def test_process_when_it_answers_and_ends_at_once_has_answered(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            bootstrap(
                made,
                "i, _ = next()\nbody = b'[%d]' % 7\nc = socket.create_connection(address.split(':'))\n"
                "c.sendall(f'POST {base}invocation/{i}/response HTTP/1.1\\r\\nContent-Length: 3\\r\\n\\r\\n'.encode() + body)\nos._exit(1)\n",
            )
            for _ in range(5):
                assert document(await made.invoke("f")) == [7]

    asyncio.run(run())


def test_process_when_it_cannot_begin_and_says_so_is_answered_with_that(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            bootstrap(
                made, "print(ask('POST', 'init/error', b'{\"errorType\":\"Mine\"}')[0].status)\ntime.sleep(1000)\n"
            )
            invoked = await made.invoke("f")
            assert (invoked.payload, invoked.function_error) == (b'{"errorType":"Mine"}', "Unhandled")
            await made.until(lambda: made.runner.slots == 0)

    asyncio.run(run())


def test_connections_when_a_process_opens_very_many_are_bounded(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            bootstrap(
                made,
                "import select\nall = [socket.create_connection(address.split(':')) for _ in range(64)]\n"
                "while len(ended := select.select(all, [], [])[0]) < 48: time.sleep(0.01)\n"
                "for c in all: c.close()\nwhile True:\n    try:\n        i, _ = next()\n        break\n"
                "    except OSError: time.sleep(0.01)\n"  # until their end is noticed
                "respond(i, str(64 - len(ended)))\nnext()\n",
            )
            assert document(await made.invoke("f")) == 16

    asyncio.run(run())


def test_stranger_when_it_comes_to_a_functions_port_is_hung_up_on_unheard(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            bootstrap(made, "i, _ = next()\nprint('at', address, 'for', i, flush=True)\ntime.sleep(1000)\n")
            asked = asyncio.create_task(made.invoke("f"))  # noqa: TID251 - beside the test
            await made.until(lambda: "for " in made.log.text)
            where, request_id = made.log.text.partition("at ")[2].split()[::2][:2]
            reader, writer = await asyncio.open_connection(*where.split(":"))
            path = f"/2018-06-01/runtime/invocation/{request_id}/response"
            writer.write(f"POST {path} HTTP/1.1\r\nContent-Length: 1\r\n\r\n6".encode())
            stranger = os.getuid() == 0 and sys.platform == "linux"  # then functions have users of their own
            try:
                heard = await reader.read(12)
            except ConnectionError:
                heard = b""
            writer.close()
            assert heard == (b"" if stranger else b"HTTP/1.1 202")
            made.clock.advance(3000)
            assert stranger is ("Sandbox.Timedout" in (await asked).payload.decode())

    asyncio.run(run())


def test_bootstrap_when_there_is_none_or_it_is_no_program_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.place_for("f")
            made.add("f", runtime="provided.al2023")
            answer = document(await made.invoke("f"))
            assert answer["errorType"] == "Runtime.InvalidEntrypoint"
            assert "Couldn't find valid bootstrap(s)" in answer["errorMessage"]
            made.place_for("g").joinpath("bootstrap").write_text("no program")
            made.place_for("g").joinpath("bootstrap").chmod(0o755)
            made.add("g", runtime="provided.al2023")
            invoked = await made.invoke("g")
            assert document(invoked)["errorType"] == "Runtime.InvalidEntrypoint"
            assert "Exec format error" in made.log.text

    asyncio.run(run())


@pytest.mark.parametrize("runtime", ["java21", "dotnet8", "ruby3.3", "go1.x", "", "python2.7"])
def test_runtime_when_it_cannot_be_run_here_is_refused_in_words(tmp_path: Path, runtime: str) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.python("f", "", runtime=runtime)
            with pytest.raises(ServiceError, match=r"cannot be run: python3\.x, nodejs and provided can") as refused:
                await made.invoke("f")
            assert (refused.value.code, refused.value.status) == ("InvalidRuntimeException", 502)

    asyncio.run(run())
