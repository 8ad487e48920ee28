"""Filter patterns: which log events a text such as `ERROR -timeout`, `{ $.level = "error" }` or `[ip, user, status=5*]` means.

Theory.  The first character tells three languages apart.  Terms look for substrings: all of the plain ones, none of those after `-`, and
of those after `?` any.  `{...}` compares members of an event that is a JSON object.  `[...]` names the words of an event, and compares
them.  Each is compiled to a predicate of messages.
Rules of this file:
  1. Pure.  A pattern that cannot be read raises BadPattern; a message never raises.
  2. Neither time nor depth is anybody's to choose: regular expressions and wildcards are RE2's, parentheses nest DEPTH_MAX deep.
Source: CloudWatch Logs User Guide, filter pattern syntax.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import re2

DEPTH_MAX: Final = 50  # ours

Matches = Callable[[str], bool]
_Test = Callable[[Any], bool]  # of one value in a document, or of one word


class BadPattern(ValueError):
    """A filter pattern that cannot be read; its text says why."""


def compile_pattern(text: str) -> Matches:
    """The predicate that a pattern means; one without a term means every event.  Raises BadPattern."""
    text = text.strip()
    match text[:1]:
        case "{":
            return _document_pattern(text)
        case "[":
            return _word_pattern(text)
        case _:
            return _term_pattern(text)


# Terms

_TERM: Final = re.compile(
    r"""\s*(?P<mark>[-?]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|%(?P<regex>[^%]+)%|(?P<plain>[^\s"]+))(?=\s|\Z)"""
)


def _term_pattern(text: str) -> Matches:
    terms: dict[str, list[Matches]] = {"": [], "-": [], "?": []}
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise BadPattern(f"no term at {text[at : at + 40]!r}")
        terms[found["mark"]].append(_term(found))
        at = found.end()
    wanted, unwanted, optional = terms[""], terms["-"], terms["?"]
    if wanted or unwanted or not optional:  # UNVERIFIED: optional terms beside others count for nothing
        return lambda message: all(term(message) for term in wanted) and not any(term(message) for term in unwanted)
    return lambda message: any(term(message) for term in optional)


def _term(found: re.Match[str]) -> Matches:
    if found["regex"] is not None:
        return _searching(found["regex"])
    word = _unescaped(found["quoted"]) if found["quoted"] is not None else found["plain"]
    return lambda message: word in message


# Values and comparisons, of documents and of words

_NUMBER: Final = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?(?:[eE][-+]?\d{1,3})?", re.ASCII)
_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "=": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    "<": lambda value, wanted: value < wanted,
    ">": lambda value, wanted: value > wanted,
    "<=": lambda value, wanted: value <= wanted,
    ">=": lambda value, wanted: value >= wanted,
}


def _comparison(operator: str, value: str) -> _Test:
    """The test that an operator and a value's text mean."""
    text = _value_test(value)
    if _NUMBER.fullmatch(value):
        wanted, compare = float(value), _OPERATORS[operator]
        return lambda found: (number := _number(found)) is not None and compare(number, wanted)
    if operator == "=":
        return text
    if operator == "!=":
        return lambda found: not text(found)
    raise BadPattern(f"{operator} needs a number, and {value[:40]!r} is none")


def _value_test(value: str) -> _Test:
    """Whether something is the text that a value means, in which `*` stands for anything."""
    if len(value) > 1 and value[0] == value[-1] == "%":
        searched = _searching(value[1:-1])
        return lambda found: searched(_text(found))
    quoted = value.startswith('"')
    text = _unescaped(value[1:-1]) if quoted else value
    if "*" not in text:
        return lambda found: (found if quoted else _text(found)) == text
    wildcard = _regex("(?s)" + ".*".join(re2.escape(part) for part in text.split("*")))
    return lambda found: (not quoted or isinstance(found, str)) and wildcard.fullmatch(_text(found)) is not None


def _number(found: Any) -> float | None:
    if isinstance(found, str):
        return float(found) if _NUMBER.fullmatch(found) else None
    return None if isinstance(found, bool) or not isinstance(found, int | float) else _float(found)


def _float(number: float) -> float | None:
    try:
        return float(number)
    except OverflowError:
        return None


def _text(found: Any) -> str:
    """A value as it is written in the event."""
    match found:
        case str():
            return found
        case None | bool() | int() | float():
            return msgspec.json.encode(found).decode()
        case _:
            return ""


def _searching(regex: str) -> Matches:
    compiled = _regex(regex)
    return lambda message: compiled.search(message) is not None


def _regex(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error:
        raise BadPattern(f"no regular expression: {text[:40]!r}") from None


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


# Conditions: what both structured languages combine their comparisons with

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<join>&&|\|\|)|(?P<mark>[()])|(?P<operator>!=|<=|>=|=|<|>)"""
    r"""|(?P<value>"(?:[^"\\]|\\.)*"|%[^%]+%|(?:\[[^\]]*\]|[^\s()=<>!&|"\[\]])+))"""
)
_Condition = Callable[[Callable[[str], list[Any]]], bool]  # of the values that a name has


class _Reader:
    """Reads conditions: comparisons joined by && and ||, the first of which binds closer, and parentheses."""

    def __init__(self, text: str) -> None:
        self.names: set[str] = set()  # that were compared
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    def read(self) -> _Condition:
        """The condition that all of the text means."""
        condition = self._any()
        if self._at < len(self._tokens):
            raise BadPattern(f"unexpected {self._tokens[self._at][1][:40]!r}")
        return condition

    def _any(self) -> _Condition:
        return _joined(any, self._series("||", self._all))

    def _all(self) -> _Condition:
        return _joined(all, self._series("&&", self._one))

    def _series(self, join: str, read: Callable[[], _Condition]) -> list[_Condition]:
        found = [read()]
        while self._take("join", join):
            found.append(read())
        return found

    def _one(self) -> _Condition:
        if self._take("mark", "("):
            self._depth += 1
            if self._depth > DEPTH_MAX:
                raise BadPattern(f"parentheses nest more than {DEPTH_MAX} deep")
            condition = self._any()
            self._need("mark", ")")
            self._depth -= 1
            return condition
        name = self._need("value")
        if name.startswith(('"', "%")):
            raise BadPattern(f"a name is needed instead of {name[:40]!r}")
        self.names.add(name)
        if self._kind() == "operator":
            test = _comparison(self._need("operator"), self._need("value"))
            return lambda values: any(test(found) for found in values(name))
        return self._worded(name)

    def _worded(self, name: str) -> _Condition:
        """`name IS NULL` and the like."""
        first = self._need("value").upper()
        second = self._need("value").upper()
        if (first, second) == ("NOT", "EXISTS"):
            return lambda values: not values(name)
        if first != "IS" or second not in _CONSTANTS:
            raise BadPattern(f"an operator is needed instead of {first[:40]!r}")
        wanted = _CONSTANTS[second]
        return lambda values: any(found is wanted for found in values(name))

    def _kind(self) -> str | None:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else None

    def _take(self, kind: str, text: str) -> bool:
        taken = self._at < len(self._tokens) and self._tokens[self._at] == (kind, text)
        self._at += taken
        return taken

    def _need(self, kind: str, text: str | None = None) -> str:
        if self._kind() != kind or text not in (None, self._tokens[self._at][1]):
            raise BadPattern(f"{text or 'a ' + kind} is missing")
        self._at += 1
        return self._tokens[self._at - 1][1]


_CONSTANTS: Final = {"TRUE": True, "FALSE": False, "NULL": None}


def _joined(how: Callable[[Iterator[bool]], bool], parts: list[_Condition]) -> _Condition:
    return parts[0] if len(parts) == 1 else lambda values: how(part(values) for part in parts)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at, text = 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise BadPattern(f"nothing can be read at {text[at : at + 40]!r}")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


# JSON

_STEP: Final = re.compile(
    r"""\.(?P<name>[^.\[\]'"\s]+)|\.?\[(?:(?P<index>\d{1,9})|(?P<each>\*)|'(?P<quoted>[^']*)')\]""", re.ASCII
)
_Step = str | int | None  # a member, an item, or each of them


def _document_pattern(text: str) -> Matches:
    if not text.endswith("}"):
        raise BadPattern("} is missing")
    reader = _Reader(text[1:-1])
    condition = reader.read()
    steps = {name: _steps(name) for name in reader.names}

    def matches(message: str) -> bool:
        try:
            document = msgspec.json.decode(message)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return False
        return isinstance(document, dict) and condition(lambda name: _selected(document, steps[name]))

    return matches


def _steps(selector: str) -> list[_Step]:
    """The steps of a selector such as `$.a[0].b`."""
    if not selector.startswith("$"):
        raise BadPattern(f"a selector begins with $, not as {selector[:40]!r}")
    steps: list[_Step] = []
    at = 1
    while at < len(selector):
        found = _STEP.match(selector, at)
        if found is None:
            raise BadPattern(f"no selector: {selector[:40]!r}")
        if found["index"] is not None:
            steps.append(int(found["index"]))
        else:
            name = found["quoted"] if found["quoted"] is not None else found["name"]
            steps.append(None if found["each"] is not None or name == "*" else name)
        at = found.end()
    return steps


def _selected(document: Any, steps: list[_Step]) -> list[Any]:
    """The values that steps lead to."""
    found = [document]
    for step in steps:
        found = [below for value in found for below in _below(value, step)]
    return found


def _below(value: Any, step: _Step) -> list[Any]:
    match step, value:
        case None, dict():
            return list(value.values())
        case None, list():
            return value
        case str(), dict():
            return [value[step]] if step in value else []
        case int(), list():
            return [value[step]] if step < len(value) else []
        case _:
            return []


# Words

_WORD: Final = re.compile(r"""\[([^\]]*)\]|"([^"]*)"|(\S+)""")
_FIELD: Final = re.compile(r"""((?:"(?:[^"\\]|\\.)*"|%[^%]+%|[^,"])*)(?:,|\Z)""")
_NAME: Final = re.compile(r"[^\s()=<>!&|\"\[\]%]*")
_REST: Final = "..."


def _word_pattern(text: str) -> Matches:
    if not text.endswith("]"):
        raise BadPattern("] is missing")
    fields = _FIELD.findall(text[1:-1])[:-1]
    if ",".join(fields) != text[1:-1].removesuffix(","):
        raise BadPattern("a quotation mark is missing")
    names = [field.strip() for field in fields] or [""]
    rests = [place for place, name in enumerate(names) if name == _REST]
    if len(rests) > 1:  # UNVERIFIED: that there may be one only
        raise BadPattern("... stands twice")
    tests = [_word_condition(name) for name in names if name != _REST]
    before = rests[0] if rests else len(tests)

    def matches(message: str) -> bool:
        words = ["".join(found) for found in _WORD.findall(message)]
        if len(words) != len(tests) and (not rests or len(words) < len(tests)):
            return False
        compared = words[:before] + words[len(words) - len(tests) + before :]
        return all(test(word) for test, word in zip(tests, compared, strict=True))

    return matches


def _word_condition(field: str) -> _Test:
    """The test of one word: none where there is only a name for it."""
    if _NAME.fullmatch(field):
        return lambda _: True
    reader = _Reader(field)
    condition = reader.read()
    if len(reader.names) != 1:
        raise BadPattern(f"one word has one name: {field[:40]!r}")
    return lambda word: condition(lambda _: [word])
