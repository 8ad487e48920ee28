"""Conditions: the operators of a policy's Condition block.

Theory.  A block is a conjunction of tests, one for each operator and key.  A test has one key, several values of the policy (any may
match), and says how several values of the request are treated.  Each operator is one row of a table: how a policy's value is compiled
into a predicate, and whether the answer is turned round.
Rules of this file:
  1. Pure; compiled once.
  2. A key that the request lacks passes `...IfExists` and `ForAllValues:`, fails `ForAnyValue:`, and elsewhere passes the negated operators
     alone.  An empty list of values is the same as no key.
  3. A key with several values, or that may have them, passes nothing but a test with a set operator, not even a negated one.
  4. A value that cannot be read as the operator's type is equal to nothing.
Source: IAM user guide, condition operators, set operators, single-valued and multivalued keys.
"""

import base64
import binascii
import ipaddress
import operator
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Final, NamedTuple, TypeVar

from msgspec import Struct

from penstock.services.iam.pattern import MULTIVALUED, Glob, Lookup, PatternSet, Template, Variable, Wild, read_tokens

Predicate = Callable[[str, Lookup], bool]  # of one value of the request
Compile = Callable[[tuple[str, ...], bool], Predicate]  # of the policy's values, and whether variables are read

T = TypeVar("T")
_NUMBER_CHARACTERS_MAX: Final = 64
_DATE = re.compile(
    r"(\d{4})-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?)?)?", re.ASCII
)
_EPOCH = re.compile(r"-?\d{1,12}(\.\d{1,9})?", re.ASCII)
_ARN_PARTS: Final = 6


class UnknownOperator(Exception):
    """A Condition block has an operator that does not exist."""


class Quantifier(Enum):
    """How several values of the request are treated."""

    SINGLE = ""
    ALL = "ForAllValues"
    ANY = "ForAnyValue"


class Condition(Struct, frozen=True, eq=False):
    """One test of one key."""

    key: str  # lower case
    predicate: Predicate  # whether one value of the request is among the policy's
    negated: bool
    quantifier: Quantifier
    if_missing: bool  # the answer where the request has no value

    def holds(self, lookup: Lookup) -> bool:
        """Whether the request passes."""
        values = lookup(self.key)
        if not values:
            return self.if_missing
        if self.quantifier is Quantifier.SINGLE:  # UNVERIFIED: what several values do without a set operator
            single = len(values) == 1 and self.key not in MULTIVALUED
            return single and self.predicate(values[0], lookup) is not self.negated
        if self.quantifier is Quantifier.ALL:
            return all(self.predicate(value, lookup) is not self.negated for value in values)
        return any(self.predicate(value, lookup) is not self.negated for value in values)


class Presence(Struct, frozen=True, eq=False):
    """The operator Null: whether the request has a key."""

    key: str
    passes: frozenset[bool]  # of {present}

    def holds(self, lookup: Lookup) -> bool:
        """Whether the request passes."""
        return bool(lookup(self.key)) in self.passes


def compile_condition(name: str, key: str, values: tuple[str, ...], *, variables: bool) -> Condition | Presence:
    """Compile one operator with one key.

    Raises UnknownOperator.
    """
    quantifier, bare, if_exists = _parse_operator(name)
    folded = key.lower()
    if bare == "null":
        if if_exists:
            raise UnknownOperator(name)
        asked = {_parse_bool(value) for value in values} - {None}
        return Presence(folded, frozenset(not missing for missing in asked))
    row = OPERATORS.get(bare)
    if row is None:
        raise UnknownOperator(name)
    # UNVERIFIED: ForAnyValue:...IfExists holds for a key that is missing
    if_missing = if_exists or quantifier is Quantifier.ALL or (row.negated and quantifier is Quantifier.SINGLE)
    return Condition(folded, row.compile(values, variables), row.negated, quantifier, if_missing)


def _parse_operator(name: str) -> tuple[Quantifier, str, bool]:
    prefix, colon, rest = name.rpartition(":")
    quantifier = _QUANTIFIERS.get(prefix.lower())
    if quantifier is None or (colon and not prefix):
        raise UnknownOperator(name)
    bare = rest.lower()
    return quantifier, bare.removesuffix("ifexists"), bare.endswith("ifexists")


# --- how each family compiles the policy's values ---


def _texts(*, wild: bool, fold: bool) -> Compile:
    def compiled(values: tuple[str, ...], variables: bool) -> Predicate:
        return PatternSet(values, variables=variables, wild=wild, fold=fold).matches

    return compiled


def _ordered(parse: Callable[[str], T | None], compare: Callable[[T, T], bool]) -> Compile:
    """A family whose values are read as numbers or dates, and compared: `compare(of the request, of the policy)`."""

    def compiled(values: tuple[str, ...], _variables: bool) -> Predicate:
        bounds = [bound for bound in map(parse, values) if bound is not None]

        def among(value: str, _lookup: Lookup) -> bool:
            found = parse(value)
            return found is not None and any(compare(found, bound) for bound in bounds)

        return among

    return compiled


def _addresses(values: tuple[str, ...], _variables: bool) -> Predicate:
    networks = [network for network in map(parse_network, values) if network is not None]

    def among(value: str, _lookup: Lookup) -> bool:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        return any(address in network for network in networks)

    return among


def _arns(values: tuple[str, ...], variables: bool) -> Predicate:
    ready: list[list[Glob]] = []
    templates: list[Template] = []
    for value in values:
        tokens = read_tokens(value, variables=variables, wild=True)
        fixed = [token for token in tokens if not isinstance(token, Variable)]
        if len(fixed) < len(tokens):
            templates.append(Template(tokens, fold=False))
        elif (globs := _arn_globs(fixed)) is not None:
            ready.append(globs)

    def among(value: str, lookup: Lookup) -> bool:
        parts = value.split(":", _ARN_PARTS - 1)
        if len(parts) != _ARN_PARTS:
            return False
        if any(_parts_match(globs, parts) for globs in ready):
            return True
        filled = (_arn_globs(tokens) for template in templates if (tokens := template.fill(lookup)) is not None)
        return any(globs is not None and _parts_match(globs, parts) for globs in filled)

    return among


def _arn_globs(tokens: Iterable[str | Wild]) -> list[Glob] | None:
    """One glob for each of an ARN's parts, or None if these are no ARN."""
    parts: list[list[str | Wild]] = [[]]
    for token in tokens:
        if isinstance(token, Wild):
            parts[-1].append(token)
            continue
        first, *others = token.split(":", _ARN_PARTS - len(parts))
        parts[-1].append(first)
        parts += [[other] for other in others]
    return [Glob(part) for part in parts] if len(parts) == _ARN_PARTS else None


def _parts_match(globs: list[Glob], parts: list[str]) -> bool:
    return all(glob.matches(part) for glob, part in zip(globs, parts, strict=True))


# --- how values are read ---


def parse_number(text: str) -> Decimal | None:
    """A number of a policy or a request; None if it is none."""
    if len(text) > _NUMBER_CHARACTERS_MAX:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def parse_date(text: str) -> Decimal | None:
    """Seconds since the epoch of an ISO 8601 date or of a number of seconds; None if it is neither."""
    if _EPOCH.fullmatch(text):
        return Decimal(text)
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    whole = f"{year}-{month}-{day or '01'}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone or 'Z'}"
    try:
        moment = datetime.fromisoformat(whole)
    except ValueError:
        return None
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    return Decimal(int(seconds)) + Decimal(f"0.{fraction or 0}")


def parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """A CIDR block, or an address as a block of one; None if it is neither."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _parse_bool(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _parse_binary(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


# --- the table ---


class Operator(NamedTuple):
    """One operator."""

    compile: Compile
    negated: bool = False


_EQUAL: Final = _texts(wild=False, fold=False)
_EQUAL_FOLDED: Final = _texts(wild=False, fold=True)
_LIKE: Final = _texts(wild=True, fold=False)
_NUMBERS: Final = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}

# By name as AWS writes it; NotEquals is the negation of Equals, not of each value.
OPERATOR_TABLE: Final[dict[str, Operator]] = {
    "StringEquals": Operator(_EQUAL),
    "StringNotEquals": Operator(_EQUAL, negated=True),
    "StringEqualsIgnoreCase": Operator(_EQUAL_FOLDED),
    "StringNotEqualsIgnoreCase": Operator(_EQUAL_FOLDED, negated=True),
    "StringLike": Operator(_LIKE),
    "StringNotLike": Operator(_LIKE, negated=True),
    "ArnEquals": Operator(_arns),
    "ArnNotEquals": Operator(_arns, negated=True),
    "ArnLike": Operator(_arns),
    "ArnNotLike": Operator(_arns, negated=True),
    **{f"Numeric{name}": Operator(_ordered(parse_number, compare)) for name, compare in _NUMBERS.items()},
    "NumericNotEquals": Operator(_ordered(parse_number, operator.eq), negated=True),
    **{f"Date{name}": Operator(_ordered(parse_date, compare)) for name, compare in _NUMBERS.items()},
    "DateNotEquals": Operator(_ordered(parse_date, operator.eq), negated=True),
    "Bool": Operator(_ordered(_parse_bool, operator.eq)),
    "BinaryEquals": Operator(_ordered(_parse_binary, operator.eq)),
    "IpAddress": Operator(_addresses),
    "NotIpAddress": Operator(_addresses, negated=True),
}
OPERATORS: Final = {name.lower(): row for name, row in OPERATOR_TABLE.items()}
_QUANTIFIERS: Final = {quantifier.value.lower(): quantifier for quantifier in Quantifier}
