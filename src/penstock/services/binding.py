"""Binding: from a service's functions to its table of operations.

Theory.  An operation exists once, as a function named after it: `PutRecords` is `put_records(service, caller, request)`.  Its input
type is read from its annotations, and it is put together when it is first called.  What the model has and no module has is simply
absent, and docs/parity.md says so.
"""

import logging
import re
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import wraps
from types import MappingProxyType, ModuleType
from typing import Any

from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.engines.api import AppendError, MetaUnavailable
from penstock.wire.model import Compiled, ServiceModel
from penstock.wire.operation import Codec, Handler, Operation, Service

logger = logging.getLogger(__name__)

Gate = Callable[[Caller, Any], None]  # raises to refuse a call
Admit = Callable[[str], Gate | None]  # the gate of an operation, or None for one that is open to all

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def function_name(operation: str) -> str:
    """The function of an operation: `AddTagsToStream` -> `add_tags_to_stream`."""
    return _WORD.sub("_", operation).lower()


def bind(
    model: ServiceModel,
    modules: Iterable[ModuleType],
    service: object,
    codecs: Mapping[str, Codec],
    admit: Admit | None = None,
    others: Mapping[ModuleType, object] = MappingProxyType({}),
) -> Service:
    """The operations of `model` that `modules` implement, their first argument filled with `service`, each behind its gate.

    The operations of a module in `others` have that as their first argument.
    """
    found = {name: value for module in modules for name, value in vars(module).items() if callable(value)}
    cores = {module.__name__: core for module, core in others.items()}
    functions = {name: found[function] for name in model.operations if (function := function_name(name)) in found}

    def made(name: str) -> Operation:
        function = functions[name]
        input_type = typing.get_type_hints(function)["request"]
        core = cores.get(function.__module__, service)
        handler = _guarded(function, core, admit(name) if admit is not None else None)
        return Operation(model.operations[name], handler, input_type, codecs.get(name, Codec()))

    return Service(model, Compiled(functions, made))


def chained(*admits: Admit | None) -> Admit | None:
    """Gates one after the other."""
    known = [admit for admit in admits if admit is not None]

    def admit(operation: str) -> Gate | None:
        gates = [gate for admit in known if (gate := admit(operation)) is not None]
        if len(gates) < 2:
            return gates[0] if gates else None

        def all_of_them(caller: Caller, request: Any) -> None:
            for gate in gates:
                gate(caller, request)

        return all_of_them

    return admit if known else None


def _guarded(operation: Callable[..., Awaitable[Any]], service: object, gate: Gate | None) -> Handler:
    """The operation on its service, behind its gate: what is refused there was not begun.

    The storage's own refusals are told as AWS tells a fault of its side.  It is one coroutine, because each costs 0.5 us a call.
    """

    @wraps(operation)
    async def guarded(caller: Caller, request: Any) -> Any:
        if gate is not None:
            gate(caller, request)
        try:
            return await operation(service, caller, request)
        except (AppendError, MetaUnavailable) as error:
            logger.error("%s could not be carried out: %s", operation.__name__, error)
            raise Error.INTERNAL_FAILURE() from None

    return guarded
