"""`penstock functions`, end to end, as its user runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from penstock.testing import PenstockServer

SOURCE = "def handler(event, context):\n    print('got', event)\n    return {'hello': event.get('name', 'nobody')}\n"


@pytest.fixture(scope="module")
def server() -> Iterator[PenstockServer]:
    with PenstockServer() as running:
        yield running


@pytest.fixture
def code(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    (tmp_path / "app.py").write_text(SOURCE)
    return tmp_path


def functions(server: PenstockServer, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "penstock", "functions", *words, "--endpoint", server.endpoint_url],
        input=stdin,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_directory_when_added_is_invoked_and_reloaded_and_logged_and_removed(
    penstock: PenstockServer, code: Path
) -> None:
    added = functions(penstock, "add", "hello", "--dir", str(code), "--env", "AB=c", "--timeout", "30")
    assert added.stdout.startswith(f"hello runs app.handler (python3.{sys.version_info.minor}) from {code}\n"), (
        added.stderr
    )
    invoked = functions(penstock, "invoke", "hello", '{"name": "world"}')
    assert (invoked.returncode, json.loads(invoked.stdout)) == (0, {"hello": "world"})
    assert "got {'name': 'world'}\nEND RequestId" in invoked.stderr

    (code / "app.py").write_text(SOURCE.replace("nobody", "somebody"))
    penstock.clock.advance(seconds=1)  # it is looked at again after 300 ms
    again = functions(penstock, "invoke", "hello", "-", "--quiet", stdin="{}")
    assert (json.loads(again.stdout), again.stderr) == ({"hello": "somebody"}, "")

    listed = functions(penstock, "list").stdout.strip().splitlines()
    assert listed[-1].split() == [
        "hello",
        f"python3.{sys.version_info.minor}",
        "app.handler",
        "30",
        "s",
        "128",
        "MiB",
        str(code),
    ]
    logged = functions(penstock, "logs", "hello")
    assert [line.split()[0] for line in logged.stdout.splitlines()] == ["START", "got", "END", "REPORT"] * 2, (
        logged.stderr
    )

    changed = functions(penstock, "add", "hello", "--dir", str(code), "--handler", "app.handler", "--memory", "256")
    assert changed.returncode == 0, changed.stderr
    assert penstock.client("lambda").get_function_configuration(FunctionName="hello")["MemorySize"] == 256
    assert functions(penstock, "remove", "hello").returncode == 0
    assert "no functions; add one" in functions(penstock, "list").stderr
    assert (code / "app.py").exists()


def test_function_when_it_fails_ends_with_one(server: PenstockServer, code: Path) -> None:
    (code / "app.py").write_text("def handler(e, c): raise ValueError('\\x1b[31mred')\n")
    functions(server, "add", "fails", "--dir", str(code))
    invoked = functions(server, "invoke", "fails")
    assert invoked.returncode == 1
    assert json.loads(invoked.stdout)["errorType"] == "ValueError"
    assert "\x1b" not in invoked.stdout + invoked.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["add", "x", "--dir", "/nowhere"], "'/nowhere' does not exist"),
        (["add", "x", "--dir", "{code}", "--handler", "other.handler"], "holds no other.py, other.mjs or bootstrap"),
        (["add", "x", "--dir", "{code}", "--env", "A"], "'A' must be NAME=VALUE"),
        (["add", "bad name!", "--dir", "{code}"], "failed to satisfy constraint"),
        (
            ["invoke", "nobody"],
            "Function not found: arn:aws:lambda:us-east-1:123456789012:function:nobody; `penstock functions list`",
        ),
        (["invoke", "nobody", "{"], "nobody"),
        (["remove", "nobody"], "Function not found"),
        (["logs", "nobody"], "The specified log group does not exist"),
    ],
)
def test_mistake_when_made_is_told_in_a_line(server: PenstockServer, code: Path, words: list[str], told: str) -> None:
    done = functions(server, *(word.replace("{code}", str(code)) for word in words))
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("file", "runtime"), [("app.py", "python3"), ("app.mjs", "nodejs22.x"), ("bootstrap", "provided.al2023")]
)
def test_runtime_when_not_said_is_what_the_files_are_for(
    server: PenstockServer, tmp_path: Path, file: str, runtime: str
) -> None:
    (tmp_path / file).touch()
    assert f"({runtime}" in functions(server, "add", "guess", "--dir", str(tmp_path)).stdout


def test_directory_when_it_is_named_over_the_wire_must_be_one_and_auth_open(
    tmp_path: Path, server: PenstockServer
) -> None:
    def create(of: PenstockServer, path: str) -> str:
        code = {"S3Bucket": "penstock-directory", "S3Key": path}
        with pytest.raises(ClientError) as refused:
            of.client("lambda").create_function(
                FunctionName="f",
                Runtime="python3.12",
                Role="arn:aws:iam::123456789012:role/r",
                Handler="a.b",
                Code=code,
            )
        assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
        return str(refused.value)

    for path in ("app", str(tmp_path / "nowhere"), "/etc/passwd", "/\x01"):
        assert "must be the absolute path of a directory" in create(server, path)
    with PenstockServer(auth="enforced") as enforced:
        assert "a directory is code only with --auth open" in create(enforced, str(tmp_path))
