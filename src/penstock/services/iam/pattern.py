"""Patterns: texts of policies with the wildcards `*` and `?` and with policy variables such as `${aws:username}`.

Theory.  A pattern is cut at its stars into pieces of fixed length; the first and the last are anchored, and those between are found from
left to right, so that a match costs at most the product of the two lengths, whoever wrote the pattern.  A variable is filled in when a
request is judged; what it stands for is compared letter by letter, never as a wildcard.
Rules of this file:
  1. Pure, and compiled once: a pattern without variables is ready to match when it has been made.
  2. A pattern whose variable has neither a value nor a default matches nothing.  Source: IAM user guide, variables with no value.
"""

import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, NamedTuple

Values = tuple[str, ...]  # of a condition key; empty where the request has none
Lookup = Callable[[str], Values]  # by the key's name in lower case

# Keys that may have several values in one request: no variables, and of use with set operators alone, even when there is one value.
MULTIVALUED: Final = frozenset(
    {
        *("aws:tagkeys", "aws:calledvia", "aws:principalservicenameslist"),
        *("aws:principalorgpaths", "aws:resourceorgpaths", "aws:sourceorgpaths"),
    }
)


class Wild(Enum):
    """The two wildcards."""

    STAR = "*"  # any text, also none
    ANY = "?"  # one character


class Variable(NamedTuple):
    """A policy variable."""

    key: str  # lower case
    default: str | None


Token = str | Wild | Variable  # a str is literal

_VARIABLE: Final = re.compile(r"\$\{(?:([*?$])|([^{},'\s]+)(?:\s*,\s*'([^']*)')?)\}")
_WILD: Final = {"*": Wild.STAR, "?": Wild.ANY}
_WILDCARDS: Final = re.compile(r"([*?])")


class _Piece(NamedTuple):
    """What stands between two stars: literal text, or a regular expression of the same length where it has a `?`."""

    text: str
    regex: re.Pattern[str] | None

    def find(self, text: str, start: int, end: int) -> int:
        """Where it is first found in text[start:end], or -1."""
        if self.regex is None:
            return text.find(self.text, start, end)
        match = self.regex.search(text, start, end)
        return match.start() if match is not None else -1

    def at(self, text: str, start: int) -> bool:
        """Whether it stands at `start`."""
        if self.regex is None:
            return text.startswith(self.text, start)
        return self.regex.match(text, start) is not None


class Glob:
    """Wildcards alone."""

    __slots__ = ("_least", "_pieces")

    def __init__(self, tokens: Iterable[str | Wild]) -> None:
        runs: list[list[str | Wild]] = [[]]
        for token in tokens:
            if token is Wild.STAR:
                runs.append([])
            else:
                runs[-1].append(token)
        pieces = [_piece(run) for run in runs]
        self._pieces = (pieces[0], *(piece for piece in pieces[1:-1] if piece.text), *pieces[1:][-1:])
        self._least = sum(len(piece.text) for piece in self._pieces)

    @property
    def exact(self) -> str | None:
        """The one text that it matches, if it has no wildcards."""
        return self._pieces[0].text if len(self._pieces) == 1 and self._pieces[0].regex is None else None

    def matches(self, text: str) -> bool:
        """Whether the whole text matches."""
        if len(text) < self._least:
            return False
        head, *others = self._pieces
        if not head.at(text, 0):
            return False
        if not others:
            return len(text) == self._least
        *middle, tail = others
        at, end = len(head.text), len(text) - len(tail.text)
        for piece in middle:
            found = piece.find(text, at, end)
            if found < 0:
                return False
            at = found + len(piece.text)
        return tail.at(text, end)


class Template:
    """A pattern with variables."""

    __slots__ = ("_fold", "_tokens", "widest")

    def __init__(self, tokens: tuple[Token, ...], fold: bool) -> None:
        self._tokens = tokens
        self._fold = fold
        self.widest = Glob(Wild.STAR if isinstance(token, Variable) else token for token in tokens)

    def fill(self, lookup: Lookup) -> list[str | Wild] | None:
        """The tokens with each variable's value in its place; None if one has none."""
        filled: list[str | Wild] = []
        for token in self._tokens:
            if not isinstance(token, Variable):
                filled.append(token)
                continue
            values = lookup(token.key)
            if len(values) == 1 and token.key not in MULTIVALUED:
                filled.append(values[0].lower() if self._fold else values[0])
            elif token.default is not None and not values:
                filled.append(token.default)
            else:
                return None
        return filled

    def matches(self, text: str, lookup: Lookup) -> bool:
        """Whether the whole text matches, for this request."""
        filled = self.fill(lookup)
        return filled is not None and Glob(filled).matches(text)


class PatternSet:
    """Several patterns: a text matches if it matches one of them."""

    __slots__ = ("_exact", "_fold", "_globs", "_templates", "everything")

    def __init__(self, texts: Iterable[str], *, variables: bool = False, wild: bool = True, fold: bool = False) -> None:
        """`variables`: `${...}` is read; `wild`: `*` and `?` are wildcards; `fold`: letters match in either case."""
        exact, globs, templates = set(), [], []
        for text in texts:
            tokens = read_tokens(text.lower() if fold else text, variables=variables, wild=wild)
            if any(isinstance(token, Variable) for token in tokens):
                templates.append(Template(tokens, fold))
                continue
            glob = Glob(token for token in tokens if not isinstance(token, Variable))
            if glob.exact is not None:
                exact.add(glob.exact)
            else:
                globs.append(glob)
        self._exact, self._globs, self._templates = frozenset(exact), tuple(globs), tuple(templates)
        self._fold = fold
        self.everything = any(glob.matches("") for glob in globs)  # only stars match the empty text

    def matches(self, text: str, lookup: Lookup) -> bool:
        """Whether the whole text matches one."""
        if self.everything:
            return True
        if self._fold:
            text = text.lower()
        if text in self._exact:
            return True
        for glob in self._globs:
            if glob.matches(text):
                return True
        return any(template.matches(text, lookup) for template in self._templates) if self._templates else False

    def doubts(self, text: str, lookup: Lookup) -> bool:
        """Whether one has a variable without a value, and would match if that were any text."""
        return any(template.fill(lookup) is None and template.widest.matches(text) for template in self._templates)


def read_tokens(text: str, *, variables: bool, wild: bool) -> tuple[Token, ...]:
    """Cut a text into literals, wildcards and variables.  What only looks like a variable is literal."""
    tokens: list[Token] = []
    at = 0
    if variables:
        for match in _VARIABLE.finditer(text):
            tokens += _literals(text[at : match.start()], wild)
            escaped, key, default = match.groups()
            tokens.append(escaped if escaped is not None else Variable(key.lower(), default))
            at = match.end()
    tokens += _literals(text[at:], wild)
    return tuple(tokens)


def _literals(text: str, wild: bool) -> list[Token]:
    if not wild:
        return [text] if text else []
    return [_WILD.get(part, part) for part in _WILDCARDS.split(text) if part]


def _piece(tokens: list[str | Wild]) -> _Piece:
    text = "".join(token.value if isinstance(token, Wild) else token for token in tokens)
    if Wild.ANY not in tokens:
        return _Piece(text, None)
    source = "".join("." if isinstance(token, Wild) else re.escape(token) for token in tokens)
    return _Piece(text, re.compile(source, re.DOTALL))
