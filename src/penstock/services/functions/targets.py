"""Which function, mapping or role an input is about, for authorisation.

Theory.  A function that is named with a qualifier is another resource than without: `...:function:f:live`, with a policy of its own.
Rule of this file: a target is what the input names, whether it exists or not; a name that means nothing is refused before.
"""

from collections.abc import Mapping
from typing import Any, Final

from penstock.core.context import Caller
from penstock.services.functions.directory import Directory
from penstock.services.functions.names import FunctionName, read_name
from penstock.services.targets import Finder, Target

_PASSED: Final[Mapping[str, tuple[str, ...]]] = {"iam:passedtoservice": ("lambda.amazonaws.com",)}


def function_finder(directory: Directory) -> Finder:
    """Finds the function, or the version or alias of it, that an input names."""

    def find(caller: Caller, request: Any) -> Target:
        qualifier = getattr(request, "qualifier", None)
        return target_of(directory, read_name(caller.account, caller.region, request.function_name, qualifier))

    return find


def target_of(directory: Directory, name: FunctionName) -> Target:
    """The function, or the version or alias of it, that a name means."""
    function = directory.get(name)
    if function is None:
        return Target(name.qualified_arn, name.account)
    policy = function.policies.get(name.qualifier or "")
    text = None if policy is None else policy.document.decode()
    return Target(name.qualified_arn, name.account, text, function.tags)


def tagged_finder(directory: Directory) -> Finder:
    """Finds what an input names by its ARN, to have tags."""

    def find(caller: Caller, request: Any) -> Target:
        arn: str = request.resource
        if ":function:" not in arn:
            parts = arn.split(":")
            return Target(arn, parts[4] if len(parts) > 5 else caller.account)
        name = read_name(caller.account, caller.region, arn)
        function = directory.get(name)
        return Target(name.qualified_arn, name.account, tags={} if function is None else function.tags)

    return find


def mapping(caller: Caller, request: Any) -> Target:
    """The mapping that an input names."""
    arn = f"arn:aws:lambda:{caller.region}:{caller.account}:event-source-mapping:{request.uuid}"
    return Target(arn, caller.account)


def unnamed(caller: Caller, request: Any) -> Target:
    """Nothing, but perhaps a condition: a mapping that is to be made has no name, but a function."""
    text = getattr(request, "function_name", None)
    if text is None:
        return Target("*", caller.account)
    arn = read_name(caller.account, caller.region, text).qualified_arn
    return Target("*", caller.account, facts={"lambda:functionarn": (arn,)})


def role(caller: Caller, request: Any) -> Target:
    """The execution role that is passed to Lambda."""
    parts = request.role.split(":")
    return Target(request.role, parts[4] if len(parts) > 5 else caller.account, facts=_PASSED)
