"""Runtimes: a list of ours that must be the model's."""

from botocore.model import StringShape
from botocore.session import get_session

from penstock.services.functions.ops.configuration import RUNTIMES


def test_runtimes_are_those_of_the_model() -> None:
    shape = get_session().get_service_model("lambda").shape_for("Runtime")
    assert isinstance(shape, StringShape)
    assert set(RUNTIMES) == set(shape.enum)
