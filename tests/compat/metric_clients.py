"""boto3 clients of CloudWatch that speak one protocol each; left to itself, boto3 would always choose the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import botocore.session
from botocore.config import Config

from penstock.testing import PenstockServer

PROTOCOLS: Final = ("smithy-rpc-v2-cbor", "json", "query")


def client_of(server: PenstockServer, protocol: str, **options: Any) -> Any:
    """A client that speaks `protocol`, does not retry and validates nothing."""
    session: Any = botocore.session.get_session()
    loader = session.get_component("data_loader")
    load = loader.load_service_model

    def chosen(service: str, kind: str, api_version: str | None = None) -> Any:
        model = load(service, kind, api_version)
        if kind != "service-2":
            return model
        return {**model, "metadata": {**model["metadata"], "protocol": protocol, "protocols": [protocol]}}

    loader.load_service_model = chosen
    key, secret = options.pop("credentials", server.credentials)
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False, **options)
    return session.create_client(
        "cloudwatch", endpoint_url=server.endpoint_url, region_name=server.region, config=config,
        aws_access_key_id=key, aws_secret_access_key=secret,
    )  # fmt: skip


@contextmanager
def sent(client: Any) -> Iterator[list[Any]]:
    """The requests that a client sends meanwhile."""
    seen: list[Any] = []

    def keep(request: Any, **_: Any) -> None:
        seen.append(request)

    client.meta.events.register("before-send", keep)
    yield seen
    client.meta.events.unregister("before-send", keep)
