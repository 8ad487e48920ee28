"""Types of columns: what is read, and what is refused."""

import pytest

from penstock.services.catalog.types import (
    DEPTH_MAX,
    Array,
    BadType,
    Decimal,
    HiveType,
    Map,
    Member,
    Scalar,
    Struct,
    Text,
    parse_type,
)

STRING, INT = Scalar("string"), Scalar("int")
TYPES: dict[str, HiveType] = {
    "string": STRING,
    " INT ": INT,
    "integer": INT,
    "double precision": Scalar("double"),
    "decimal": Decimal(10, 0),
    "decimal(12)": Decimal(12, 0),
    "DECIMAL( 38 , 38 )": Decimal(38, 38),
    "char(255)": Text(True, 255),
    "varchar(65535)": Text(False, 65535),
    "array<string>": Array(STRING),
    "map<string,array<int>>": Map(STRING, Array(INT)),
    "struct<a:int,`b c`:struct<d:string>>": Struct((Member("a", INT), Member("b c", Struct((Member("d", STRING),))))),
    "struct< a : int , b : string >": Struct((Member("a", INT), Member("b", STRING))),
}
BAD = {
    "": "has no type at 0",
    "text": "text is no type",
    "uniontype<int,string>": "uniontype is not supported",
    "array<int": "needs >",
    "array int": "needs <",
    "map<string>": "needs ,",
    "int int": "goes on behind",
    "struct<>": "no name of a member",
    "struct<a>": "no name of a member",
    "struct<a:int,A:int>": "two members of one name",
    "decimal(39,0)": "is no type",
    "decimal(4,5)": "is no type",
    "decimal(0)": "is no type",
    "char": "needs a length",
    "char(256)": "needs a length",
    "varchar(0)": "needs a length",
}


@pytest.mark.parametrize("text", TYPES)
def test_type_when_it_is_read_then_it_is_this_tree(text: str) -> None:
    assert parse_type(text) == TYPES[text]


@pytest.mark.parametrize("text", BAD)
def test_type_when_it_means_nothing_then_it_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(BadType, match=BAD[text]):
        parse_type(text)


def test_type_when_it_nests_too_deep_then_it_is_refused() -> None:
    parse_type("array<" * DEPTH_MAX + "int" + ">" * DEPTH_MAX)
    with pytest.raises(BadType, match="nests deeper"):
        parse_type("array<" * 50_000 + "int" + ">" * 50_000)
