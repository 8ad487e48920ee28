"""Conditions: what their texts mean, and how what means nothing is refused."""

import pytest
from lease_values import condition, item, true

from penstock.core.errors import ServiceError

ITEM = item(
    s="abc", n=5, b=b"\x01\x02", t=True, z=None, l=["x", 1, ["deep"]], m={"k": {"k": "v"}, "listed": [1, 2]},
    ss={"a", "b"}, ns={1, 2}, bs={b"1"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("s = :v", {"v": "abc"}), (":v = s", {"v": "abc"}), ("(s) = :v", {"v": "abc"}), ("n < :v", {"v": 6}),
        ("n <= :v", {"v": 5}), ("n > :v", {"v": 4}), ("n >= :v", {"v": 5}), ("n <> :v", {"v": 4}),
        ("absent <> :v", {"v": 4}), ("n BETWEEN :a AND :b", {"a": 5, "b": 5}), ("n between :a and :b", {"a": 1, "b": 9}),
        ("s IN (:a, :b)", {"a": "x", "b": "abc"}), ("NOT n = :v", {"v": 4}), ("not NOT n = :v", {"v": 5}),
        ("n = :v OR n = :w AND n = :w", {"v": 5, "w": 6}), ("(n = :v OR n = :w) AND s = :s", {"v": 5, "w": 6, "s": "abc"}),
        ("attribute_exists(m.k.k)", {}), ("attribute_exists ( l[2][0] )", {}), ("attribute_not_exists(l[3])", {}),
        ("attribute_not_exists(m.absent.k)", {}), ("attribute_exists(m.listed[1])", {}), ("attribute_not_exists(s[0])", {}),
        ("attribute_type(m, :t)", {"t": "M"}), ("attribute_type(z, :t)", {"t": "NULL"}), ("attribute_type(bs, :t)", {"t": "BS"}),
        ("begins_with(s, :v)", {"v": "ab"}), ("begins_with(b, :v)", {"v": b"\x01"}), ("contains(s, :v)", {"v": "bc"}),
        ("contains(ss, :v)", {"v": "b"}), ("contains(ns, :v)", {"v": 2}), ("contains(bs, :v)", {"v": b"1"}),
        ("contains(l, :v)", {"v": 1}), ("contains(b, :v)", {"v": b"\x02"}), ("contains(l[2], :v)", {"v": "deep"}),
        ("size(s) = :v", {"v": 3}), ("size(b) = :v", {"v": 2}), ("size(l) > :v", {"v": 2}), ("size(m) = :v", {"v": 2}),
        ("size(ss) = size(ns)", {}), ("ss = :v", {"v": {"b", "a"}}), ("l = :v", {"v": ["x", 1, ["deep"]]}),
        ("m.k = :v", {"v": {"k": "v"}}), ("t = :v", {"v": True}), ("z = :v", {"v": None}), ("s<:v", {"v": "abd"}),
        ("n = m.listed[0] OR n = n2 OR m.listed[1] = :v", {"v": 2}),
    ],
)  # fmt: skip
def test_condition_when_it_is_true_of_an_item_then_its_opposite_is_not(text: str, values: dict[str, object]) -> None:
    assert true(text, ITEM, **values)
    assert not true(f"NOT ({text})", ITEM, **values)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("n = :v", {"v": "5"}), ("n < :v", {"v": "9"}), ("absent = :v", {"v": 1}), ("absent < :v", {"v": 1}), ("absent > :v", {"v": 1}),
        ("n = :v AND s = :s", {"v": 5, "s": "x"}), ("n BETWEEN :a AND :b", {"a": 6, "b": 9}), ("z BETWEEN :a AND :b", {"a": 6, "b": 9}),
        ("absent IN (:a)", {"a": 6}), ("begins_with(n, :v)", {"v": "5"}), ("contains(n, :v)", {"v": 5}), ("contains(ss, :v)", {"v": 1}),
        ("size(n) = :v", {"v": 1}), ("size(absent) >= :v", {"v": 0}), ("attribute_type(absent, :t)", {"t": "S"}), ("t < n", {}),
        ("m.k.k.k = :v", {"v": "v"}), ("absent = absent2", {}),
    ],
)  # fmt: skip
def test_condition_when_types_differ_or_nothing_is_there_then_it_is_false(text: str, values: dict[str, object]) -> None:
    assert not true(text, ITEM, **values)


PREFIX = "Invalid ConditionExpression: "


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("", {}, "The expression can not be empty;"),
        ("  ", {}, "The expression can not be empty;"),
        ("a = ", {}, 'Syntax error; token: "<EOF>", near: "="'),
        ("a & b", {}, 'Syntax error; token: "&", near: "a & b"'),
        ("a = :v b", {"v": 1}, 'Syntax error; token: "b", near: ":v b"'),
        ("a = :v AND", {"v": 1}, 'Syntax error; token: "<EOF>", near: "AND"'),
        ("a", {}, 'Syntax error; token: "<EOF>", near: "a"'),
        ("a[x] = :v", {"v": 1}, 'Syntax error; token: "x", near: "[x]"'),
        ("a[-1] = :v", {"v": 1}, 'Syntax error; token: "-", near: "[-1"'),
        ("a[1 = :v", {"v": 1}, 'Syntax error; token: "=", near: "1 = :v"'),
        ("a..b = :v", {"v": 1}, 'Syntax error; token: ".", near: "..b"'),
        ("1 = :v", {"v": 1}, 'Syntax error; token: "1", near: "1 ="'),
        ("a = :v = :v", {"v": 1}, 'Syntax error; token: "=", near: ":v = :v"'),
        ("a IN :v", {"v": 1}, 'Syntax error; token: ":v", near: "IN :v"'),
        ("a BETWEEN :v", {"v": 1}, 'Syntax error; token: "<EOF>", near: ":v"'),
        ("((a = :v))", {"v": 1}, "The expression has redundant parentheses;"),
        ("(((a)) = :v)", {"v": 1}, "The expression has redundant parentheses;"),
        ("a = :none", {}, "An expression attribute value used in expression is not defined; attribute value: :none"),
        ("#none = :v", {"v": 1}, "An expression attribute name used in the document path is not defined; attribute name: #none"),
        ("name = :v", {"v": 1}, "Attribute name is a reserved keyword; reserved keyword: name"),
        ("a.Value = :v", {"v": 1}, "Attribute name is a reserved keyword; reserved keyword: Value"),
        ("foo(a)", {}, "Invalid function name; function: foo"),
        ("ATTRIBUTE_EXISTS(a)", {}, "Invalid function name; function: ATTRIBUTE_EXISTS"),
        ("if_not_exists(a, :v) = :v", {"v": 1}, "Invalid function name; function: if_not_exists"),
        ("size(a)", {}, "The function is not allowed to be used this way in an expression; function: size"),
        ("attribute_exists(a) = :v", {"v": 1}, "The function is not allowed to be used this way in an expression; function: attribute_exists"),
        ("size(size(a)) = :v", {"v": 1}, "The function is not allowed to be used this way in an expression; function: size"),
        ("attribute_exists(:v)", {"v": 1}, "Operator or function requires a document path; operator or function: attribute_exists"),
        ("attribute_exists(a, b)", {}, "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 2"),
        ("contains(a)", {}, "Incorrect number of operands for operator or function; operator or function: contains, number of operands: 1"),
        ("begins_with(a, :v)", {"v": 1}, "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"),
        ("attribute_type(a, :v)", {"v": 1}, "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N"),
        ("attribute_type(a, :v)", {"v": "X"}, "Invalid attribute type name found; type: X, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"),
        ("a < :v", {"v": True}, "Incorrect operand type for operator or function; operator: <, operand type: BOOL"),
        ("a BETWEEN :v AND :w", {"v": 1, "w": "x"}, "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {N:1}, upper bound operand: AttributeValue: {S:x}"),
        ("a BETWEEN :v AND :w", {"v": 2, "w": 1}, "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}"),
        ("a.b = a.b", {}, "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a, b]"),
        (".".join("a" * 33) + " = :v", {"v": 1}, "The document path has too many nesting elements;"),
        ("a" * 4090 + " = :v", {"v": 1}, "Expression size has exceeded the maximum allowed size; expression size: 4095"),
    ],
)  # fmt: skip
def test_condition_when_it_means_nothing_then_it_is_refused_in_dynamodbs_words(
    text: str, values: dict[str, object], message: str
) -> None:
    if "4095" in message:
        text, message = "a" * 4092 + " = :v", message.replace("4095", "4097")
    with pytest.raises(ServiceError) as refused:
        condition(text, None, **values)
    assert (refused.value.code, refused.value.message) == ("ValidationException", PREFIX + message)


@pytest.mark.parametrize(
    "text", ["NOT " * 1000 + "a = b", "(a = b AND " * 370 + "c = d" + ")" * 1, "(" * 4000, "size(" * 800]
)
def test_condition_when_it_nests_too_deep_then_it_is_refused_and_nothing_overflows(text: str) -> None:
    with pytest.raises(ServiceError, match="nested more than 64 levels"):
        condition(text[:4096])


def test_substitutions_when_they_are_not_used_or_not_named_rightly_then_they_are_refused() -> None:
    for names, values, message in (
        ({"#a": "a", "#b": "b"}, {"v": 1}, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}"),
        ({"#a": "a"}, {"v": 1, "w": 1, "x": 2}, "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w, :x}"),
        ({"#a": "a", "a": "b"}, {"v": 1}, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"'),
        ({"#a": "a"}, {"v": 1, "": 1}, 'ExpressionAttributeValues contains invalid key: Syntax error; key: ":"'),
        ({}, {"v": 1}, "ExpressionAttributeNames must not be empty"),
    ):  # fmt: skip
        with pytest.raises(ServiceError) as refused:
            condition("#a = :v", names, **values)
        assert refused.value.message == message
