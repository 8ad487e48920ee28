"""The error table: each row can be raised, its blanks are those that its callers fill, and its codes are AWS's."""

import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

import penstock
from penstock.core.errors import CLIENT_STATUS, SERVER_STATUS, Error, Row, ServiceError
from penstock.host.apimodels import load_model

# Codes that no operation's model lists, since every service shares them.
COMMON_CODES = {
    "AccessDeniedException",
    "DryRunOperationException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InternalFailure",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "RequestEntityTooLarge",
    "SerializationException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
}


def blanks_of(error: Error) -> set[str]:
    row: Row = error.value
    return {name for _, name, _, _ in Formatter().parse(row.text or "") if name is not None}


@pytest.mark.parametrize("error", list(Error), ids=lambda error: error.name)
def test_row_when_its_blanks_are_filled_becomes_an_exception(error: Error) -> None:
    row: Row = error.value
    blanks = {name: f"<{name}>" for name in blanks_of(error)}
    raised = error(**blanks)
    assert isinstance(raised, ServiceError)
    assert (raised.code, raised.status) == (row.code, row.status)
    assert error.code == row.code
    assert (raised.message is None) == (row.text is None)
    if raised.message is not None:
        assert "{" not in raised.message
        assert all(blank in raised.message for blank in blanks.values())
        assert raised.message.removesuffix(" ") == raised.message.strip()  # AWS ends one text with a blank
        assert "  " not in raised.message


@pytest.mark.parametrize("error", [error for error in Error if blanks_of(error)], ids=lambda error: error.name)
def test_row_when_a_blank_is_left_empty_is_our_bug_and_loud(error: Error) -> None:
    with pytest.raises(KeyError):
        error()


@pytest.mark.parametrize("text", ["{0}", "{text}", "{", "}}", "%s", "{text.__class__}"])
def test_row_when_a_blank_is_filled_with_braces_shows_them_as_they_are(text: str) -> None:
    assert Error.CONSTRAINTS(text=text).message == text


@pytest.mark.parametrize("error", list(Error), ids=lambda error: error.name)
def test_row_when_compared_with_aws_has_a_code_and_status_that_clients_know(error: Error) -> None:
    row: Row = error.value
    modelled = {code for operation in load_model("kinesis").operations.values() for code in operation.errors}
    assert row.code in modelled | COMMON_CODES
    assert row.status in (CLIENT_STATUS, SERVER_STATUS, 403, 413)
    assert (row.status >= 500) == (row.code == "InternalFailure")


def test_rows_when_compared_with_each_other_have_distinct_texts() -> None:
    texts = [error.value.text for error in Error if error.value.text not in (None, "{text}")]
    assert len(texts) == len(set(texts))
    assert len(Error.__members__) == len(list(Error)), "two rows of one value are one row to Enum"


def error_calls() -> Iterator[tuple[str, Error, set[str], bool]]:
    """Each call `Error.ROW(...)` in the package: where, the row, the blanks it names, whether it passes others by `**`."""
    package = Path(penstock.__file__).parent
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="Error"), attr=name)) if name in Error.__members__:
                    named = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
                    spread = any(keyword.arg is None for keyword in node.keywords)
                    yield f"{file.relative_to(package)}:{node.lineno}", Error[name], named, spread


def test_rows_when_called_anywhere_in_the_package_get_exactly_their_blanks() -> None:
    calls = list(error_calls())
    assert len(calls) > 40
    for where, error, named, spread in calls:
        wanted = blanks_of(error)
        assert named <= wanted if spread else named == wanted, f"{where} {error.name}: {named} for {wanted}"


def test_rows_when_the_package_is_read_are_all_in_use() -> None:
    source = "".join(file.read_text() for file in Path(penstock.__file__).parent.rglob("*.py"))
    unused = [error.name for error in Error if f"Error.{error.name}" not in source]
    assert unused == []


def test_service_error_when_printed_shows_code_and_text() -> None:
    assert str(Error.NEXT_TOKEN_INVALID()) == "InvalidArgumentException: Invalid NextToken."
