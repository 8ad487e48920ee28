"""What inputs and outputs of functions have in common: how members are named, pages, checks that several operations make."""

from typing import Any, Final

from penstock.core.function_errors import FunctionError
from penstock.services.functions.state import Alias, Function, Version
from penstock.wire.operation import Input, Output

# Words that Lambda does not merely capitalise.
_CASED: Final = {"kms": "KMS", "uuid": "UUID"}


def lambda_name(field_name: str) -> str:
    """The member name of a field: `function_arn` -> `FunctionArn`, `kms_key_arn` -> `KMSKeyArn`."""
    return "".join(_CASED.get(word, word.capitalize()) for word in field_name.split("_"))


class FunctionInput(Input, kw_only=True, rename=lambda_name):
    """Base of inputs."""


class FunctionOutput(Output, kw_only=True, omit_defaults=True, rename=lambda_name):
    """Base of outputs and of the structures in them."""


class NamedRequest(FunctionInput):
    """An input that names a function."""

    function_name: str


class QualifiedRequest(NamedRequest):
    """An input that names a function, and perhaps a version or alias of it."""

    qualifier: str | None = None


def check_revision(given: str | None, revision: str, operation: str = "GetFunction/GetAlias") -> None:
    """Raise REVISION where a caller has seen an older one."""
    if given is not None and given != revision:
        raise FunctionError.REVISION(operation=operation)


def shown_alias(function: Function, name: str, alias: Alias) -> dict[str, Any]:
    """An alias, as the API tells it."""
    told: dict[str, Any] = {
        "AliasArn": f"{function.arn}:{name}",
        "Name": name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision,
    }
    if alias.weights:
        told["RoutingConfig"] = {"AdditionalVersionWeights": alias.weights}
    return told


def numbered(version: Version) -> str:
    """A version's number, so that texts sort as numbers do; $LATEST first."""
    return version.number if version.number.startswith("$") else f"{int(version.number):010}"
