"""The words of expressions: tokens, names and values that stand for others, paths.

Theory.  The expressions share their words; a parser reads tokens from left to right, and whatever it does not expect is a syntax error
there.  `#names` and `:values` are replaced while they are read, and noted, because one that is given and never used is refused.
Rules of this file:
  1. Pure; one pass over the text, each token looked at a bounded number of times.
  2. How deep an expression may nest is bounded (NESTING_MAX), whatever its text.
Source: DynamoDB developer guide, "Using expressions"; refusals as clients report them.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from penstock.core.errors import ServiceError
from penstock.core.lease_errors import LeaseError
from penstock.services.leases.paths import PATH_DEPTH_MAX, Path, Step
from penstock.services.leases.reserved import RESERVED
from penstock.services.leases.values import Value

EXPRESSION_MAX_BYTES: Final = 4096
NESTING_MAX: Final = 64  # ours: parentheses and functions within each other
INDEX_MAX_DIGITS: Final = 9  # ours: no list is as long

_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<alias>\#[A-Za-z0-9_]+)|(?P<value>:[A-Za-z0-9_]+)|(?P<number>[0-9]+)"
    r"|(?P<sign><>|<=|>=|[=<>(),.\[\]+-])|(?P<end>\Z)|(?P<other>.))",
    re.ASCII | re.DOTALL,
)
_ALIAS = re.compile(r"#[A-Za-z0-9_]+", re.ASCII)
_VALUE = re.compile(r":[A-Za-z0-9_]+", re.ASCII)
END_SHOWN: Final = "<EOF>"


class Token(NamedTuple):
    """One word of an expression."""

    kind: str  # name, alias, value, number, sign, end, other
    text: str
    start: int
    end: int


class Substitutions:
    """What `#names` and `:values` of a request's expressions stand for, and which were used."""

    def __init__(self, names: Mapping[str, str] | None, values: Mapping[str, Value] | None) -> None:
        self._names = names or {}
        self._values = values or {}
        self._unused_names = set(self._names)
        self._unused_values = set(self._values)
        _check_keys("ExpressionAttributeNames", names, _ALIAS)
        _check_keys("ExpressionAttributeValues", values, _VALUE)

    def name(self, kind: str, alias: str) -> str:
        """The name behind `#alias`.  Raises NAME_UNDEFINED."""
        if alias not in self._names:
            raise LeaseError.NAME_UNDEFINED(kind=kind, name=alias)
        self._unused_names.discard(alias)
        return self._names[alias]

    def value(self, kind: str, alias: str) -> Value:
        """The value behind `:alias`.  Raises VALUE_UNDEFINED."""
        if alias not in self._values:
            raise LeaseError.VALUE_UNDEFINED(kind=kind, name=alias)
        self._unused_values.discard(alias)
        return self._values[alias]

    def check_used(self) -> None:
        """Raise UNUSED for what no expression used."""
        for parameter, unused in (("Names", self._unused_names), ("Values", self._unused_values)):
            if unused:
                raise LeaseError.UNUSED(parameter=f"ExpressionAttribute{parameter}", keys=", ".join(sorted(unused)))


def _check_keys(parameter: str, given: Mapping[str, object] | None, form: re.Pattern[str]) -> None:
    if given is None:
        return
    if not given:
        raise LeaseError.SUBSTITUTIONS_EMPTY(parameter=parameter)
    for key in given:
        if not form.fullmatch(key):
            raise LeaseError.SUBSTITUTION_KEY(parameter=parameter, key=key[:100])


class Words:
    """The tokens of one expression, read one after the other."""

    def __init__(self, kind: str, text: str, substitutions: Substitutions) -> None:
        self.kind = kind  # "ConditionExpression", for refusals
        self.substitutions = substitutions
        self._text = text
        self._depth = 0
        size = len(text.encode())
        if size > EXPRESSION_MAX_BYTES:
            raise LeaseError.EXPRESSION_SIZE(kind=kind, size=size)
        if not text.strip():
            raise LeaseError.EXPRESSION_EMPTY(kind=kind)
        self._tokens = [
            Token(str(match.lastgroup), match[str(match.lastgroup)], match.start(str(match.lastgroup)), match.end())
            for match in _TOKEN.finditer(text)
        ]
        self.at = 0  # number of the token that is read next

    @property
    def next(self) -> Token:
        """The token that is read next; at the end it is the end."""
        return self._tokens[min(self.at, len(self._tokens) - 1)]

    def take(self) -> Token:
        """Read a token."""
        token = self.next
        self.at += 1
        return token

    def accept(self, sign: str) -> bool:
        """Read a sign if it comes next."""
        if self.next.kind == "sign" and self.next.text == sign:
            self.at += 1
            return True
        return False

    def accept_word(self, word: str) -> bool:
        """Read a keyword if it comes next, in whatever case."""
        if self.is_word(word):
            self.at += 1
            return True
        return False

    def is_word(self, word: str) -> bool:
        """Whether a keyword comes next."""
        return self.next.kind == "name" and self.next.text.upper() == word

    def is_call(self) -> bool:
        """Whether a function comes next: a name, then a parenthesis."""
        after = self._tokens[min(self.at + 1, len(self._tokens) - 1)]
        return self.next.kind == "name" and after.text == "(" and after.kind == "sign"

    def expect(self, sign: str) -> None:
        """Read a sign.  Raises SYNTAX for anything else."""
        if not self.accept(sign):
            raise self.unexpected()

    def expect_end(self) -> None:
        """Raise SYNTAX unless everything was read."""
        if self.next.kind != "end":
            raise self.unexpected()

    def unexpected(self) -> ServiceError:
        """The refusal of the token that comes next, shown among its neighbours."""
        place = min(self.at, len(self._tokens) - 1)
        token = self._tokens[place]
        first, last = self._tokens[max(0, place - 1)], self._tokens[min(place + 1, len(self._tokens) - 1)]
        near = self._text[first.start : last.end].strip()
        return LeaseError.SYNTAX(kind=self.kind, token=token.text or END_SHOWN, near=near)

    def deeper(self) -> None:
        """Note that what follows stands within something.  Raises EXPRESSION_NESTING."""
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise LeaseError.EXPRESSION_NESTING(kind=self.kind, limit=NESTING_MAX)

    def higher(self) -> None:
        """The end of what `deeper` began."""
        self._depth -= 1

    def value(self) -> Value:
        """Read a `:value`.  Raises SYNTAX, VALUE_UNDEFINED."""
        if self.next.kind != "value":
            raise self.unexpected()
        return self.substitutions.value(self.kind, self.take().text)

    def path(self) -> Path:
        """Read a document path.  Raises SYNTAX, NAME_UNDEFINED, RESERVED_WORD, PATH_DEPTH."""
        steps: list[Step] = [self._path_name()]
        while True:
            if self.accept("."):
                steps.append(self._path_name())
            elif self.accept("["):
                if self.next.kind != "number" or len(self.next.text) > INDEX_MAX_DIGITS:
                    raise self.unexpected()
                steps.append(int(self.take().text))
                self.expect("]")
            else:
                break
        if len(steps) > PATH_DEPTH_MAX:
            raise LeaseError.PATH_DEPTH(kind=self.kind)
        return tuple(steps)

    def _path_name(self) -> str:
        match self.next.kind:
            case "alias":
                return self.substitutions.name(self.kind, self.take().text)
            case "name":
                if self.next.text.upper() in RESERVED:
                    raise LeaseError.RESERVED_WORD(kind=self.kind, word=self.next.text)
                return self.take().text
            case _:
                raise self.unexpected()


def parse_projection(text: str, substitutions: Substitutions) -> list[Path]:
    """The paths of a ProjectionExpression, not yet held against each other.  Raises what Words raises."""
    words = Words("ProjectionExpression", text, substitutions)
    paths = [words.path()]
    while words.accept(","):
        paths.append(words.path())
    words.expect_end()
    return paths
