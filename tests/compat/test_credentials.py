"""`penstock credentials` as a user runs it, beside a server and without one, and the first start with `--auth enforced`."""

import asyncio
import dataclasses
import json
import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import botocore.session
import pytest
from test_command_line import _ended, _started

from penstock.app import make_app
from penstock.core.settings import SettingError, load
from penstock.host.masterkey import MASTER_KEY_FILE
from penstock.host.rootkey import ROOT_CREDENTIALS_FILE, read_credentials

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
OTHER = "222222222222"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PENSTOCK_"))}
    return subprocess.run(
        [PENSTOCK, "credentials", *words, "--data-dir", "data"],
        cwd=folder, env=clean, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def said(folder: Path, *words: str) -> str:
    done = run(folder, *words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def made(text: str) -> tuple[str, str]:
    found = re.search(r"aws_access_key_id = (AKIA[A-Z2-7]{16})\n  aws_secret_access_key = (\S{40})\n", text)
    assert found is not None
    return found[1], found[2]


def complaint(folder: Path, *words: str) -> str:
    done = run(folder, *words)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    return line


def files_that_hold(folder: Path, text: str) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    process, text = _started(tmp_path, "--no-tls")
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+", text)
        assert found is not None
        yield found[0]
    finally:
        _ended(process)


def test_without_a_server_keys_are_made_listed_rotated_and_revoked(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(
        json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kinesis:*", "Resource": "*"}]}
        )
    )
    first, secret = made(said(tmp_path, "create", "--user", "ann", "--policy", "p.json"))
    root, _ = made(said(tmp_path, "create", "--account", OTHER))
    listed = said(tmp_path, "list")
    assert re.search(rf"{first}  123456789012  ann +Active", listed)
    assert re.search(rf"{root}  {OTHER}  \(root\) +Active", listed)
    assert secret not in listed
    assert first not in said(tmp_path, "list", "--account", OTHER)
    rotated = said(tmp_path, "rotate", first)
    second, _ = made(rotated)
    assert f"{first} is deleted." in rotated
    listed = said(tmp_path, "list")
    assert (first in listed, second in listed) == (False, True)
    assert said(tmp_path, "revoke", second) == f"{second} is deleted.\n"
    assert second not in said(tmp_path, "list")
    replaced, _ = made(said(tmp_path, "rotate", root))
    assert re.search(rf"{replaced}  {OTHER}  \(root\) +Active", said(tmp_path, "list")), "in the account of the old one"


def test_a_secret_is_in_no_file_and_the_master_key_is_the_owners(tmp_path: Path) -> None:
    _, secret = made(said(tmp_path, "create", "--user", "ann", "--admin"))
    assert files_that_hold(tmp_path, secret) == set()
    assert stat.S_IMODE((tmp_path / "data" / MASTER_KEY_FILE).stat().st_mode) == 0o600
    key_id, secret = made(said(tmp_path, "create"))
    assert files_that_hold(tmp_path, secret) == {ROOT_CREDENTIALS_FILE}
    path = tmp_path / "data" / ROOT_CREDENTIALS_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_credentials(path) == (key_id, secret)
    rotated, secret = made(said(tmp_path, "rotate", key_id))
    assert read_credentials(path) == (rotated, secret)


def test_beside_a_server_keys_are_made_through_it(served: str, tmp_path: Path) -> None:
    key_id, secret = made(said(tmp_path, "create", "--user", "ann", "--admin"))
    client = boto3.client(
        "sts", endpoint_url=served, region_name="us-east-1", aws_access_key_id=key_id, aws_secret_access_key=secret
    )
    assert client.get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:user/ann"
    other, _ = made(said(tmp_path, "create", "--account", OTHER))
    assert re.search(rf"{key_id}  123456789012  ann +Active", said(tmp_path, "list"))
    assert re.search(rf"{other}  {OTHER}  \(root\) +Active", said(tmp_path, "list", "--account", OTHER))
    rotated = said(tmp_path, "rotate", key_id, "--grace", "0s")
    assert f"{key_id} is inactive." in rotated
    assert re.search(rf"{key_id}  123456789012  ann +Inactive", said(tmp_path, "list"))
    assert said(tmp_path, "revoke", key_id) == f"{key_id} is deleted.\n"
    assert "no access key AKIAX" in complaint(tmp_path, "revoke", "AKIAX" + "X" * 15)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["revoke", "AKIA" + "X" * 16], "there is no access key"),
        (["rotate", "AKIA" + "X" * 16, "--grace", "1m"], "leave out --grace"),
        (["rotate", "AKIA" + "X" * 16, "--grace", "soon"], "must be a duration such as"),
        (["create", "--admin"], "need --user"),
        (["create", "--user", "a", "--policy", "none.json"], "none.json"),
        (["list", "--account", "1"], "must be 12 digits"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], line: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert line in complaint(tmp_path, *words)


def test_a_directory_that_is_not_there_or_a_third_key_is_one_line(tmp_path: Path) -> None:
    assert "No such file or directory" in complaint(tmp_path, "list")
    said(tmp_path, "create")
    said(tmp_path, "create")
    assert "Cannot exceed quota for AccessKeysPerUser: 2" in complaint(tmp_path, "create")


def test_a_directory_whose_master_key_is_gone_takes_no_new_secrets(tmp_path: Path) -> None:
    key_id, _ = made(said(tmp_path, "create"))
    (tmp_path / "data" / MASTER_KEY_FILE).unlink()
    assert "master key that is not there" in complaint(tmp_path, "create")
    assert key_id in said(tmp_path, "list")
    said(tmp_path, "revoke", key_id)
    said(tmp_path, "create")


def enforced(folder: Path, **more: str) -> tuple[str, str] | None:
    """Start a server as `--auth enforced` will, and stop it: the root key that this start made."""
    settings = load({"port": "0", "no_tls": "true", "data_dir": str(folder), **more}, {}, None)

    async def start() -> tuple[str, str] | None:
        app = make_app(dataclasses.replace(settings, auth="enforced"))
        await app.start()
        await app.stop()
        return None if app.root_key is None else (app.root_key.record.id, app.root_key.secret)

    return asyncio.run(start())


def test_the_first_enforced_start_makes_one_root_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "data"
    with caplog.at_level(logging.DEBUG):
        made_key = enforced(folder)
        assert made_key is not None
        assert enforced(folder) is None, "the second start makes none"
    key_id, secret = made_key
    assert secret not in caplog.text
    path = folder / ROOT_CREDENTIALS_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    session = boto3.Session(botocore_session=_shared(path))
    found = session.get_credentials()
    assert found is not None
    assert (found.access_key, found.secret_key) == (key_id, secret)
    assert files_that_hold(folder, secret) == {ROOT_CREDENTIALS_FILE}


def _shared(path: Path) -> botocore.session.Session:
    session = botocore.session.Session()
    session.set_config_variable("credentials_file", str(path))
    return session


def test_an_enforced_start_without_the_right_master_key_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    enforced(folder)
    (folder / MASTER_KEY_FILE).rename(tmp_path / "elsewhere.key")
    with pytest.raises(SettingError, match="put the master key back"):
        enforced(folder)
    assert enforced(folder, master_key_file=str(tmp_path / "elsewhere.key")) is None
    (tmp_path / "other.key").write_text("0" * 64)
    with pytest.raises(SettingError, match="cannot be opened with"):
        enforced(folder, master_key_file=str(tmp_path / "other.key"))
    (tmp_path / "other.key").write_text("no key")
    with pytest.raises(SettingError, match="must hold 64 hexadecimal digits"):
        enforced(folder, master_key_file=str(tmp_path / "other.key"))
    assert enforced(folder, master_key_file=str(tmp_path / "elsewhere.key")) is None, "nothing of those kept the lock"


def test_an_enforced_start_after_a_key_was_made_takes_that_one(tmp_path: Path) -> None:
    key_id, secret = made(said(tmp_path, "create"))
    assert enforced(tmp_path / "data") is None
    assert read_credentials(tmp_path / "data" / ROOT_CREDENTIALS_FILE) == (key_id, secret)


def test_beside_an_enforcing_server_the_root_key_opens_every_account(tmp_path: Path) -> None:
    process, welcome = _started(tmp_path, "--no-tls", "--auth", "enforced")
    try:
        assert process.stdout is not None
        shown = welcome
        for line in process.stdout:
            shown += line
            if line.startswith("Use it:"):
                break
        root, secret = made(shown)
        assert shown.count(secret) == 1
        assert f"AWS_SHARED_CREDENTIALS_FILE={tmp_path / 'data' / ROOT_CREDENTIALS_FILE}" in shown
        ann, _ = made(said(tmp_path, "create", "--user", "ann", "--admin"))
        bob, _ = made(said(tmp_path, "create", "--account", OTHER, "--user", "bob"))
        assert re.search(rf"{bob}  {OTHER}  bob +Active", said(tmp_path, "list", "--account", OTHER))
        rotated, _ = made(said(tmp_path, "rotate", root))
        listed = said(tmp_path, "list")
        assert (root in listed, rotated in listed, ann in listed, bob in listed) == (False, True, True, False)
        (tmp_path / "data" / ROOT_CREDENTIALS_FILE).unlink()
        assert "no root key" in complaint(tmp_path, "list")
    finally:
        _ended(process)


def test_check_inspect_and_backup_know_identities_and_tell_no_secret(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made_key = enforced(folder)
    assert made_key is not None
    for words, expected in (
        (["check", "data"], "Sound."),
        (["inspect", "data"], ""),
        (["backup", "data", "copy"], "complete"),
        (["check", "copy"], "Sound."),
    ):
        done = subprocess.run([PENSTOCK, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert expected in done.stdout
        assert made_key[1] not in done.stdout
    assert not {MASTER_KEY_FILE, ROOT_CREDENTIALS_FILE} & {path.name for path in (tmp_path / "copy").rglob("*")}
    with pytest.raises(SettingError, match="put the master key back"):
        enforced(tmp_path / "copy")


def test_check_tells_of_an_identity_that_does_not_decode(tmp_path: Path) -> None:
    from penstock.engines.api import Write
    from penstock.engines.local.meta import SqliteMeta

    enforced(tmp_path / "data")

    async def damage() -> None:
        meta = await SqliteMeta.open(tmp_path / "data" / "meta.sqlite")
        await meta.commit([Write("iam/user/123456789012/x", b"\x80", 0)])
        await meta.close()

    asyncio.run(damage())
    done = subprocess.run(
        [PENSTOCK, "check", "data"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "the value of 'iam/user/123456789012/x' does not decode" in done.stdout
