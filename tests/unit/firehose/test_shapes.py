"""What configurations are read into is held against the API's model."""

import msgspec
import pytest

from penstock.host.apimodels import load_model
from penstock.services.firehose.destinations.shapes import SHAPES
from penstock.services.firehose.shapes import Shape
from penstock.wire.model import Shape as ModelShape

CREATE = load_model("firehose").operations["CreateDeliveryStream"].input


def unlike(shape: ModelShape, kind: type, path: str) -> list[str]:
    """Where a type differs from its shape in the model."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    problems = [f"{path}.{name}: only in one of the two" for name in fields.keys() ^ shape.members.keys()]
    for name in fields.keys() & shape.members.keys():
        member = shape.members[name]
        if member.kind == "structure":
            problems += unlike(member, inner(fields[name].type), f"{path}.{name}")
        elif member.kind == "list" and member.member is not None and member.member.kind == "structure":
            problems += unlike(member.member, inner(fields[name].type), f"{path}.{name}[]")
    return problems


def inner(annotation: object) -> type:
    """The struct in `X`, `X | None` or `Sequence[X]`."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    return next(found for one in annotation.__args__ if (found := inner(one)) is not type(None))  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", SHAPES)
def test_shape_of_a_destination_has_the_members_of_the_model(kind: str) -> None:
    assert CREATE is not None
    shape: type[Shape] = SHAPES[kind]  # type: ignore[index]
    assert unlike(CREATE.members[f"{kind}DestinationConfiguration"], shape, kind) == []
