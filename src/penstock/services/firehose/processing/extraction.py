"""Metadata extraction: keys of partitions, and tables of Iceberg, by a query of jq over each record.

Theory.  A query makes an object of the record.  Simple queries are answered here (simplequery.py); the rest by jq, in a process that may be
killed, because a query is a program of the user's: it may never end, or want all memory.
Source: Firehose developer guide, "Understand partitioning keys"; codes and texts that are quoted by users of dynamic partitioning.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from penstock.core.ports import Clock, Queries, QueryResults
from penstock.core.processing_errors import ProcessingError
from penstock.services.firehose.entries import Entry, Failure
from penstock.services.firehose.processing.api import Processed
from penstock.services.firehose.processing.measures import Measures
from penstock.services.firehose.processing.routing import BadRoute, keys_of, route_of
from penstock.services.firehose.processing.simplequery import compile_simple

CODE: Final = "DynamicPartitioning.MetadataExtractionFailed"
NO_JSON: Final = "Non JSON record provided"
NO_UTF8: Final = "Non UTF-8 record provided. Please provide only UTF-8 encoded data records."  # UNVERIFIED: wording
GROUP_CHARS: Final = 4 << 20  # of records that jq is asked about at once
TOO_SLOW: Final = "The query took too long, or too much memory."  # ours


class Extraction:
    """Finds the keys of records."""

    def __init__(self, query: str, queries: Queries, clock: Clock, measures: Measures) -> None:
        self._query = query
        self._simple = compile_simple(query)
        self._queries = queries
        self._clock = clock
        self._measures = measures

    async def process(self, entries: Sequence[Entry]) -> Processed:
        """Find the keys of a batch."""
        began_ms = self._clock.now_ms()
        simple = self._simple
        found = [simple(entry.data) if simple else None for entry in entries]
        rest = iter(await self._asked([entry for entry, keys in zip(entries, found, strict=True) if keys is None]))
        answers = [next(rest) if keys is None else keys for keys in found]
        self._measures.add("JQProcessing.Duration", max(0, self._clock.now_ms() - began_ms))
        return _sorted(entries, answers)

    async def check(self) -> None:
        """Raise QUERY or NOT_INSTALLED unless the query can be run."""
        try:
            problem = await self._queries.check(self._query)
        except ImportError:
            raise ProcessingError.NOT_INSTALLED(what="MetadataExtraction") from None
        if problem is not None:
            raise ProcessingError.QUERY(problem=problem)

    async def _asked(self, entries: Sequence[Entry]) -> list[dict[str, str] | str]:
        """What jq says of records: keys, or why there are none."""
        texts = [_text(entry.data) for entry in entries]
        answers: list[dict[str, str] | str] = []
        for group in _groups([text for text in texts if text is not None]):
            answers += map(_keys, await self._queries.run(self._query, group))
        rest = iter(answers)
        return [NO_UTF8 if text is None else next(rest) for text in texts]


def _groups(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts in groups of about GROUP_CHARS."""
    group: list[str] = []
    size = 0
    for text in texts:
        if group and size + len(text) > GROUP_CHARS:
            yield group
            group, size = [], 0
        group.append(text)
        size += len(text)
    if group:
        yield group


def _sorted(entries: Sequence[Entry], answers: Sequence[dict[str, str] | str]) -> Processed:
    kept: list[Entry] = []
    failed: list[Failure] = []
    for entry, answer in zip(entries, answers, strict=True):
        if isinstance(answer, str):
            failed.append(Failure(entry, "processing-failed", CODE, answer))
            continue
        try:
            route = route_of(answer) or entry.route
        except BadRoute as problem:
            failed.append(Failure(entry, "processing-failed", CODE, str(problem)))
            continue
        kept.append(msgspec.structs.replace(entry, partition_keys=answer, route=route))
    return Processed(kept, failed, 0)


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _keys(results: QueryResults | None) -> dict[str, str] | str:
    if results is None:
        return TOO_SLOW
    if results.problem is not None:
        return NO_JSON if results.problem.startswith("parse error") else results.problem
    if len(results.texts) != 1:
        return NO_JSON  # several documents, or none
    try:
        return keys_of(_decode(results.texts[0]))
    except BadRoute as problem:
        return str(problem)


def _decode(text: str) -> object:
    """A result's value; its numbers stay as they are written."""
    try:
        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:
        return None  # no object
    return {name: _scalar(bytes(raw)) for name, raw in members.items()}


def _scalar(raw: bytes) -> object:
    first = raw[:1]
    return raw.decode() if first.isdigit() or first == b"-" else msgspec.json.decode(raw)
