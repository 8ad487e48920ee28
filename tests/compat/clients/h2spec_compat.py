"""h2spec, an independent judge of HTTP/2: every case of its own, in the clear and over TLS."""

import re
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from served import Server, server
from toolchains import H2SPEC

WITHIN_S = 120
# A preface that is none is refused as what it may be as well: HTTP/1.1.  Over TLS it was agreed what is spoken.
ELSEWISE = {False: {"Sends invalid connection preface"}, True: set[str]()}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("h2spec") / "data", tls=True) as made:
        yield made


@pytest.mark.needs("go")
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_every_case_of_h2spec_passes(running: Server, tls: bool) -> None:
    parts = urlsplit(running.tls_url or "" if tls else running.url)
    options = ["--tls", "--insecure"] if tls else []
    done = subprocess.run(
        [H2SPEC.build(), "--host", str(parts.hostname), "--port", str(parts.port), "--timeout", "5", *options],
        capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert re.search(r"1[0-9]{2} tests, ", done.stdout), done.stdout + done.stderr
    assert set(re.findall(r"× \d+: (.*)", done.stdout)) == ELSEWISE[tls]
