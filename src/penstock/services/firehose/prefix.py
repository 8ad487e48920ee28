"""Prefixes of S3 objects: texts with expressions, read once and evaluated for each object.

Theory.  A prefix is literal text and expressions `!{namespace:value}`.  All expressions of time in a prefix, and the date that is appended
where there is none, tell the same instant: the arrival of the oldest record of the object, in the delivery stream's time zone.
Rules of this file:
  1. Pure.
  2. What AWS refuses is refused when a prefix is read (BadPrefix, its text without a subject), not when it is evaluated.
  3. An evaluated prefix is at most EVALUATED_PREFIX_MAX_CHARS long; whoever evaluates is told (TooLong).
Source: developer guide, "Understand custom prefixes for Amazon S3 objects".
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Final, NamedTuple

from penstock.core.limits import EVALUATED_PREFIX_MAX_CHARS
from penstock.services.firehose.entries import NO_KEYS
from penstock.services.firehose.javatime import BadPattern, Piece, compile_pattern

RANDOM_CHARS: Final = 11  # of a random string
QUERY: Final = "partitionKeyFromQuery"
LAMBDA: Final = "partitionKeyFromLambda"
_DATE: Final = "yyyy/MM/dd/HH/"  # what is appended
_EXPRESSION: Final = re.compile(r"!\{([^}]*)\}")
_KEY: Final = re.compile(r"[A-Za-z0-9_.\-]+")  # UNVERIFIED: which names of partition keys are taken


class BadPrefix(ValueError):
    """A prefix that AWS refuses; the text says why."""


class TooLong(ValueError):
    """An evaluated prefix that is longer than it may be."""


class Values(NamedTuple):
    """What a prefix is evaluated with."""

    at: datetime  # in the time zone that it is told in
    random: Callable[[], str]  # a new random string at each call
    failure: str = ""  # the error-output-type
    keys: Mapping[str, str] = NO_KEYS  # of partitions, by "partitionKeyFromQuery:name"


class _Part(NamedTuple):
    """Literal text, or an expression."""

    namespace: str  # "" for text
    value: str
    time: Piece | None = None


class Prefix:
    """A prefix that was read."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts
        self.partition_keys = tuple(  # that it asks for, in their order, each once
            dict.fromkeys(f"{part.namespace}:{part.value}" for part in parts if part.namespace in (QUERY, LAMBDA))
        )
        self.has_expressions = any(part.namespace for part in parts)
        self.tells_failure = any(part[:2] == ("firehose", "error-output-type") for part in parts)
        self._date = None if any(part.time for part in parts) else compile_pattern(_DATE)

    def evaluate(self, values: Values) -> str:
        """The prefix of one object.  Raises TooLong."""
        text = "".join(self._pieces(values))
        if len(text) > EVALUATED_PREFIX_MAX_CHARS:
            raise TooLong(f"the evaluated prefix has {len(text)} characters, more than {EVALUATED_PREFIX_MAX_CHARS}")
        return text

    def _pieces(self, values: Values) -> Iterator[str]:
        for namespace, value, time in self._parts:
            match namespace:
                case "":
                    yield value
                case "timestamp":
                    assert time is not None
                    yield time(values.at)
                case "firehose":
                    yield values.failure if value == "error-output-type" else values.random()
                case _:
                    yield values.keys[f"{namespace}:{value}"]
        if self._date is not None:
            # UNVERIFIED: that it is appended also where there are expressions, but none of time
            yield self._date(values.at)


def read_prefix(text: str) -> Prefix:
    """Read Prefix.  Raises BadPrefix."""
    prefix = Prefix(list(_read(text)))
    if prefix.tells_failure:
        raise BadPrefix("cannot contain !{firehose:error-output-type}")
    return prefix


def read_error_prefix(text: str) -> Prefix:
    """Read ErrorOutputPrefix.  Raises BadPrefix."""
    prefix = Prefix(list(_read(text)))
    if prefix.partition_keys:
        raise BadPrefix("cannot contain expressions of partition keys")
    if prefix.has_expressions and not prefix.tells_failure:
        raise BadPrefix("has expressions and must therefore contain !{firehose:error-output-type}")
    return prefix


def default_error_prefix(prefix: str) -> Prefix:
    """The prefix of error objects where none is given: that of objects, and the failure's name below it."""
    failure = (_Part("firehose", "error-output-type"), _Part("", "/"))
    return Prefix([*((_Part("", prefix),) if prefix else ()), *failure])


def _read(text: str) -> Iterator[_Part]:
    at = 0
    for match in _EXPRESSION.finditer(text):
        yield from _literal(text[at : match.start()])
        yield _expression(match[1])
        at = match.end()
    yield from _literal(text[at:])


def _literal(text: str) -> Iterator[_Part]:
    if "!{" in text:
        raise BadPrefix("has an expression that is not closed")
    if text:
        yield _Part("", text)


def _expression(text: str) -> _Part:
    namespace, colon, value = text.partition(":")
    if not colon or not value:
        raise BadPrefix(f"has the expression !{{{text}}}, which is none of the form !{{namespace:value}}")
    match namespace:
        case "timestamp":
            try:
                return _Part(namespace, value, compile_pattern(value))
            except BadPattern as problem:
                raise BadPrefix(f"has the expression !{{{text}}}: {problem}") from None
        case "firehose" if value in ("random-string", "error-output-type"):
            return _Part(namespace, value)
        case "partitionKeyFromQuery" | "partitionKeyFromLambda" if _KEY.fullmatch(value):
            return _Part(namespace, value)
    raise BadPrefix(f"has the expression !{{{text}}}, whose namespace or value is unknown")


def in_zone(at_ms: int, zone: tzinfo) -> datetime:
    """A moment in a time zone."""
    return datetime.fromtimestamp(at_ms // 1000, zone).replace(microsecond=at_ms % 1000 * 1000)
