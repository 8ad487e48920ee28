"""URLs with a password in them, at rest."""

from penstock.services.firehose.vault import put_together, take_apart


def test_url_when_it_holds_a_password_is_kept_without_it_and_put_together_again() -> None:
    document: dict[str, object] = {"ClusterEndpoint": "https://admin:hunter2@search:9200", "IndexName": "i"}
    kept, secrets = take_apart(document)
    assert kept == {"ClusterEndpoint": "https://search:9200", "IndexName": "i"}
    assert put_together(kept, secrets) == document


def test_url_when_it_holds_none_is_no_secret() -> None:
    document: dict[str, object] = {"ClusterEndpoint": "https://search:9200", "Password": "p"}
    kept, secrets = take_apart(document)
    assert kept == {"ClusterEndpoint": "https://search:9200"}
    assert secrets == {"Password": "p"}
