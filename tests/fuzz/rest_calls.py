"""Calls of services with paths of their own: a document, taken apart as the model places its members."""

import json
import re
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from fuzz_world import SCOPE, Reply

from penstock.wire.model import OperationModel
from penstock.wire.route import Head

_UNSPEAKABLE: Final = re.compile(r"[^\t -~]")  # what a header cannot hold


def rest_call(operation: OperationModel, document: Any) -> tuple[Head, bytes]:
    """The request that asks for what a document says; what is no object is asked as a body."""
    shape, uri = operation.input, operation.http.uri
    headers = {"host": "localhost", "content-type": "application/json"}
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={SCOPE.format(service='lambda')}, SignedHeaders=host;x-amz-date, Signature=00"
    )
    headers["x-amz-date"] = "20260101T000000Z"
    if shape is None or not isinstance(document, dict):
        return _head(operation.http.method, re.sub(r"\{.*?\}", "x", uri), headers), json.dumps(document).encode()
    fields, rest = [], dict(document)
    for name, place in (shape.places or {}).items():
        value = rest.pop(name, None)
        match place.where:
            case "uri":
                uri = uri.replace(f"{{{place.name}}}", quote(_text(value), safe=""))
            case "querystring" if value is not None:
                fields += [(place.name, _text(each)) for each in (value if isinstance(value, list) else [value])]
            case "header" if value is not None:
                headers[place.name.lower()] = _UNSPEAKABLE.sub("?", _text(value))
    path, _, query = uri.partition("?")
    query = "&".join(part for part in (query, urlencode(fields, errors="replace")) if part)
    body = _text(rest.get(shape.payload)).encode("utf-8", "replace") if shape.payload else json.dumps(rest).encode()
    return _head(operation.http.method, path + ("?" + query if query else ""), headers), body


def error_of(reply: Reply) -> str:
    """The code of a refusal, which stands in a header."""
    return reply.headers.get("x-amzn-errortype", "")


def _head(method: str, target: str, headers: dict[str, str]) -> Head:
    path, _, query = target.partition("?")
    raw = tuple((name.encode(), value.encode()) for name, value in headers.items())
    return Head(method, path, dict(parse_qsl(query, keep_blank_values=True)), headers, raw, target=target.encode())


def _text(value: object) -> str:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    return text.encode("utf-8", "replace").decode()
