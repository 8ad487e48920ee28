"""Binding: from a service's functions to its table of operations.

Theory.  An operation exists once, as a function named after it: `PutRecords` is `put_records(service, caller, request)`.  Its input
type is read from its annotations.  What the model has and no module has is simply absent, and docs/parity.md says so.
"""

import re
import typing
from collections.abc import Iterable, Mapping
from functools import partial
from types import ModuleType

from penstock.wire.model import ServiceModel
from penstock.wire.operation import Codec, Operation, Service

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def function_name(operation: str) -> str:
    """The function of an operation: `AddTagsToStream` -> `add_tags_to_stream`."""
    return _WORD.sub("_", operation).lower()


def bind(model: ServiceModel, modules: Iterable[ModuleType], service: object, codecs: Mapping[str, Codec]) -> Service:
    """The operations of `model` that `modules` implement, their first argument filled with `service`."""
    functions = {name: value for module in modules for name, value in vars(module).items() if callable(value)}
    operations: dict[str, Operation] = {}
    for name, operation in model.operations.items():
        function = functions.get(function_name(name))
        if function is not None:
            input_type = typing.get_type_hints(function)["request"]
            operations[name] = Operation(operation, partial(function, service), input_type, codecs.get(name, Codec()))
    return Service(model, operations)
