"""A backup of a server at work: streams come and go and records flow in while it is taken, and it is whole all the same."""

import threading
from pathlib import Path
from typing import Final

from served import server
from test_kill_server import STREAM, Acknowledged, read_back

from penstock.storage.backup import backup
from penstock.storage.check import EXIT_SOUND

BACKUPS: Final = 4
CLIENTS: Final = 2
RECORDS: Final = 100  # before the first backup, at least


def test_backups_of_a_server_at_work_hold_all_that_was_answered_before(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    acknowledged, answered = Acknowledged(), list[dict[tuple[str, str], bytes]]()
    with server(tmp_path / "data") as running:
        running.client().create_stream(StreamName=STREAM, ShardCount=3)
        threads = [
            threading.Thread(target=acknowledged.put_until_it_fails, args=(running.client(), f"client-{number}"))
            for number in range(CLIENTS)
        ]
        stop = threading.Event()
        client = running.client()

        def come_and_go() -> None:
            for number in range(1_000_000):
                if stop.is_set():
                    return
                client.create_stream(StreamName=f"brief-{number}", ShardCount=2)
                client.put_record(StreamName=f"brief-{number}", Data=b"data", PartitionKey="key")
                client.delete_stream(StreamName=f"brief-{number}")

        threads.append(threading.Thread(target=come_and_go))
        for thread in threads:
            thread.start()
        while len(acknowledged.so_far()) <= RECORDS and threads[0].is_alive():
            threads[0].join(0.1)
        for number in range(BACKUPS):
            answered.append(acknowledged.so_far())
            assert backup(tmp_path / "data", tmp_path / f"backup-{number}") == EXIT_SOUND
        stop.set()
        threads[-1].join()
        running.process.kill()
        for thread in threads:
            thread.join()
    assert len(answered[-1]) > RECORDS, "the load was none"
    for number in (0, BACKUPS - 1):
        with server(tmp_path / f"backup-{number}") as restored:
            found = read_back(restored.client())
            names = restored.client().list_streams()["StreamNames"]
        assert answered[number].items() <= found.items()
        assert len([name for name in names if name != STREAM]) <= 1, "of those that come and go, one at a time is there"
