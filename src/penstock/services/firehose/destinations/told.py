"""What destinations tell of entries that did not arrive: their error objects' members, and texts without secrets.

Rules of this file: pure; a text that the other side wrote is cut, and stands in one line.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from penstock.services.firehose.destinations.api import Again, Delivered, Mixed, Outcome, Parcel, Refused
from penstock.services.firehose.entries import NO_FACTS, Entry, Failure

TEXT_MAX_CHARS: Final = 2048  # ours; AWS says "truncated"
HIDDEN: Final = "***"
_SECRET_MIN_CHARS: Final = 4  # shorter ones would blank out half of a text, and guard nothing
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]+")

Facts = Callable[[Entry], Mapping[str, object]]


def no_facts(entry: Entry) -> Mapping[str, object]:
    """Nothing beyond what every error object has."""
    return NO_FACTS


def source_id(entry: Entry) -> str:
    """How error objects name a record: `<sequence number>.<n>`, or a direct put's id."""
    if entry.origin is None:
        return f"{entry.record_id}.0"
    return f"{entry.origin.sequence_number}.{entry.origin.subsequence_number}"


def failures(
    entries: Iterable[Entry], kind: str, code: str, message: str, attempts: int, facts: Facts = no_facts
) -> list[Failure]:
    """The same failure of several entries."""
    return [Failure(entry, kind, code, message, attempts, facts=facts(entry)) for entry in entries]


def given_up(kind: str, parcel: Parcel, again: Again, facts: Facts = no_facts) -> Sequence[Failure]:
    """Entries that were tried to the end: the last reason is the one that is told."""
    return failures(again.entries, kind, again.code, again.message, parcel.attempts + 1, facts)


def with_failures(outcome: Outcome, failed: Sequence[Failure]) -> Outcome:
    """An outcome of a parcel's other entries, and those that had failed before."""
    if not failed:
        return outcome
    match outcome:
        case Delivered():
            return Mixed(outcome, None, failed)
        case Again():
            return Mixed(Delivered(0, 0, 0), outcome, failed)
        case Refused():
            return Refused([*failed, *outcome.failures])
        case Mixed():
            return Mixed(outcome.delivered, outcome.again, [*failed, *outcome.failures])


def quoted(body: bytes, secrets: Iterable[str] = ()) -> str:
    """What the other side wrote, fit for a log: one line, cut, our secrets blanked out should they be echoed."""
    text = body[: 4 * TEXT_MAX_CHARS].decode("utf-8", "replace")
    return concealed(text, secrets)


def concealed(text: str, secrets: Iterable[str] = ()) -> str:
    """A text in one line, cut, without secrets."""
    for secret in secrets:
        if len(secret) >= _SECRET_MIN_CHARS:
            text = text.replace(secret, HIDDEN)
    return _CONTROLS.sub(" ", text)[:TEXT_MAX_CHARS].strip()


def is_header(text: str) -> bool:
    """Whether a text can be a header's value as it is."""
    return all(" " <= char <= "~" for char in text)
