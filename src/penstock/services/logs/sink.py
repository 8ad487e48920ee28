"""LogSink: where other services say what belongs into a log stream."""

from typing import Protocol


class LogSink(Protocol):
    """Takes log events from within the server."""

    def put(self, account: str, region: str, group: str, stream: str, at_ms: int, message: str) -> None:
        """Keep an event.  Group and stream are made where they are missing.

        It never waits and never raises: events are written a little later, and those that find no room until then push out the oldest.
        """
        ...
