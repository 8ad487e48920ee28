"""The error table of IAM and STS: codes and statuses are those of the API models, blanks those that callers fill."""

import ast
import gzip
from pathlib import Path
from string import Formatter
from typing import Any

import botocore
import msgspec
import pytest

import penstock
from penstock.core.errors import Row
from penstock.core.identity_errors import IamError

UNMODELLED = {"AccessDenied": {403}, "ValidationError": {400}}  # every query service has them


def modelled() -> dict[str, set[int]]:
    """The status of each code in the models of IAM and STS."""
    found: dict[str, set[int]] = {code: set(statuses) for code, statuses in UNMODELLED.items()}
    for service in ("iam", "sts"):
        folder = max((Path(botocore.__file__).parent / "data" / service).iterdir())
        model: Any = msgspec.json.decode(gzip.decompress((folder / "service-2.json.gz").read_bytes()))
        for shape in model["shapes"].values():
            if "code" in shape.get("error", {}):
                found.setdefault(shape["error"]["code"], set()).add(shape["error"]["httpStatusCode"])
    return found


def blanks_of(error: IamError) -> set[str]:
    row: Row = error.value
    return {name for _, name, _, _ in Formatter().parse(row.text or "") if name is not None}


@pytest.mark.parametrize("error", list(IamError), ids=lambda error: error.name)
def test_row_when_compared_with_the_models_has_their_code_and_status(error: IamError) -> None:
    row: Row = error.value
    assert row.status in modelled()[row.code]
    raised = error(**{name: f"<{name}>" for name in blanks_of(error)})
    assert raised.message is not None
    assert "{" not in raised.message


def test_rows_when_called_anywhere_get_exactly_their_blanks_and_all_are_in_use() -> None:
    used = set()
    for file in sorted(Path(penstock.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="IamError"), attr=name)):
                    used.add(name)
                    assert {keyword.arg for keyword in node.keywords} == blanks_of(IamError[name]), (
                        f"{file}:{node.lineno}"
                    )
    assert used == set(IamError.__members__)
