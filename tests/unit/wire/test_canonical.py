"""Canonical requests: one spelling for each part, whatever it looked like on the wire."""

import pytest

from penstock.wire.canonical import canonical_path, canonical_query, header_part, read_signed_headers


@pytest.mark.parametrize(
    ("path", "signed", "verbatim"),
    [
        (b"", b"/", b"/"),
        (b"/", b"/", b"/"),
        (b"//", b"/", b"//"),
        (b"/a/./b//../c/", b"/a/c/", b"/a/./b//../c/"),
        (b"/../../a", b"/a", b"/../../a"),
        (b"/..", b"/", b"/.."),
        (b"/a%20b", b"/a%2520b", b"/a%20b"),
        (b"/a b", b"/a%20b", b"/a%20b"),
        (b"/%", b"/%25", b"/%25"),
        (b"/%zz%4", b"/%25zz%254", b"/%25zz%254"),
        (b"/\xff\x00", b"/%FF%00", b"/%FF%00"),
        (b"/~a-b_c.d", b"/~a-b_c.d", b"/~a-b_c.d"),
        (b"/a+b:@*", b"/a%2Bb%3A%40%2A", b"/a%2Bb%3A%40%2A"),
        (b"/%2e%2e/a", b"/%252e%252e/a", b"/../a"),
    ],
)
def test_canonical_path_normalises_and_encodes_once_more_unless_verbatim(
    path: bytes, signed: bytes, verbatim: bytes
) -> None:
    assert canonical_path(path) == signed
    assert canonical_path(path, verbatim=True) == verbatim


@pytest.mark.parametrize(
    ("query", "signed"),
    [
        (b"", b""),
        (b"&&", b""),
        (b"b=2&a=1", b"a=1&b=2"),
        (b"a=2&a=1&A=3", b"A=3&a=1&a=2"),
        (b"a", b"a="),
        (b"a=b=c", b"a=b%3Dc"),
        (b"a=+%2b", b"a=%20%2B"),
        (b"%c3%A9=\xc3\xa9", b"%C3%A9=%C3%A9"),
        (b"a=%&b=%zz", b"a=%25&b=%25zz"),
        (b"a-b=1&a=2&aa=3", b"a=2&a-b=1&aa=3"),
        (b"S=1&a=1", b"a=1"),
    ],
)
def test_canonical_query_decodes_encodes_and_sorts(query: bytes, signed: bytes) -> None:
    assert canonical_query(query, {"S"}) == signed


@pytest.mark.parametrize(
    ("names", "headers", "part"),
    [
        ("host", [(b"host", b"h")], b"host:h\n\nhost\n"),
        ("host;a", [(b"host", b"h"), (b"a", b"")], b"a:\nhost:h\n\na;host\n"),
        ("a", [(b"a", b"  x \t y  ")], b"a:x y\n\na\n"),
        ("a", [(b"a", b"\xff%s")], b"a:\xff%s\n\na\n"),
        ("a;b", [(b"b", b"2"), (b"a", b"1"), (b"a", b" 3  4")], b"a:1,3 4\nb:2\n\na;b\n"),
        ("%s;a", [(b"%s", b"x"), (b"a", b"y")], b"%s:x\na:y\n\n%s;a\n"),
        ("a;a", [(b"a", b"1")], None),
        ("a;b", [(b"a", b"1")], None),
        ("A", [(b"a", b"1")], None),
        ("", [(b"a", b"1")], None),
        ("☃", [(b"a", b"1")], None),
    ],
)
def test_header_part_takes_the_signed_ones_sorted_folded_and_joined(
    names: str, headers: list[tuple[bytes, bytes]], part: bytes | None
) -> None:
    assert header_part(read_signed_headers(names), headers) == part


def test_header_part_when_a_header_comes_very_often_joins_it_in_one_go() -> None:
    headers = [(b"a", b"x" * 10)] * 20_000
    part = header_part(read_signed_headers("a"), headers)
    assert part == b"a:" + b",".join([b"x" * 10] * 20_000) + b"\n\na\n"
