"""Simple queries: an object of paths, `{customer: .customer_id, kind: .type.name}`, answered without jq.

Theory.  Most queries only pick members.  For those, reading the record once and looking its members up is several times as fast as jq,
and needs no process.  This module only ever says what jq would say: for whatever it is not certain of, it answers None, and jq is asked.
Rules of this file: pure; a property test holds each answer against jq's.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_TEXT: Final = r'"[^"\\\x00-\x1f]*"'
_STEP: Final = rf"\.\s*{_NAME}|\.?\s*\[\s*{_TEXT}\s*\]|\.\s*{_TEXT}"
_MEMBER = re.compile(
    rf"\s*({_NAME}|{_TEXT})\s*:\s*(\.{_NAME}(?:{_STEP})*|\.\s*{_TEXT}(?:{_STEP})*|\.\[\s*{_TEXT}\s*\](?:{_STEP})*)\s*([,}}])"
)
_STEPS = re.compile(rf"({_NAME})|({_TEXT})")
_KEYWORDS: Final = frozenset(  # of jq: as names of members they are read differently from version to version
    {
        *("and", "as", "catch", "def", "elif", "else", "end", "foreach", "if", "import", "include", "label", "module"),
        *("or", "reduce", "then", "try", "__loc__"),
    }
)
EXACT_MAX: Final = 2**53 - 1  # a larger number may not be what it looks like, since jq's numbers are doubles

Found = dict[str, str]
SimpleQuery = Callable[[bytes], Found | None]


def compile_simple(query: str) -> SimpleQuery | None:
    """A simple query, ready to be asked of records; None for a query that is not simple."""
    paths = _paths_of(query)
    if paths is None:
        return None
    decode = msgspec.json.Decoder().decode

    def ask(data: bytes) -> Found | None:
        try:
            record = decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        found: Found = {}
        for name, path in paths:
            value = record
            for step in path:
                if type(value) is not dict:
                    return None
                value = value.get(step)
            if type(value) is str and value:
                found[name] = value
            elif type(value) is int and -EXACT_MAX <= value <= EXACT_MAX:
                found[name] = str(value)
            else:
                return None
        return found

    return ask


def _paths_of(query: str) -> list[tuple[str, tuple[str, ...]]] | None:
    text = query.strip()
    if not text.startswith("{") or not text.endswith("}"):
        return None
    paths: list[tuple[str, tuple[str, ...]]] = []
    at = 1
    while True:
        match = _MEMBER.match(text, at)
        if match is None:
            return None
        name, path, mark = match.groups()
        steps = tuple(word or quoted[1:-1] for word, quoted in _STEPS.findall(path))
        if name in _KEYWORDS or not _KEYWORDS.isdisjoint(steps):
            return None
        paths.append((name.strip('"'), steps))
        at = match.end()
        if mark == "}":
            return paths if at == len(text) else None
