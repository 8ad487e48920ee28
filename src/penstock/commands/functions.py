"""`penstock functions`: functions from a directory, through Lambda's API and that of CloudWatch Logs.

Theory.  A directory is named as code by a bucket that is none, `penstock-directory`, whose keys are paths of the server's machine;
everything else is what any client of Lambda does.
Rule of this file: what a function logged is shown with nothing in it that a terminal would obey.
"""

import base64
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from botocore.exceptions import ClientError

from penstock.clients.calls import CALL_ERRORS, error_code
from penstock.commands.paper import console, print_whole, table, tame
from penstock.commands.place import CommandError, Server, Where, pause
from penstock.host.clock import SystemClock

DIRECTORY_BUCKET: Final = "penstock-directory"
ROLE: Final = "penstock-functions"  # of an execution role; with --auth open nobody asks for it
HOUR_MS: Final = 3_600_000
FOLLOW_S: Final = 1.0
_PYTHON: Final = f"python3.{sys.version_info.minor}"
_NODE: Final = "nodejs22.x"
_PROVIDED: Final = "provided.al2023"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A function as it shall be."""

    name: str
    handler: str
    directory: Path
    runtime: str | None
    variables: Sequence[tuple[str, str]]
    timeout_s: int
    memory_mb: int


def runtime_of(directory: Path, handler: str) -> str:
    """The runtime that a directory's files are for.  Raises CommandError where there is none."""
    module = handler.rpartition(".")[0]
    if (directory / f"{module.replace('.', '/')}.py").is_file():
        return _PYTHON
    if any((directory / f"{module}{ending}").is_file() for ending in (".mjs", ".js", ".cjs")):
        return _NODE
    if (directory / "bootstrap").is_file():
        return _PROVIDED
    raise CommandError(
        f"{directory} holds no {module}.py, {module}.mjs or bootstrap; say --dir, --handler or --runtime"
    )


def add(where: Where, wanted: Wanted) -> int:
    """Make or change it; the exit code.  Raises CommandError."""
    runtime = wanted.runtime or runtime_of(wanted.directory, wanted.handler)
    server = Server(where)
    client = server.other("lambda")
    code = {"S3Bucket": DIRECTORY_BUCKET, "S3Key": str(wanted.directory)}
    settings: dict[str, Any] = {
        "FunctionName": wanted.name,
        "Runtime": runtime,
        "Handler": wanted.handler,
        "Timeout": wanted.timeout_s,
        "MemorySize": wanted.memory_mb,
        "Environment": {"Variables": dict(wanted.variables)},
    }
    try:
        if _exists(client, wanted.name):
            client.update_function_code(FunctionName=wanted.name, **code)
            _settle(client, "function_updated_v2", wanted.name)
            client.update_function_configuration(**settings)
            _settle(client, "function_updated_v2", wanted.name)
        else:
            account = server.other("sts").get_caller_identity()["Account"]
            client.create_function(Role=f"arn:aws:iam::{account}:role/{ROLE}", Code=code, **settings)
            _settle(client, "function_active_v2", wanted.name)
    except CALL_ERRORS as error:
        raise server.complaint(error) from None
    click.echo(f"{wanted.name} runs {wanted.handler} ({runtime}) from {wanted.directory}")
    click.echo(f"Try:  penstock functions invoke {wanted.name} '{{}}'")
    return 0


def _exists(client: Any, name: str) -> bool:
    try:
        client.get_function_configuration(FunctionName=name)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        return False
    return True


def _settle(client: Any, waiter: str, name: str) -> None:
    client.get_waiter(waiter).wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 600})


def show(where: Where) -> int:
    """List them; the exit code.  Raises CommandError."""
    server = Server(where)
    client = server.other("lambda")
    made = table("FUNCTION", "RUNTIME", "HANDLER", "TIMEOUT<>", "MEMORY<>", "CODE")
    try:
        for each in (each for page in client.get_paginator("list_functions").paginate() for each in page["Functions"]):
            code = client.get_function(FunctionName=each["FunctionName"])["Code"].get("Location") or ""
            place = code.removeprefix("file://") if code.startswith("file://") else f"zip of {each['CodeSize']} bytes"
            facts = (each["FunctionName"], each["Runtime"], each["Handler"])
            made.add_row(*facts, f"{each['Timeout']} s", f"{each['MemorySize']} MiB", tame(place))
    except CALL_ERRORS as error:
        raise server.complaint(error) from None
    if made.row_count:
        print_whole(console(), made)
    else:
        click.echo("no functions; add one: penstock functions add NAME --handler app.handler --dir .", err=True)
    return 0


def invoke(where: Where, name: str, event: str, *, quiet: bool) -> int:
    """Invoke one; the exit code.  Raises CommandError."""
    payload = sys.stdin.buffer.read() if event == "-" else event.encode()
    server = Server(where)
    try:
        answer = server.other("lambda", patience_s=910).invoke(FunctionName=name, Payload=payload, LogType="Tail")
        body = answer["Payload"].read()
    except CALL_ERRORS as error:
        raise _complaint(server, error) from None
    if not quiet:
        log = base64.b64decode(answer.get("LogResult", "")).decode("utf-8", "replace")
        click.echo(tame(log), err=True, nl=False)
    click.echo(tame(body.decode("utf-8", "replace")))
    return 1 if "FunctionError" in answer else 0


def logs(where: Where, name: str, *, follow: bool) -> int:
    """Show its log; the exit code.  Raises CommandError."""
    server = Server(where)
    client, since_ms = server.other("logs"), SystemClock().now_ms() - HOUR_MS
    shown: dict[str, None] = {}
    try:
        while True:
            for event in _events(client, f"/aws/lambda/{name}", since_ms):
                if event["eventId"] not in shown:
                    shown[event["eventId"]] = None
                    since_ms = max(since_ms, event["timestamp"] - HOUR_MS // 60)
                    click.echo(tame(event["message"].rstrip("\n")))
            if not follow:
                return 0
            pause(FOLLOW_S)
    except CALL_ERRORS as error:
        raise _complaint(server, error) from None


def _events(client: Any, group: str, since_ms: int) -> Iterator[Mapping[str, Any]]:
    for page in client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since_ms):
        yield from page["events"]


def remove(where: Where, name: str) -> int:
    """Forget it; the exit code.  Raises CommandError."""
    server = Server(where)
    try:
        server.other("lambda").delete_function(FunctionName=name)
    except CALL_ERRORS as error:
        raise _complaint(server, error) from None
    return 0


def _complaint(server: Server, error: Exception) -> CommandError:
    if error_code(error) == "ResourceNotFoundException":
        return CommandError(f"{server.complaint(error).message}; `penstock functions list` shows which there are")
    return server.complaint(error)
