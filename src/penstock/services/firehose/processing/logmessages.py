"""Messages of CloudWatch Logs: what a subscription sends, reduced to what was logged.

Theory.  A subscription's record is one JSON document with the log events of a group, or a control message that tests whether somebody takes
it.  Of the first the messages are kept, a line each; of the second nothing, and its record goes on empty.
Source: Firehose developer guide, "Message extraction of CloudWatch Logs"; that a control message arrives as an empty record was recorded
by users whose format conversion refuses it.
UNVERIFIED: that the last message, too, ends with a line's end.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from penstock.core.ports import Threads
from penstock.services.firehose.entries import Entry, Failure
from penstock.services.firehose.processing.api import Processed


class _LogEvent(msgspec.Struct):
    message: str


class _Message(msgspec.Struct, rename="camel"):
    message_type: Literal["DATA_MESSAGE", "CONTROL_MESSAGE"]
    log_events: list[_LogEvent] = []


_DECODER: Final = msgspec.json.Decoder(_Message)


class LogMessages:
    """Keeps the messages of log events."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def process(self, entries: Sequence[Entry]) -> Processed:
        """Reduce a batch, beside the loop."""
        return await self._threads.run(lambda: _reduced(entries))


def _reduced(entries: Sequence[Entry]) -> Processed:
    kept: list[Entry] = []
    failed: list[Failure] = []
    for entry in entries:
        try:
            message = _DECODER.decode(entry.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            text = "The record is no message of CloudWatch Logs."  # UNVERIFIED: code and wording
            failed.append(Failure(entry, "processing-failed", "CloudWatchLogProcessing.Failed", text))
            continue
        events = message.log_events if message.message_type == "DATA_MESSAGE" else []
        kept.append(msgspec.structs.replace(entry, data="".join(f"{one.message}\n" for one in events).encode()))
    return Processed(kept, failed, 0)
