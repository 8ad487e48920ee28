"""kill -9 while messages and log events are sent: what was acknowledged is there again, in its order, and whole."""

import threading
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from served import Server, server

ROUNDS = 2
STREAM = {"logGroupName": "app", "logStreamName": "s"}
SIZE = 3000  # of an event: some twenty fill a chunk


def client(service: str, running: Server) -> Any:
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=60, read_timeout=60)
    session: Any = boto3.Session("test", "test", region_name="us-east-1")
    return session.client(service, endpoint_url=running.url, config=config)


class Sender:
    """Sends messages and log events, numbered on, until the server is gone; knows what became of them."""

    def __init__(self) -> None:
        self.number = 0
        self.sent: set[str] = set()  # messages that were acknowledged
        self.said: set[int] = set()  # events that were
        self.going: set[str] = set()  # messages that may have been deleted
        self.gone: set[str] = set()  # those whose deletion was acknowledged

    def run(self, running: Server, enough: threading.Event) -> None:
        sqs, logs = client("sqs", running), client("logs", running)
        url = sqs.create_queue(QueueName="jobs", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
        try:
            for turn in range(10_000):
                self.number += 1
                sqs.send_message(QueueUrl=url, MessageBody=str(self.number))
                self.sent.add(str(self.number))
                now_ms = int(time.time() * 1000)  # noqa: TID251 - the server's own time
                event = {"timestamp": now_ms, "message": str(self.number).ljust(SIZE)}
                logs.put_log_events(**STREAM, logEvents=[event])
                self.said.add(self.number)
                if turn % 5 == 4:
                    self._take(sqs, url)
                if turn == 30:
                    enough.set()
        except (BotoCoreError, ClientError):
            return

    def _take(self, sqs: Any, url: str) -> None:
        [message] = sqs.receive_message(QueueUrl=url)["Messages"]
        self.going.add(message["Body"])
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        self.gone.add(message["Body"])


def messages(running: Server) -> list[str]:
    sqs = client("sqs", running)
    url = sqs.get_queue_url(QueueName="jobs")["QueueUrl"]
    found: list[str] = []
    while page := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=60).get("Messages"):
        found += [message["Body"] for message in page]
        handles = [
            {"Id": message["MessageId"], "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 60}
            for message in page
        ]
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=handles)
    return found


def events(running: Server) -> list[int]:
    pages = client("logs", running).get_paginator("filter_log_events").paginate(logGroupName="app")
    return [int(event["message"]) for page in pages for event in page["events"]]


def test_messages_and_events_when_the_server_is_killed_then_those_acknowledged_are_there(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    sender = Sender()
    for number in range(ROUNDS):
        with server(directory) as running:
            if not number:
                logs = client("logs", running)
                logs.create_log_group(logGroupName="app")
                logs.create_log_stream(**STREAM)
            enough = threading.Event()
            thread = threading.Thread(target=sender.run, args=(running, enough))
            thread.start()
            assert enough.wait(120)
            running.process.kill()
            running.process.wait()
            thread.join()
    with server(directory) as running:
        found = messages(running)
        assert len(found) == len(set(found))
        assert sender.sent - sender.going <= set(found)
        assert not sender.gone & set(found)
        said = events(running)
        assert sender.said <= set(said)
        assert said == sorted(set(said))
