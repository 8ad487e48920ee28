"""Filter patterns, by the examples of the user guide and by what they must refuse."""

import pytest

from penstock.services.logs.pattern import DEPTH_MAX, BadPattern, compile_pattern

EVENT = (
    '{"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111", "arrayKey": ["value", "another value"],'
    ' "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}], "SomeObject": null, "cluster.name": "c",'
    ' "flag": true, "off": false, "number": 12.5, "code": "400", "big": 1e400}'
)
ACCESS = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 404 1534'


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("", ["", "x"], []),
        ("ERROR", ["[ERROR 400] BAD REQUEST", "myERRORs"], ["error", ""]),
        ("ERROR ARGUMENTS", ["[ERROR 419] MISSING ARGUMENTS", "ARGUMENTS ERROR"], ["ERROR", "ARGUMENTS"]),
        ("?ERROR ?ARGUMENTS", ["ERROR", "ARGUMENTS"], ["none"]),
        ("?ERROR ARGUMENTS", ["ARGUMENTS"], ["ERROR"]),
        ('"INTERNAL SERVER ERROR"', ["[ERROR 500] INTERNAL SERVER ERROR"], ["SERVER INTERNAL ERROR"]),
        ("ERROR -ARGUMENTS", ["ERROR 400"], ["ERROR ARGUMENTS", "fine"]),
        ('-"a b" -c', ["d", "a"], ["a b", "c"]),
        ('"say \\"x\\""', ['say "x"'], ["say x"]),
        ("%AUTHORIZED%", ["UNAUTHORIZED REQUEST"], ["authorized"]),
        ("%4[0-9]{2}% ERROR", ["ERROR 404"], ["ERROR 504", "404"]),
        ("-", ["a-b"], ["ab"]),
    ],
)
def test_terms_when_compared_then_they_are_substrings(pattern: str, matching: list[str], other: list[str]) -> None:
    matches = compile_pattern(pattern)
    assert [message for message in matching + other if matches(message)] == matching


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ('{ $.eventType = "UpdateTrail" }', True),
        ("{ $.eventType = UpdateTrail }", True),
        ('{ $.eventType = "Update*" }', True),
        ('{ $.eventType = "update*" }', False),
        ("{ $.sourceIPAddress != 123.123.* }", True),
        ("{ $.sourceIPAddress = 111.111.* }", True),
        ("{ $.sourceIPAddress = %111\\.1+% }", True),
        ('{ $.arrayKey[0] = "value" }', True),
        ('{ $.arrayKey[1] = "value" }', False),
        ('{ $.arrayKey[9] = "value" }', False),
        ('{ $.arrayKey[*] = "another value" }', True),
        ('{ $.objectList[1].name = "b" }', True),
        ("{ $.objectList[*].id > 1 }", True),
        ("{ $.objectList[*].id > 2 }", False),
        ("{ $.SomeObject IS NULL }", True),
        ("{ $.flag IS NULL }", False),
        ("{ $.SomeOtherObject NOT EXISTS }", True),
        ("{ $.SomeObject NOT EXISTS }", False),
        ("{ $.flag IS TRUE }", True),
        ("{ $.off is false }", True),
        ("{ $.flag IS FALSE }", False),
        ("{ $.['cluster.name'] = \"c\" }", True),
        ("{ $['cluster.name'] = c }", True),
        ("{ $.number = 12.5 }", True),
        ("{ $.number = 1.25e1 }", True),
        ("{ $.number >= 12 && $.number < 13 }", True),
        ("{ $.number != 12.5 }", False),
        ("{ $.code = 400 }", True),
        ('{ $.code = "400" }', True),
        ('{ $.number = "12.5" }', False),
        ("{ $.number = 12* }", True),
        ("{ $.absent != 1 }", False),
        ('{ $.eventType = "*" }', True),
        ("{ $.* = 12.5 }", True),
        ("{ ($.number = 1 || $.flag IS TRUE) && $.eventType = Update* }", True),
        ("{ $.number = 12.5 || $.flag IS TRUE && $.absent = 1 }", True),
        ("{ ($.number = 12.5 || $.flag IS TRUE) && $.absent = 1 }", False),
        ("{$.number=12.5}", True),
        ("{ $.eventType.deeper = 1 }", False),
    ],
)
def test_documents_when_compared_then_members_decide(pattern: str, expected: bool) -> None:
    assert compile_pattern(pattern)(EVENT.replace("1e400", "1e40")) is expected


def test_documents_when_an_event_is_no_object_then_nothing_matches() -> None:
    matches = compile_pattern("{ $.a NOT EXISTS }")
    for message in ("", "text", "[1]", "1", '"a"', "{", "{" * 5000, '{"a":' * 100_000, EVENT, '{"b": "\ud800"}'):
        assert matches(message) is False
    assert matches("{}")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[ip, user, username, timestamp, request, status_code, bytes]", True),
        ("[ip, user, username, timestamp, request, status_code]", False),
        ("[ip, user, username, timestamp, request, status_code = 404, bytes > 1000]", True),
        ("[ip, user, username, timestamp, request, status_code = 4*, bytes]", True),
        ("[ip, user, username, timestamp, request = *html*, status_code = 4*, bytes]", False),
        ('[ip, user, username, timestamp, request = "GET *", status_code, bytes]', True),
        ("[..., status_code = 404, bytes]", True),
        ("[ip, ..., bytes < 1000]", False),
        ("[ip = %127\\.0\\.0\\.[1-9]%, ...]", True),
        ("[..., (status_code = 404 || status_code = 410), bytes]", True),
        ("[..., status_code != 404 && status_code != 410, bytes]", False),
        ("[ip,,,,,,bytes]", True),
        ("[...]", True),
        ("[w1=127.0.0.1,...]", True),
        ("[ip, user, username != frank, ...]", False),
    ],
)
def test_words_when_compared_then_each_has_its_place(pattern: str, expected: bool) -> None:
    assert compile_pattern(pattern)(ACCESS) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        '"open', "%(%", 'a"b', "{", "{}", "{ $.a }", "{ $.a = }", "{ a = 1 }", "{ $.a = 1 & $.b = 2 }", "{ $.a < b }", "{ ($.a = 1 }",
        "{ $.a = 1) }", "{ $.a IS GREEN }", "{ $.a[ = 1 }", "{ $..a = 1 }", "{ $.a = %(% }", '{ "a" = 1 }', "{ $.a = 1 $.b = 2 }", "[", "[a",
        "[a = ]", "[..., b, ...]", "[a = 1 || b = 2]", "[a > x]", "[1 =]", '[a = "x]', "{ " + "(" * (DEPTH_MAX + 1) + "$.a = 1" + ")" * (DEPTH_MAX + 1) + " }",
    ],
)  # fmt: skip
def test_pattern_when_it_cannot_be_read_then_it_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern) as refused:
        compile_pattern(pattern)
    assert len(str(refused.value)) < 200
