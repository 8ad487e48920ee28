"""A worker of a fleet, in a process of its own: tells each record that it has processed in a line of its file.

python consumer_worker.py ENDPOINT STORE FILE [FAN-OUT CONSUMER]
"""

import logging
import sys
from pathlib import Path

from penstock.consumer import Connection, Consumer, Pace, Record, Rhythm
from penstock.consumer.consumer import open_store

STREAM, APPLICATION = "orders", "billing"


def main(endpoint: str, where: str, path: str, fan_out: str | None = None) -> None:
    """Work until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s.%(msecs)03d %(message)s", datefmt="%H:%M:%S")
    connection = Connection(
        endpoint=endpoint, region="us-east-1", access_key_id="test", secret_access_key="test"
    )  # fmt: skip

    async def process(records: list[Record]) -> None:
        with Path(path).open("a") as told:  # noqa: ASYNC230  # what is told is on its way to the kernel before the checkpoint
            told.write("".join(f"{record.partition_key} {record.data.decode()}\n" for record in records))

    Consumer(
        stream=STREAM,
        application=APPLICATION,
        processor=process,
        connection=connection,
        store=open_store(where, APPLICATION, connection),
        rhythm=Rhythm(failover_ms=5_000),
        pace=Pace(idle_ms=50),
        fan_out=fan_out,
        checkpoint_every_ms=300,
    ).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
