"""Routing: which service, operation and protocol a request is for.

Theory.  All plain-HTTP services share one port.  JSON and CBOR services are told apart by `X-Amz-Target: <prefix>.<Operation>`,
query services by their `Action` and `Version`, Smithy RPC by its path, and services with paths of their own (rest-json) by method and
path; where two have the same one, by the signing name.  A service may be spoken to in several of them.  The content type chooses
the protocol, and with it the form of every answer, errors included.  What tells a service's requests apart is its address; the service
itself is opened by the first of them, because most servers are asked for two or three of all that there are.
Rules of this file: pure; it looks at the head (and a form body), never at a document.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from msgspec import Struct

from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.wire import rest, rpc
from penstock.wire.authorization import usual_credential
from penstock.wire.model import ServiceModel
from penstock.wire.operation import Input, Operation, Protocol, Service

FORM_FIELDS_MAX: Final = 65_536  # ours; 1,000 metrics with dimensions and values have some tens of thousands
ROUTES_KEPT_MAX: Final = 1024
CONTENT_TYPE_KEPT_MAX_CHARS: Final = 100

_PROTOCOLS: Final[Mapping[str, Protocol]] = {
    "application/x-amz-json-1.1": "json",
    "application/x-amz-json-1.0": "json",
    "application/x-amz-cbor-1.1": "cbor",
    "application/x-www-form-urlencoded": "query",
}
_DOCUMENTS: Final[frozenset[Protocol]] = frozenset(("json", "cbor"))  # told apart by target
_IAM_PREFIXES: Final[Mapping[str, str]] = {"monitoring": "cloudwatch"}  # where it is not the signing name
_IAM_ACTIONS: Final[Mapping[str, str]] = {  # where it is not the operation's name
    "lambda:Invoke": "lambda:InvokeFunction",
    "lambda:InvokeAsync": "lambda:InvokeFunction",
    "lambda:InvokeWithResponseStream": "lambda:InvokeFunction",
}


class Peer(NamedTuple):
    """Whom a request came from, and over what."""

    address: str
    tls_version: str = ""  # "TLSv1.3"; empty over plain HTTP
    cipher: str = ""
    subject: str = ""  # of the client's certificate, where one was asked for


class Head(NamedTuple):
    """A request but for its body."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # by lower-case name; of repeated ones the last
    raw_headers: tuple[tuple[bytes, bytes], ...]  # as they arrived, for signatures
    peer: Peer | None = None
    target: bytes = b"/"  # path and query as they came, for signatures
    takes_long: bool = False  # whether the answer may be a LongBody

    @property
    def surroundings(self) -> tuple[str | None, bool, str | None, str | None]:
        """What is known of a request beside its maker: address, whether it came over TLS, user agent, the host that it names."""
        peer, headers = self.peer, self.headers
        if peer is None:
            return None, False, None, None
        return peer.address, bool(peer.tls_version), headers.get("user-agent"), headers.get("host")


class Route(Struct, frozen=True):
    """Where a request goes."""

    protocol: Protocol
    content_type: str  # of the answer
    headers: tuple[tuple[str, str], ...]  # of every answer, the content type among them
    service: Service
    operation: Operation
    form: Mapping[str, str]  # of the query protocol; of rest-json the labels in the path
    action: str  # as IAM names it: "kinesis:PutRecords"


class Address(NamedTuple):
    """What tells the requests of a service from those of all others."""

    target: str | None = None  # before the operation in X-Amz-Target
    rpc: bool = False  # whether paths of Smithy RPC name it so too
    version: str | None = None  # of its API, in the query protocol
    paths: str | None = None  # how its paths begin, as a pattern (rest-json)

    @classmethod
    def of(cls, model: ServiceModel) -> "Address":
        """The address that a model has."""
        version = model.api_version if "query" in model.protocols else None
        paths = rest.common(http.uri for http in model.http.values())
        return cls(model.target_prefix, "smithy-rpc-v2-cbor" in model.protocols, version, paths)


class Entry:
    """A service behind the port, which may not be open yet."""

    __slots__ = ("_open", "address", "service")

    def __init__(self, address: Address, opening: Callable[[], Awaitable[Service]]) -> None:
        self.address = address
        self.service: Service | None = None
        self._open = opening

    async def open(self) -> None:
        """Have the service.  Raises what its opening raises; the next try begins anew."""
        self.service = await self._open()


class Router:
    """The services behind the port, indexed by what tells them apart."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_target: dict[str, Entry] = {}
        self._by_version: dict[str, Entry] = {}
        self._by_path: dict[str, Entry] = {}
        self._with_paths: list[tuple[re.Pattern[str], Entry]] = []
        self._trees: dict[str, rest.Paths] = {}  # of those that are open, by signing name
        self._found: dict[tuple[str, str], Route] = {}  # by content type and target as they were spelled
        for entry in entries:
            target, rpc_too, version, paths = entry.address
            if paths is not None:
                self._with_paths.append((re.compile(paths, re.ASCII), entry))
            if target is not None:
                assert target not in self._by_target, "two services have one target"
                self._by_target[target] = entry
                if rpc_too:
                    self._by_path[target] = entry
            if version is not None:
                assert version not in self._by_version, "two query services have one version"
                self._by_version[version] = entry

    def route(self, head: Head, body: bytes) -> Route | Entry:
        """The route of a request, or the service that must be opened before there is one.

        Raises UNKNOWN_OPERATION for a target or action that no model knows, NOT_IMPLEMENTED for one that its model knows and we do
        not, and NOT_A_SERVICE_CALL for what is no call at all.
        """
        headers = head.headers
        spelled = (headers.get("content-type", ""), headers.get("x-amz-target", ""))
        found = self._found.get(spelled)
        if found is not None and head.method == "POST" and not head.query:
            return found
        protocol, content_type = _form_of(headers)
        if protocol == "rpc" and head.method == "POST":
            return self._in_path(head)
        if head.path != "/" and "x-amz-target" not in headers:
            resource = self._by_resource(head)
            if resource is not None:
                return resource
        if "Action" in head.query or (protocol == "query" and "x-amz-target" not in head.headers):
            return self._by_form(head, body)
        if head.method != "POST" or (protocol not in _DOCUMENTS and "x-amz-target" not in head.headers):
            raise Error.NOT_A_SERVICE_CALL()
        prefix, _, name = head.headers.get("x-amz-target", "").rpartition(".")
        entry = self._by_target.get(prefix)
        if entry is None or protocol not in _DOCUMENTS:
            raise Error.UNKNOWN_OPERATION()
        if entry.service is None:
            return entry
        route = _route(protocol, content_type, entry.service, _operation(entry.service, name), {})
        if len(self._found) < ROUTES_KEPT_MAX and len(spelled[0]) <= CONTENT_TYPE_KEPT_MAX_CHARS:
            self._found[spelled] = route
        return route

    def _in_path(self, head: Head) -> Route | Entry:
        """The route of a Smithy RPC; the few paths that mean something are remembered."""
        found = self._found.get((rpc.CONTENT_TYPE, head.path))
        if found is None:
            prefix, name = rpc.name_in_path(head.path) or ("", "")
            entry = self._by_path.get(prefix)
            if entry is None:
                raise Error.UNKNOWN_OPERATION()
            if entry.service is None:
                return entry
            found = _route("rpc", rpc.CONTENT_TYPE, entry.service, _operation(entry.service, name), {})
            self._found[rpc.CONTENT_TYPE, head.path] = found
        return found

    def _by_resource(self, head: Head) -> "Route | Entry | None":
        """The route of a rest-json call; None for a path of another kind.  Raises UNKNOWN_OPERATION."""
        entries = [entry for pattern, entry in self._with_paths if pattern.match(head.path)]
        routes: list[Route] = []
        for entry in entries:
            if entry.service is None:
                return entry
            found = self._tree(entry.service).find(head.method, head.target, head.query)
            if found is not None:
                operation = entry.service.operations.get(found.name) or _absent(entry.service, found.name)
                routes.append(_route("rest-json", rest.CONTENT_TYPE, entry.service, operation, found.labels))
        if entries and not routes:
            raise Error.UNKNOWN_OPERATION()
        if len(routes) > 1:
            signed = (usual_credential(head.headers, head.query) or "").split("/")
            routes.sort(key=lambda route: route.service.model.signing_name not in signed)
        return routes[0] if routes else None

    def _tree(self, service: Service) -> rest.Paths:
        tree = self._trees.get(service.model.signing_name)
        if tree is None:
            tree = self._trees[service.model.signing_name] = rest.Paths(service.model)
        return tree

    def _by_form(self, head: Head, body: bytes) -> Route | Entry:
        try:
            form = dict(head.query) | dict(
                parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
            )
        except ValueError:
            raise Error.BODY_NOT_PARSED() from None
        name = form.get("Action", "")
        entry = self._by_version.get(form.get("Version", ""))
        if entry is None:
            raise Error.NOT_A_SERVICE_CALL()
        service = entry.service
        if service is None:
            return entry
        if name not in service.model.operations:
            raise Error.NOT_A_SERVICE_CALL()
        operation = service.operations.get(name) or _absent(service, name)
        return _route("query", "text/xml", service, operation, form)


def answer_protocol(head: Head) -> tuple[Protocol, str]:
    """The protocol and content type in which to refuse a request that has no route."""
    if rest.is_dated(head.path) and "x-amz-target" not in head.headers:
        return "rest-json", rest.CONTENT_TYPE
    protocol, content_type = _form_of(head.headers)
    return (protocol, content_type) if protocol in ("json", "cbor", "rpc") else ("none", "")


def _form_of(headers: Mapping[str, str]) -> tuple[Protocol, str]:
    """The protocol of a request, and the content type that its answer has in it."""
    if headers.get(rpc.HEADER[0]) == rpc.HEADER[1]:
        return "rpc", rpc.CONTENT_TYPE  # an input without members has no body, and no type
    content_type = headers.get("content-type", "").split(";")[0].strip().lower()
    return _PROTOCOLS.get(content_type, "none"), content_type


def _route(
    protocol: Protocol, content_type: str, service: Service, operation: Operation, form: Mapping[str, str]
) -> Route:
    signing_name = service.model.signing_name
    action = f"{_IAM_PREFIXES.get(signing_name, signing_name)}:{operation.model.name}"
    action = _IAM_ACTIONS.get(action, action)
    headers = headers_of(protocol, content_type)
    if protocol == "rpc" and operation.model.output is None:
        headers = (rpc.HEADER,)  # there is no body then, and no type of it
    return Route(protocol, content_type, headers, service, operation, form, action)


def headers_of(protocol: str, content_type: str) -> tuple[tuple[str, str], ...]:
    """The headers by which a client knows the form of an answer."""
    head = ("content-type", content_type)
    return (head, rpc.HEADER) if protocol == "rpc" else (head,)


def _absent(service: Service, name: str) -> Operation:
    """An operation of the model that is not implemented: it is refused in the form of its service, when the call is otherwise sound."""

    async def refuse(_caller: Caller, _request: Input) -> None:
        raise Error.NOT_IMPLEMENTED(operation=name)

    return Operation(service.model.operations[name], refuse, Input)


def _operation(service: Service, name: str) -> Operation:
    operation = service.operations.get(name)
    if operation is None:
        if name in service.model.operations:
            raise Error.NOT_IMPLEMENTED(operation=name)
        raise Error.UNKNOWN_OPERATION()
    return operation
