"""A real OpenSearch: what the search destination sends, it indexes; what it answers, the destination understands."""

import asyncio
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from peers import BACKUP, ROLE, parcel, standing
from toolchains import OPENSEARCH

from penstock.services.firehose.destinations.api import Delivered, Mixed, Outcome
from penstock.services.firehose.destinations.search import make_search
from penstock.services.firehose.destinations.shapes import OpenSearch

START_S = 120


@contextmanager
def node(folder: Path) -> Iterator[str]:
    """A node; gives its URL."""
    (folder / "config").mkdir()
    classes = f"{OPENSEARCH.folder / 'target/classes'}:{OPENSEARCH.build().read_text().strip()}"
    command = [
        "java",
        "-Xms256m",
        "-Xmx256m",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        classes,
        "compat.SearchNode",
        str(folder),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = next((line.strip() for line in process.stdout if line.strip().isdigit()), b"").decode()
        assert port, (folder / "log").read_text()[-4000:]
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stdin.close()
        process.wait(START_S)
        process.stdout.close()


def ask(url: str, method: str = "GET", body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


async def deliver(url: str, *records: bytes) -> Outcome:
    async with standing() as site:
        shape = OpenSearch(role_arn=ROLE, cluster_endpoint=url, index_name="orders", s3_configuration=BACKUP)
        return await make_search(shape, site).deliver(parcel(*records))


@pytest.mark.needs("opensearch")
def test_documents_in_a_real_cluster_arrive_once_however_often_they_are_sent_and_those_it_refuses_are_told(
    tmp_path: Path,
) -> None:
    with node(tmp_path) as url:
        ask(f"{url}/orders-2016-02-25", "PUT", {"mappings": {"properties": {"n": {"type": "long"}}}})
        records = [json.dumps({"n": number, "text": "grün\n"}).encode() + b"\n" for number in range(500)]
        for _ in range(2):
            outcome = asyncio.run(deliver(url, *records))
            assert isinstance(outcome, Delivered)
            assert outcome.records == 500
        mixed = asyncio.run(deliver(url, b'{"n":0}', b'{"n":"no number"}', b'{"n":1}\n{"n":2}'))
        assert isinstance(mixed, Mixed)
        assert mixed.again is None
        assert {(failure.entry.place, failure.code) for failure in mixed.failures} == {
            (1, "400"),
            (2, "OS.MalformedData"),
        }
        [refused] = [failure for failure in mixed.failures if failure.code == "400"]
        assert json.loads(refused.message)["type"] == "mapper_parsing_exception"
        ask(f"{url}/_refresh", "POST")
        found = ask(f"{url}/orders-2016-02-25/_search?size=1000&q=text:gr%C3%BCn")
        assert {hit["_id"] for hit in found["hits"]["hits"]} == {f"record-{number}" for number in range(1, 500)}
        assert ask(f"{url}/orders-2016-02-25/_count")["count"] == 500
        ask(f"{url}/_all/_settings", "PUT", {"index.blocks.write": True})
        blocked = asyncio.run(deliver(url, b'{"n":0}'))
        assert getattr(blocked, "code", None) == "403", "a cluster that takes no writes now is tried again"
