"""Making: each kind has a maker, and says what it lacks."""

import asyncio

import pytest
from peers import Secrets, standing
from test_destination_rules import GOOD, SECRET, shape

from penstock.core.errors import ServiceError
from penstock.services.firehose.destinations import making
from penstock.services.firehose.destinations.making import MAKERS, make_destination
from penstock.services.firehose.destinations.shapes import SHAPES, DestinationKind
from penstock.services.firehose.site import Places

PLACES = Places(search_endpoint="http://127.0.0.1:9200")


def made(kind: DestinationKind, secrets: Secrets | None = None, **change: object) -> object:
    async def scenario() -> object:
        async with standing(places=PLACES, secrets=secrets) as site:
            return make_destination(kind, shape(kind, **change), site)

    return asyncio.run(scenario())


def test_kinds_when_not_of_s3_all_have_makers() -> None:
    assert set(MAKERS) == set(SHAPES) - {"S3", "ExtendedS3"}


@pytest.mark.parametrize("kind", GOOD)
def test_destination_when_what_it_needs_is_there_is_made_and_else_names_the_extra(
    kind: DestinationKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "_is_installed", lambda module: True)
    destination = made(kind)
    assert getattr(destination, "hints").size_bytes > 0  # noqa: B009 - whatever kind it is
    monkeypatch.setattr(making, "_is_installed", lambda module: False)
    with pytest.raises(ServiceError, match=r"pip install 'penstock\[(firehose|iceberg|snowflake)\]'"):
        made(kind)


def test_module_when_it_or_its_package_is_missing_is_not_installed() -> None:
    assert making._is_installed("aiohttp")
    assert not making._is_installed("snowflake.ingest.streaming")
    assert not making._is_installed("no_such_module")


def test_credentials_when_they_are_a_secret_and_there_is_no_manager_are_refused() -> None:
    with pytest.raises(ServiceError, match="There is no Secrets Manager here"):
        made("HttpEndpoint", SecretsManagerConfiguration=SECRET)
    assert made("HttpEndpoint", Secrets({}), SecretsManagerConfiguration=SECRET)
