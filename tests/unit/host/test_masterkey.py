"""The files of secrets: made once, whole, and readable by their owner only."""

import asyncio
import logging
import stat
from pathlib import Path

import pytest

from penstock.host.entropy import SystemEntropy
from penstock.host.fetch import DOCUMENT_BYTES_MAX, CannotFetch, fetch
from penstock.host.masterkey import MasterKeyFile
from penstock.host.rootkey import read_credentials, write_credentials


def test_master_key_when_made_by_several_at_once_then_all_have_the_same(tmp_path: Path) -> None:
    path = tmp_path / "master.key"

    async def make() -> set[bytes]:
        files = [MasterKeyFile(path, SystemEntropy()) for _ in range(8)]
        assert await files[0].read() is None
        return set(await asyncio.gather(*(file.make() for file in files)))

    [key] = asyncio.run(make())
    assert len(key) == 32
    assert asyncio.run(MasterKeyFile(path, SystemEntropy()).read()) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["master.key"]


@pytest.mark.parametrize("content", [b"", b"0" * 63, b"0" * 65, b"g" * 64, b"0" * 5000])
def test_master_key_when_the_file_holds_none_then_it_says_so(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(content)
    for ask in (MasterKeyFile(path, SystemEntropy()).read, MasterKeyFile(path, SystemEntropy()).make):
        with pytest.raises(ValueError, match="must hold 64 hexadecimal digits"):
            asyncio.run(ask())
    assert path.read_bytes() == content


def test_master_key_when_everyone_can_read_it_then_that_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "master.key"
    path.write_text("0a" * 32 + "\n")
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(MasterKeyFile(path, SystemEntropy()).read()) == b"\x0a" * 32
    assert "everyone on this machine can read the master key" in caplog.text
    assert "0a0a" not in caplog.text


def test_root_credentials_when_written_again_then_they_are_replaced_and_private(tmp_path: Path) -> None:
    path = tmp_path / "root-credentials"
    assert read_credentials(path) is None
    path.write_text("[other]\n")
    assert read_credentials(path) is None
    write_credentials(path, "AKIA1", "a%(b)s/+")
    write_credentials(path, "AKIA2", "c%")
    assert read_credentials(path) == ("AKIA2", "c%")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "c%" not in repr(read_credentials(path))


def test_fetch_when_a_document_is_there_then_it_is_read_and_else_it_says_why(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(b"x" * DOCUMENT_BYTES_MAX)
    assert len(asyncio.run(fetch(str(path)))) == DOCUMENT_BYTES_MAX
    path.write_bytes(b"x" * (DOCUMENT_BYTES_MAX + 1))
    for source, why in (
        (str(path), "is larger than"),
        (str(tmp_path / "none"), "No such file"),
        (str(tmp_path), "Is a directory"),
        ("http://127.0.0.1:1/keys", "refused"),
        ("https://", "no host given"),
    ):
        with pytest.raises(CannotFetch, match=why):
            asyncio.run(fetch(source))
