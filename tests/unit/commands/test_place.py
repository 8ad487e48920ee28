"""How a server is found."""

from pathlib import Path

import pytest

from penstock.commands.place import ENDPOINT_DEFAULT, CommandError, Place, Where, find

FILE = '{"http": "http://127.0.0.1:5000", "region": "eu-west-1", "pid": 1}'


@pytest.fixture
def running(tmp_path: Path) -> str:
    (tmp_path / "endpoint.json").write_text(FILE)
    return str(tmp_path)


def test_find_prefers_what_was_said_in_words(running: str) -> None:
    environment = {"AWS_ENDPOINT_URL": "http://env", "PENSTOCK_DATA_DIR": running}

    assert find(Where(endpoint="http://said", data_dir=running), environment) == Place("http://said", None)
    assert find(Where(data_dir=running), environment) == Place("http://127.0.0.1:5000", "eu-west-1")
    assert find(Where(), environment) == Place("http://env", None)
    assert find(Where(), {"AWS_ENDPOINT_URL_KINESIS": "http://k", **environment}) == Place("http://k", None)
    assert find(Where(), {"PENSTOCK_DATA_DIR": running}) == Place("http://127.0.0.1:5000", "eu-west-1")


def test_find_when_nothing_was_said_and_nothing_runs_tries_the_default_port(tmp_path: Path) -> None:
    assert find(Where(), {"PENSTOCK_DATA_DIR": str(tmp_path)}) == Place(ENDPOINT_DEFAULT, None)


def test_find_when_the_named_directory_has_no_server_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=f"no server runs on {tmp_path}: .* `penstock serve --data-dir {tmp_path}`"):
        find(Where(data_dir=str(tmp_path)), {})
