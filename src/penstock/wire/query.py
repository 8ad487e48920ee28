"""AWS query protocol: form-encoded requests, XML answers.

Parameters spell a path into the input (`Tags.member.1.Key=a`); an answer wraps its result twice,
`<OpResponse><OpResult>...</OpResult><ResponseMetadata>...`.  Source: the query protocol of the API models.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from penstock.core.errors import Error, ServiceError
from penstock.wire.document import Scalars
from penstock.wire.json import decode_base64, encode_base64
from penstock.wire.model import OperationModel, ServiceModel, Shape

_OTHER_CODES: Final = {
    "ValidationException": "ValidationError",
    "UnknownOperationException": "InvalidAction",
    "SerializationException": "MalformedInput",  # UNVERIFIED: code
}
_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)
_REAL = re.compile(r"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,4})?|NaN|[+-]?Infinity", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_MARKUP: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# what a refusal echoes may hold characters that XML has not; they are listed, because their complement takes ten times as long to compile
_NO_XML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def read_input(shape: Shape | None, form: Mapping[str, str]) -> dict[str, Any]:
    """The input document that a form spells; texts become numbers and booleans as the shape asks."""
    document = _read(shape, form, "") if shape is not None else None
    return document if isinstance(document, dict) else {}


def _read(shape: Shape, form: Mapping[str, str], path: str) -> Any:
    match shape.kind:
        case "structure":
            members = {
                name: _read(member, form, f"{path}.{member.flat or name}" if path else member.flat or name)
                for name, member in shape.members.items()
            }
            found = {name: value for name, value in members.items() if value is not None}
            return found if found or not path else None
        case "list":
            items = _members(shape.member, form, path if shape.flat else f"{path}.{shape.item}")
            return list(items) or ([] if form.get(path) == "" else None)
        case "map":
            entries = _entries(shape, form, path if shape.flat else path + ".entry")
            return dict(entries) or ({} if form.get(path) == "" else None)
        case _:
            text = form.get(path)
            return None if text is None else read_scalar(shape, text)


def _members(member: Shape | None, form: Mapping[str, str], path: str) -> Iterator[Any]:
    assert member is not None
    for number in count(1):  # a form is finite, and so bounded
        value = _read(member, form, f"{path}.{number}")
        if value is None:
            return
        yield value


def _entries(shape: Shape, form: Mapping[str, str], path: str) -> Iterator[tuple[str, Any]]:
    assert shape.member is not None
    key_name, value_name = shape.entry
    for number in count(1):
        key = form.get(f"{path}.{number}.{key_name}")
        if key is None:
            return
        yield key, _read(shape.member, form, f"{path}.{number}.{value_name}")


def read_scalar(shape: Shape, text: str) -> Any:
    """What a text stands for where the shape asks for no text; the text itself where it stands for nothing such."""
    if shape.kind in ("integer", "long"):
        return int(text) if _NUMBER.fullmatch(text) else text
    if shape.kind in ("float", "double"):
        return float(text) if _REAL.fullmatch(text) else text
    if shape.kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return _seconds(text) if shape.kind == "timestamp" else text


def _seconds(text: str) -> float:
    """The moment that a text tells; UTC where it does not say."""
    if _MOMENT.fullmatch(text):
        with suppress(ValueError):  # the 30th of February
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    raise Error.WRONG_TYPE(text="timestamp must follow ISO8601")  # source: aws/aws-sdk-js#1922


def write_output(
    service: ServiceModel, operation: OperationModel, document: Mapping[str, Any], request_id: str
) -> bytes:
    """The XML answer for an output document."""
    result = _children(operation.output, document) if operation.output is not None else ""
    wrapped = (
        f"<{operation.output_wrapper}>{result}</{operation.output_wrapper}>" if operation.output_wrapper else result
    )
    metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    name, namespace = f"{operation.name}Response", service.xml_namespace
    return f'<{name} xmlns="{namespace}">{wrapped}{metadata}</{name}>'.encode()


def error_status(error: ServiceError, service: ServiceModel) -> int:
    """The HTTP status of a refusal: 403 for credentials that no service's model speaks of."""
    foreign = error.code not in service.error_codes
    return 403 if foreign and error.status == 400 and "Token" in error.code else error.status


def write_error(error: ServiceError, service: ServiceModel, request_id: str) -> bytes:
    """The XML answer for a refusal.  Codes that are not the service's own lose the suffix that other protocols give them."""
    namespace = service.xml_namespace
    code, fault = code_and_fault(error, service).split(";")
    body = f"<Error><Type>{fault}</Type><Code>{code}</Code><Message>{_text(error.message or '')}</Message></Error>"
    return f'<ErrorResponse xmlns="{namespace}">{body}<RequestId>{request_id}</RequestId></ErrorResponse>'.encode()


def code_and_fault(error: ServiceError, service: ServiceModel) -> str:
    """The code of a refusal in this protocol, and whose fault it is: `InvalidParameterValue;Sender`."""
    fault = "Sender" if error.status < 500 else "Receiver"
    return f"{error.code if error.code in service.error_codes else _code(error.code, service)};{fault}"


def _code(code: str, service: ServiceModel) -> str:
    return service.query_codes.get(code) or _OTHER_CODES.get(code) or code.removesuffix("Exception")


def bare_error(error: ServiceError) -> bytes:
    """The XML for a refusal of a request that is no call of any service.  Source: recorded answers."""
    if error.message is None:
        return f"<{error.code}/>\n".encode()
    return f"<{error.code}>\n  <Message>{_text(error.message)}</Message>\n</{error.code}>\n".encode()


def _text(text: str) -> str:
    """A text in XML; what XML cannot carry, escaped or not, becomes U+FFFD."""
    return _NO_XML.sub("\ufffd", text).translate(_MARKUP)


def _children(shape: Shape, value: Mapping[str, Any]) -> str:
    return "".join(_element(name, member, value[name]) for name, member in shape.members.items() if name in value)


def _element(name: str, shape: Shape, value: Any) -> str:
    match shape.kind:
        case "structure":
            inner = _children(shape, value)
        case "list" | "map" if shape.flat:
            return _items(shape, value, shape.flat)
        case "list":
            inner = _items(shape, value, shape.item)
        case "map":
            inner = _items(shape, value, "entry")
        case "boolean":
            inner = "true" if value else "false"
        case _:
            inner = _text(str(value))
    return f"<{name}>{inner}</{name}>"


def _items(shape: Shape, value: Any, element: str) -> str:
    """The items of a list, or the entries of a map."""
    assert shape.member is not None
    if shape.kind == "list":
        return "".join(_element(element, shape.member, item) for item in value)
    key_name, value_name = shape.entry
    return "".join(
        f"<{element}><{key_name}>{_text(key)}</{key_name}>{_element(value_name, shape.member, item)}</{element}>"
        for key, item in value.items()
    )


SCALARS: Final = Scalars(
    blob_in=decode_base64,
    blob_out=encode_base64,
    timestamp_in=lambda seconds: round(seconds * 1000),
    timestamp_out=lambda ms: (
        datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    ),
)
