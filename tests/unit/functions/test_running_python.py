"""Functions in Python, run by AWS's own runtime client in real processes."""

import asyncio
import base64
import io
import os
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from functions_world import World, document, is_running, world

from penstock.core.errors import ServiceError
from penstock.host.entropy import SystemEntropy
from penstock.host.workplace import survey_machine
from penstock.services.functions.invoking import CodeRef
from penstock.services.functions.running.launching import UIDS_PER_SERVER, Uids

PROGRAM = """
import os, sys, time, subprocess
print("loaded")
def handler(event, context):
    return {"event": event, "id": context.aws_request_id, "left_ms": context.get_remaining_time_in_millis(), "pid": os.getpid()}
def environment(event, context):
    return dict(os.environ)
def boom(event, context):
    raise ValueError("no such thing")
def unprintable(event, context):
    return {1, 2}
def hang(event, context):
    print("hanging", flush=True)
    time.sleep(1000)
def leave(event, context):
    os._exit(event)
def die(event, context):
    os.kill(os.getpid(), 9)
def big(event, context):
    return "x" * event
def loud(event, context):
    for _ in range(event):
        sys.stdout.write("y" * 99 + "\\n")
    sys.stdout.write("the end without a line")
def long_line(event, context):
    sys.stdout.write("z" * event + "\\n")
def fork(event, context):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if (grandchild := os.fork()) == 0:
            import signal
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(1000)
        open(os.environ["TMPDIR"] + "/pid", "w").write(str(grandchild))
        os._exit(0)
    os.waitpid(pid, 0)
    return int(open(os.environ["TMPDIR"] + "/pid").read())
def grow(event, context):
    return len(bytearray(event << 20))
"""


def functions(made: World, *names: str, **others: object) -> None:
    for name in names:
        made.python(name, PROGRAM, handler=f"app.{name}", **others)


def test_handler_when_invoked_gets_the_event_and_a_context(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            functions(made, "handler", timeout_s=60)
            invoked = await made.invoke("handler", {"a": [1]})
            answer = document(invoked)
            assert answer["event"] == {"a": [1]}
            assert answer["id"] == invoked.request_id
            assert 0 < answer["left_ms"] <= 60_000
            assert (invoked.function_error, invoked.version) == (None, "$LATEST")
            again = document(await made.invoke("handler"))
            assert again["event"] == {}
            assert again["pid"] == answer["pid"], "a warm process is used again"

    asyncio.run(run())


def test_environment_when_read_is_lambdas_and_none_of_the_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_SECRET_OF_THE_SERVER", "1")

    async def run() -> None:
        async with world(tmp_path) as made:
            functions(
                made,
                "environment",
                environment={"MINE": "yes", "TZ": "CET", "AWS_REGION": "mars", "a=b": "x"},
                memory_mb=256,
            )
            seen = document(await made.invoke("environment"))
            assert "PENSTOCK_SECRET_OF_THE_SERVER" not in seen
            expected = {
                "MINE": "yes",
                "TZ": "CET",
                "AWS_REGION": "us-east-1",
                "_HANDLER": "app.environment",
                "AWS_LAMBDA_FUNCTION_NAME": "environment",
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
                "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/environment",
                "AWS_ACCESS_KEY_ID": "123456789012",
                "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
                "LAMBDA_TASK_ROOT": str(made.place_for("environment")),
            }
            assert {name: seen.get(name) for name in expected} == expected
            assert ("/aws/lambda/environment", seen["AWS_LAMBDA_LOG_STREAM_NAME"]) in made.log.streams

    asyncio.run(run())


def test_handler_when_it_raises_is_answered_with_its_error(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            functions(made, "boom", "unprintable")
            invoked = await made.invoke("boom")
            assert invoked.function_error == "Unhandled"
            answer = document(invoked)
            assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "no such thing")
            assert "in boom" in answer["stackTrace"][0]
            assert document(await made.invoke("unprintable"))["errorType"] == "Runtime.MarshalError"
            assert "[ERROR] ValueError: no such thing\nTraceback" in made.log.text

    asyncio.run(run())


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        ("app.nosuch", "Runtime.HandlerNotFound"),
        ("nosuch.handler", "Runtime.ImportModuleError"),
        ("nodots", "Runtime.MalformedHandlerName"),
        ("broken.handler", "Runtime.UserCodeSyntaxError"),
        ("../../etc.passwd", "TypeError"),  # the runtime's own words: no relative imports
    ],
)
def test_handler_when_it_cannot_be_loaded_is_answered_so(tmp_path: Path, handler: str, kind: str) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.python("f", PROGRAM, handler=handler)
            made.place_for("f").joinpath("broken.py").write_text("def handler(:")
            for _ in range(2):  # each invocation tries anew
                invoked = await made.invoke("f")
                assert (document(invoked)["errorType"], invoked.function_error) == (kind, "Unhandled")
            assert f"Status: error\tError Type: {kind}" in made.log.text
            await made.until(lambda: made.runner.slots == 0)

    asyncio.run(run())


@pytest.mark.parametrize(("timeout_s", "patience_s"), [(3, None), (3, 900), (900, 3)])
def test_handler_when_it_hangs_is_killed_at_the_deadline_and_replaced(
    timeout_s: int, patience_s: int | None, tmp_path: Path
) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            functions(made, "hang", timeout_s=timeout_s)
            call = made.invoke("hang", wants_log=True, patience_s=patience_s)
            asked = asyncio.create_task(call)  # noqa: TID251 - beside the test
            await made.until(lambda: "hanging" in made.log.text)
            made.clock.advance(2900)
            await asyncio.sleep(0)  # noqa: TID251
            assert not asked.done()
            made.clock.advance(100)
            invoked = await asked
            answer = document(invoked)
            assert answer["errorType"] == "Sandbox.Timedout"
            assert answer["errorMessage"] == f"RequestId: {invoked.request_id} Error: Task timed out after 3.00 seconds"
            tail = invoked.log_tail.decode()
            assert (
                f"{invoked.request_id} Task timed out after 3.00 seconds\nEND RequestId: {invoked.request_id}\n" in tail
            )
            assert "Status: timeout" in tail
            await made.until(lambda: made.runner.slots == 0)
            made.python("hang", "def hang(event, context): return 'well'\n", handler="app.hang", revision="2")
            assert document(await made.invoke("hang")) == "well"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "event", "reason"),
    [
        ("leave", 1, "with error: exit status 1"),
        ("leave", 0, "without providing a reason"),
        ("die", 0, "with error: signal: killed"),
    ],
)
def test_process_when_it_ends_is_told_as_an_exit_and_replaced(
    tmp_path: Path, name: str, event: int, reason: str
) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            functions(made, name)
            for _ in range(2):
                invoked = await made.invoke(name, event)
                text = f"RequestId: {invoked.request_id} Error: Runtime exited {reason}"
                assert document(invoked) == {"errorType": "Runtime.ExitError", "errorMessage": text}
                assert invoked.function_error == "Unhandled"
                assert f"{text}\nRuntime.ExitError\n" in made.log.text

    asyncio.run(run())


def test_answer_when_it_is_too_large_is_refused_and_one_below_is_not(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            functions(made, "big", timeout_s=30)
            limit = 6 * 1024 * 1024 + 100
            assert len((await made.invoke("big", limit - 2)).payload) == limit
            invoked = await made.invoke("big", limit - 1)
            assert document(invoked) == {
                "errorType": "Function.ResponseSizeTooLarge",
                "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
            }
            assert document(await made.invoke("big", 3)) == "xxx"

    asyncio.run(run())


def test_output_when_it_is_megabytes_is_all_logged_in_order_between_start_and_end(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            functions(made, "loud", timeout_s=30)
            invoked = await made.invoke("loud", 50_000, wants_log=True)
            ((_, events),) = made.log.streams.items()
            assert events[0] == "loaded\n"
            assert events[1] == f"START RequestId: {invoked.request_id} Version: $LATEST\n"
            assert events[2:50_002] == ["y" * 99 + "\n"] * 50_000
            assert events[50_002] == "the end without a line"
            assert events[50_003] == f"END RequestId: {invoked.request_id}\n"
            assert events[50_004].startswith(f"REPORT RequestId: {invoked.request_id}\tDuration: ")
            assert len(events) == 50_005
            assert len(invoked.log_tail) == 4096
            assert invoked.log_tail.decode().endswith(events[50_003] + events[50_004])

    asyncio.run(run())


def test_line_when_it_is_longer_than_an_event_is_cut(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            functions(made, "long_line")
            await made.invoke("long_line", 300_000)
            pieces = [event for events in made.log.streams.values() for event in events if event.startswith("z")]
            assert [len(piece) for piece in pieces] == [256 * 1024 - 26, 300_001 - (256 * 1024 - 26)]

    asyncio.run(run())


def test_process_when_it_forks_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            functions(made, "fork")
            pid = document(await made.invoke("fork"))
            assert is_running(pid)
            made.runner.end()
            await made.until(lambda: not is_running(pid))

    asyncio.run(run())


def test_memory_when_it_is_used_up_is_an_error_of_the_function(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            functions(made, "grow", timeout_s=30)
            assert document(await made.invoke("grow", 64)) == 64 << 20
            assert document(await made.invoke("grow", 500))["errorType"] == "MemoryError"

    asyncio.run(run())


def test_code_when_a_file_changes_is_loaded_anew(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.python("f", "def handler(e, c): return 1\n")
            assert document(await made.invoke("f")) == 1
            made.place_for("f").joinpath("app.py").write_text("def handler(e, c): return 'two'\n")
            made.clock.advance(1000)
            assert document(await made.invoke("f")) == "two"
            await made.until(lambda: made.runner.slots == 1)
            assert "ERROR" not in made.log.text, "the old process is not told that it ends"

    asyncio.run(run())


def test_code_when_its_directory_is_gone_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.add("f", code=CodeRef("", directory=str(tmp_path / "nowhere")))
            with pytest.raises(ServiceError, match="there is no directory"):
                await made.invoke("f")

    asyncio.run(run())


def packed(**files: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/").replace("_py", ".py"), text)
    return written.getvalue()


def test_archive_when_invoked_is_unpacked_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.blobs.held["code"] = packed(
                app_py="from inner import deep\ndef handler(e, c): return deep.value\n", inner__deep_py="value = 7"
            )
            made.add("f", code=CodeRef(base64.b64encode(b"sum").decode(), blob="code"))
            made.add("g", code=CodeRef(base64.b64encode(b"sum").decode(), blob="code"))
            assert document(await made.invoke("f")) == 7
            del made.blobs.held["code"]
            assert document(await made.invoke("g")) == 7

    asyncio.run(run())


def test_archive_when_nothing_runs_in_it_any_more_is_deleted_and_unpacked_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            folder = Path(made.place.path, "code")

            def unpacked(count: int) -> bool:
                made.clock.advance(30_000)
                return len(list(folder.iterdir())) == count

            for name in ("old", "new"):
                made.blobs.held[name] = packed(app_py=f"def handler(e, c): return {name!r}\n")
                made.add("f", code=CodeRef(name, blob=name), revision=name)
                assert document(await made.invoke("f")) == name
            await made.until(lambda: unpacked(1))
            assert document(await made.invoke("f")) == "new", "what runs keeps its code"
            await made.until(lambda: unpacked(0))
            assert document(await made.invoke("f")) == "new"

    asyncio.run(run())


def test_user_when_we_are_root_is_nobody_of_this_machine(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.python(
                "f",
                "import os\ndef handler(e, c): return [os.getuid(), os.geteuid(), os.getgroups()]\n",
            )
            uid, effective, groups = document(await made.invoke("f"))
            assert uid == effective
            if sys.platform == "linux" and os.getuid() == 0:
                assert uid >= 1 << 30
                assert groups == []
            else:
                assert uid == os.getuid()

    asyncio.run(run())


def test_invocation_when_its_function_changes_while_a_process_starts_is_answered_by_what_it_was(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            functions(made, "handler")
            first = asyncio.gather(made.invoke("handler", 1))
            await made.until(lambda: made.runner.slots)
            functions(made, "handler", revision="2")
            second = await made.invoke("handler", 2)
            assert [document(each)["event"] for each in (*await first, second)] == [1, 2]

    asyncio.run(run())


def test_invocation_when_the_runner_ends_while_its_process_starts_is_answered(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            functions(made, "handler")
            invoked = asyncio.gather(made.invoke("handler"))
            await made.until(lambda: made.runner.slots)
            await made.tasks.stop()
            made.runner.end()
            with pytest.raises(ServiceError, match="the server ends"):
                await invoked

    asyncio.run(run())


def test_user_ids_when_none_is_left_then_nothing_is_started_as_us() -> None:
    machine = survey_machine()._replace(uid=0, can_change_user=True)
    uids = Uids(machine, SystemEntropy())
    taken = [uids.take() for _ in range(UIDS_PER_SERVER)]
    assert len({0, *taken}) == UIDS_PER_SERVER + 1
    with pytest.raises(ServiceError, match="no user id is left"):
        uids.take()
    uids.give_back(taken[7])
    with suppress(OSError), uids.lent():
        raise OSError("no more files")
    assert uids.take() == taken[7]
    assert Uids(machine._replace(can_change_user=False), SystemEntropy()).take() == 0
