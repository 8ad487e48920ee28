"""Updates: what they make of an item, by expression and by AttributeUpdates."""

import pytest
from lease_values import item, update, value

from penstock.core.errors import ServiceError
from penstock.services.leases.legacy import AttributeChange, updating
from penstock.services.leases.updates import Update, apply

BEFORE = item(a=1, b="x", l=["p", "q", "r"], m={"k": 1, "inn": {"k": 2}}, ss={"u", "v"}, ns={1, 2}, bs={b"1"}, t=True)


@pytest.mark.parametrize(
    ("text", "values", "changed"),
    [
        ("SET a = :v", {"v": 2}, {"a": 2}),
        ("SET a = b, b = a", {}, {"a": "x", "b": 1}),
        ("set c = a + :v, d = a - :v", {"v": 5}, {"c": 6, "d": -4}),
        ("SET c = :v + :v", {"v": 5}, {"c": 10}),
        ("SET c = if_not_exists(c, :v)", {"v": 5}, {"c": 5}),
        ("SET a = if_not_exists(a, :v) + :v", {"v": 5}, {"a": 6}),
        ("SET l = list_append(l, :v)", {"v": ["s"]}, {"l": ["p", "q", "r", "s"]}),
        ("SET l = list_append(:v, l)", {"v": ["s"]}, {"l": ["s", "p", "q", "r"]}),
        ("SET c = list_append(if_not_exists(c, :e), :v)", {"e": [], "v": ["s"]}, {"c": ["s"]}),
        ("SET l[1] = :v", {"v": 9}, {"l": ["p", 9, "r"]}),
        ("SET l[7] = :v, l[9] = :w", {"v": 9, "w": 8}, {"l": ["p", "q", "r", 9, 8]}),
        ("SET m.k = m.inn.k, m.n = :v", {"v": 3}, {"m": {"k": 2, "inn": {"k": 2}, "n": 3}}),
        ("SET m.inn.x = :v", {"v": {"y": 1}}, {"m": {"k": 1, "inn": {"k": 2, "x": {"y": 1}}}}),
        ("SET c = (a)", {}, {"c": 1}),
        ("REMOVE a, none_1, m.none_1", {}, {"a": None}),
        ("REMOVE l[0], l[2]", {}, {"l": ["q"]}),
        ("REMOVE l[7]", {}, {}),
        ("SET l[0] = :v REMOVE l[1]", {"v": 9}, {"l": [9, "r"]}),
        ("REMOVE m.inn.k", {}, {"m": {"k": 1, "inn": {}}}),
        ("ADD a :v", {"v": -3}, {"a": -2}),
        ("ADD c :v", {"v": 4}, {"c": 4}),
        ("ADD m.k :v", {"v": 4}, {"m": {"k": 5, "inn": {"k": 2}}}),
        ("ADD ss :v, ns :w, bs :x", {"v": {"v", "w"}, "w": {3}, "x": {b"2"}}, {"ss": {"u", "v", "w"}, "ns": {1, 2, 3}, "bs": {b"1", b"2"}}),
        ("DELETE ss :v", {"v": {"u", "z"}}, {"ss": {"v"}}),
        ("DELETE ss :v, none_1 :v", {"v": {"u", "v"}}, {"ss": None}),
        ("REMOVE a SET b = :v ADD c :w DELETE ns :x", {"v": "y", "w": 1, "x": {1}}, {"a": None, "b": "y", "c": 1, "ns": {2}}),
    ],
)  # fmt: skip
def test_update_when_it_is_applied_then_the_item_is_new_and_the_old_one_as_it_was(
    text: str, values: dict[str, object], changed: dict[str, object]
) -> None:
    kept = dict(BEFORE)
    after = apply(update(text, None, **values), BEFORE)
    expected = {**BEFORE, **{name: value(now) for name, now in changed.items() if now is not None}}
    for name, now in changed.items():
        if now is None:
            del expected[name]
    assert after == expected
    assert kept == BEFORE


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("SET c = none_1", {}, "The provided expression refers to an attribute that does not exist in the item"),
        ("SET c = none_1 + :v", {"v": 1}, "The provided expression refers to an attribute that does not exist in the item"),
        ("SET c = b + :v", {"v": 1}, "An operand in the update expression has an incorrect data type"),
        ("SET c = list_append(a, :v)", {"v": []}, "An operand in the update expression has an incorrect data type"),
        ("ADD b :v", {"v": 1}, "An operand in the update expression has an incorrect data type"),
        ("ADD ss :v", {"v": {1}}, "An operand in the update expression has an incorrect data type"),
        ("DELETE ns :v", {"v": {"u"}}, "An operand in the update expression has an incorrect data type"),
        ("SET none_1.k = :v", {"v": 1}, "The document path provided in the update expression is invalid for update"),
        ("SET a.k = :v", {"v": 1}, "The document path provided in the update expression is invalid for update"),
        ("SET m[0] = :v", {"v": 1}, "The document path provided in the update expression is invalid for update"),
        ("SET l.k = :v", {"v": 1}, "The document path provided in the update expression is invalid for update"),
        ("REMOVE none_1.k", {}, "The document path provided in the update expression is invalid for update"),
    ],
)  # fmt: skip
def test_update_when_the_item_does_not_allow_it_then_it_is_refused(
    text: str, values: dict[str, object], message: str
) -> None:
    with pytest.raises(ServiceError) as refused:
        apply(update(text, None, **values), BEFORE)
    assert refused.value.message == message


PREFIX = "Invalid UpdateExpression: "


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("", {}, "The expression can not be empty;"),
        ("PUT a = :v", {"v": 1}, 'Syntax error; token: "PUT", near: "PUT a"'),
        ("SET a = :v,", {"v": 1}, 'Syntax error; token: "<EOF>", near: ","'),
        ("SET a :v", {"v": 1}, 'Syntax error; token: ":v", near: "a :v"'),
        ("SET a = :v + :v + :v", {"v": 1}, 'Syntax error; token: "+", near: ":v + :v"'),
        ("REMOVE a = :v", {"v": 1}, 'Syntax error; token: "=", near: "a = :v"'),
        ("ADD a b", {}, 'Syntax error; token: "b", near: "a b"'),
        ("SET a = :v SET b = :v", {"v": 1}, 'The "SET" section can only be used once in an update expression;'),
        ("SET a = :v, a = :v", {"v": 1}, "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]"),
        ("SET a.b = :v REMOVE a", {"v": 1}, "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a]"),
        ("SET a = :v REMOVE a.b", {"v": 1}, "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"),
        ("SET a.b = :v, a[1] = :v", {"v": 1}, "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [1]]"),
        ("SET a = :v + :w", {"v": 1, "w": "x"}, "Incorrect operand type for operator or function; operator or function: +, operand type: S"),
        ("SET a = list_append(a, :v)", {"v": 1}, "Incorrect operand type for operator or function; operator or function: list_append, operand type: N"),
        ("SET a = list_append(a)", {}, "Incorrect number of operands for operator or function; operator or function: list_append, number of operands: 1"),
        ("SET a = if_not_exists(:v, :v)", {"v": 1}, "Operator or function requires a document path; operator or function: if_not_exists"),
        ("SET a = size(b)", {}, "The function is not allowed in an update expression; function: size"),
        ("SET a = foo(b)", {}, "Invalid function name; function: foo"),
        ("ADD a :v", {"v": "x"}, "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"),
        ("DELETE a :v", {"v": 1}, "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND"),
        ("SET a = " + "(" * 100 + "b", {}, "The expression is nested more than 64 levels deep;"),
    ],
)  # fmt: skip
def test_update_when_it_means_nothing_then_it_is_refused_in_dynamodbs_words(
    text: str, values: dict[str, object], message: str
) -> None:
    with pytest.raises(ServiceError) as refused:
        update(text, None, **values)
    assert (refused.value.code, refused.value.message) == ("ValidationException", PREFIX + message)


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"a": ("PUT", 2), "c": ("PUT", "new")}, {"a": 2, "c": "new"}),
        ({"a": ("ADD", 2), "c": ("ADD", 3)}, {"a": 3, "c": 3}),
        ({"a": ("DELETE", None), "none": ("DELETE", None)}, {"a": None}),
        ({"ss": ("DELETE", {"u"})}, {"ss": {"v"}}),
        ({"ss": ("ADD", {"w"})}, {"ss": {"u", "v", "w"}}),
        ({"l": ("ADD", ["s"]), "c": ("ADD", ["t"])}, {"l": ["p", "q", "r", "s"], "c": ["t"]}),
    ],
)
def test_attribute_updates_when_they_are_applied_then_each_does_what_its_action_says(
    changes: dict[str, tuple[str, object]], changed: dict[str, object]
) -> None:
    after = apply(legacy(changes), BEFORE)
    for name, now in changed.items():
        assert after.get(name) == (None if now is None else value(now))
    assert {name: each for name, each in after.items() if name not in changed} == {
        name: each for name, each in BEFORE.items() if name not in changed
    }


def legacy(changes: dict[str, tuple[str, object]]) -> Update:
    return updating(
        {
            name: AttributeChange(action, None if given is None else value(given))
            for name, (action, given) in changes.items()
        }
    )


@pytest.mark.parametrize(
    ("action", "given", "message"),
    [
        ("PUT", None, "Only DELETE action is allowed when no attribute value is specified"),
        ("ADD", "x", "ADD action is not supported for the type S"),
        ("DELETE", 1, "DELETE action with value is not supported for the type N"),
    ],
)
def test_attribute_updates_when_they_make_no_sense_then_they_are_refused(
    action: str, given: object, message: str
) -> None:
    with pytest.raises(ServiceError) as refused:
        legacy({"a": (action, given)})
    assert refused.value.message == f"One or more parameter values were invalid: {message}"


def test_attribute_updates_when_the_item_has_another_type_then_they_are_refused() -> None:
    with pytest.raises(ServiceError, match="Type mismatch for attribute to update"):
        apply(legacy({"b": ("ADD", 1)}), BEFORE)
