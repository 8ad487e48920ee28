"""A check of a server at work: streams come and go and records flow in while it reads, and none of that is taken for damage."""

import threading
from pathlib import Path
from typing import Final

from served import server
from test_kill_server import STREAM, Acknowledged

from penstock.storage.check import check
from penstock.storage.directory import DataDirectory
from penstock.storage.finding import Finding

CHECKS: Final = 15
RECORDS: Final = 100  # that are put meanwhile, at least


def test_a_server_at_work_is_found_sound_again_and_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    acknowledged, found, stop = Acknowledged(), list[Finding](), threading.Event()
    with server(tmp_path / "data") as running:
        client, other = running.client(), running.client()
        client.create_stream(StreamName=STREAM, ShardCount=3)

        def come_and_go() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                client.create_stream(StreamName=f"brief-{number}", ShardCount=2)
                client.put_record(StreamName=f"brief-{number}", Data=b"data", PartitionKey="key")
                client.delete_stream(StreamName=f"brief-{number}")

        threads = [
            threading.Thread(target=come_and_go),
            threading.Thread(target=acknowledged.put_until_it_fails, args=(other, "client")),
        ]
        for thread in threads:
            thread.start()
        checks = 0
        while checks < CHECKS or (len(acknowledged.records) < RECORDS and all(map(threading.Thread.is_alive, threads))):
            report = check(DataDirectory(tmp_path / "data"), lambda _count: None)
            assert report.running
            found += report.damage
            checks += 1
        stop.set()
        threads[0].join()
        running.process.kill()
        threads[1].join()
    assert found == []
    assert len(acknowledged.records) >= RECORDS, "the load was none"
