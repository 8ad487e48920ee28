"""Stories: transcripts of a client's calls with the answers beneath, which a test plays again and newcomers read.

Theory.  A story is a text file.  A line that begins with `> ` is a call, `#` and blank lines are prose, and whatever else stands beneath a
call is its answer as it was recorded.  Playing a story makes every call again and writes the file anew; the test compares the two.
What differs from run to run is written as what it means: `<shard 0 #2>` is the second record's sequence number, `T+5s` a moment.

    > create_stream StreamName=orders ShardCount=1
    > i = get_shard_iterator StreamName=orders ShardId=shardId-000000000000 ShardIteratorType=LATEST
    > get_records ShardIterator=$i.ShardIterator
    > advance minutes=5
    > s = subscribe ConsumerARN=$c.Consumer.ConsumerARN ShardId=shardId-000000000000 StartingPosition='{"Type":"LATEST"}'
    > event s

`event` waits for the next event of a subscription; `end` for its end.
"""

import json
import re
import shlex
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from penstock.services.streams import sequence
from penstock.testing import PenstockServer

OPAQUE: Final = {
    "ShardIterator": "<iterator>",
    "NextShardIterator": "<iterator>",
    "NextToken": "<token>",
    "StreamId": "<stream id>",
}
NUMBERS: Final = ("SequenceNumber", "ContinuationSequenceNumber", "StartingSequenceNumber", "EndingSequenceNumber")


def play(text: str) -> str:
    """Play a story on a server of its own; answer it with the answers that it gets now."""
    with PenstockServer() as server:
        teller = Teller(server)
        lines = []
        for line in text.splitlines():
            if line.startswith("> "):
                lines += [line, *(f"  {row}" for row in teller.call(line.removeprefix("> ")))]
            elif not line.startswith("  "):
                lines.append(line)
        teller.close()
        return "\n".join(lines) + "\n"


class Teller:
    """Makes the calls of one story, one after the other."""

    def __init__(self, server: PenstockServer) -> None:
        self._server = server
        config = Config(retries={"total_max_attempts": 1}, parameter_validation=False, read_timeout=30)
        self._client: Any = server.client("kinesis", config=config)
        self._named: dict[str, Any] = {}
        self._began = server.clock.now_ms

    def close(self) -> None:
        """End what subscriptions are left."""
        for value in self._named.values():
            if isinstance(value, Subscription):
                value.close()

    def call(self, line: str) -> list[str]:
        """Make a call; the lines of its answer."""
        words = shlex.split(line, posix=True)
        name = ""
        if len(words) > 2 and words[1] == "=":
            name, words = words[0], words[2:]
        verb, arguments = words[0], dict(word.split("=", 1) for word in words[1:] if "=" in word)
        values = {key: self._value(verb, key, text) for key, text in arguments.items()}
        try:
            answer = self._carry_out(verb, words[1:], values)
        except (ClientError, EventStreamError) as error:
            told = error.response["Error"]
            return [f"! {told['Code']}: {self._stable_text(told['Message'])}"]
        if name:
            self._named[name] = answer
        return [] if isinstance(answer, Subscription) else list(self._lines(answer))

    def _carry_out(self, verb: str, words: list[str], values: dict[str, Any]) -> Any:
        match verb:
            case "advance":
                self._server.clock.advance(**values)
                return None
            case "subscribe":
                return Subscription(self._client.subscribe_to_shard(**values))
            case "event":
                return self._named[words[0]].next()
            case "end":
                return self._named[words[0]].end()
        answer = getattr(self._client, verb)(**values)
        answer.pop("ResponseMetadata")
        return answer

    def _value(self, verb: str, key: str, text: str) -> Any:
        if text.startswith("$"):
            name, *path = text[1:].split(".")
            found = self._named[name]
            for step in path:
                found = found[int(step)] if step.isdecimal() else found[step]
            return found
        if verb == "advance":
            return float(text)
        operation = "SubscribeToShard" if verb == "subscribe" else self._client.meta.method_to_api_mapping[verb]
        kind = self._client.meta.service_model.operation_model(operation).input_shape.members[key].type_name
        return text if kind in ("string", "blob") else json.loads(text)

    def _lines(self, value: Any, indent: str = "") -> Iterator[str]:
        """An answer, a line a member."""
        if isinstance(value, dict):
            for key, member in value.items():
                if isinstance(member, dict | list) and member:
                    yield f"{indent}{key}:"
                    yield from self._lines(member, indent + "  ")
                else:
                    yield f"{indent}{key}: {self._scalar(key, member)}"
        elif isinstance(value, list):
            for member in value:
                first, *rest = self._lines(member, indent + "  ")
                yield f"{indent}- {first.lstrip()}"
                yield from rest
        elif value is not None:
            yield f"{indent}{self._scalar('', value)}"

    def _scalar(self, key: str, value: Any) -> str:
        if key in OPAQUE:
            return OPAQUE[key]
        if key in NUMBERS:
            return _number(value)
        if isinstance(value, datetime):
            return f"T+{_coarse(value.timestamp() * 1000 - self._began)}"
        if key == "MillisBehindLatest":
            return f"about {_coarse(value)}" if value else "0"
        if isinstance(value, bytes):
            return repr(value.decode())
        if isinstance(value, str) and value.isdecimal() and len(value) > 12:  # a hash key
            return f"{int(value) / 2**128:.4f} of the hash keys"
        return self._stable_text(str(value))

    def _stable_text(self, text: str) -> str:
        return re.sub(r"(/consumer/[\w.-]+):\d+", r"\1:<created>", text)


class Subscription:
    """A subscription that is under way."""

    def __init__(self, answer: Any) -> None:
        self._stream = answer["EventStream"]
        self._events = iter(self._stream)

    def next(self) -> Any:
        """The next event."""
        return next(self._events)

    def end(self) -> str:
        """Nothing more comes but heartbeats."""
        left = [event for event in self._events if event["SubscribeToShardEvent"]["Records"]]
        assert not left, left
        return "the stream ends"

    def close(self) -> None:
        """Go away."""
        self._stream.close()


def _coarse(ms: float) -> str:
    """A time in steps of 5 seconds, since the server's clock runs on while a story is played."""
    return f"{int(ms // 5000) * 5}s"


def _number(text: str) -> str:
    decoded = sequence.decode(text)
    assert decoded is not None
    place = {0: "start", sequence.INDEX_MAX: "end"}.get(decoded.index_in_shard, f"#{decoded.index_in_shard}")
    return f"<shard {decoded.shard_no} {place}>"
