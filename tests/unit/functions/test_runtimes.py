"""The configuration of a function: tables that are ours but must be the model's."""

from botocore.session import get_session

from penstock.services.functions.ops.configuration import RUNTIMES


def test_runtimes_are_those_of_the_model() -> None:
    assert set(RUNTIMES) == set(get_session().get_service_model("lambda").shape_for("Runtime").enum)
