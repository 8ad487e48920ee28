"""The vault: what it seals it opens, for its own access key and master key alone."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.ids import AccountId, Millis
from penstock.services.iam.vault import MASTER_KEY_BYTES, NONCE_BYTES, TOKEN_MAX_CHARS, Session, Vault

VAULT = Vault(bytes(MASTER_KEY_BYTES))
OTHER = Vault(b"\1" * MASTER_KEY_BYTES)
NONCE = bytes(NONCE_BYTES)
SESSION = Session("role", AccountId("123456789012"), "reader", "AROA1", "me", Millis(1), Millis(2))


def test_secret_when_sealed_then_only_the_same_vault_and_key_id_open_it() -> None:
    sealed = VAULT.seal_secret("AKIA1", "the secret", NONCE)
    assert b"the secret" not in sealed
    assert VAULT.open_secret("AKIA1", sealed) == "the secret"
    assert VAULT.open_secret("AKIA2", sealed) is None
    assert OTHER.open_secret("AKIA1", sealed) is None
    assert VAULT.open_secret("AKIA1", b"") is None


def test_session_when_sealed_then_only_the_same_vault_and_key_id_open_it() -> None:
    token = VAULT.seal_session("ASIA1", SESSION, NONCE)
    assert VAULT.open_session("ASIA1", token) == SESSION
    assert VAULT.open_session("ASIA2", token) is None
    assert OTHER.open_session("ASIA1", token) is None


def test_session_token_when_read_then_it_tells_neither_role_nor_secret() -> None:
    token = VAULT.seal_session("ASIA1", SESSION, NONCE)
    assert "reader" not in token
    assert VAULT.session_secret("ASIA1") not in token


def test_session_secret_when_derived_then_it_depends_on_key_id_and_master_key() -> None:
    secrets = {VAULT.session_secret("ASIA1"), VAULT.session_secret("ASIA2"), OTHER.session_secret("ASIA1")}
    assert len(secrets) == 3
    assert {len(secret) for secret in secrets} == {40}


def test_a_secret_when_taken_for_a_session_then_it_is_none() -> None:
    from base64 import b64encode

    sealed = VAULT.seal_secret("AKIA1", msgspec.msgpack.encode(SESSION).decode("latin-1"), NONCE)
    assert VAULT.open_session("AKIA1", b64encode(sealed).decode()) is None


@pytest.mark.parametrize("token", ["", "x", "AAAA", "é", "A" * (TOKEN_MAX_CHARS + 4), "=" * 80])
def test_session_when_the_token_is_no_token_then_it_is_none(token: str) -> None:
    assert VAULT.open_session("ASIA1", token) is None


def test_session_when_its_token_is_longer_than_any_is_then_it_is_not_looked_at() -> None:
    long = msgspec.structs.replace(SESSION, policy="x" * TOKEN_MAX_CHARS)
    assert VAULT.open_session("ASIA1", VAULT.seal_session("ASIA1", long, NONCE)) is None


@given(st.text(max_size=200))
def test_session_when_the_token_is_any_text_then_it_is_none(token: str) -> None:
    assert VAULT.open_session("ASIA1", token) is None


sessions = st.builds(
    Session,
    kind=st.sampled_from(["role", "user", "root"]),
    account=st.from_regex(r"[0-9]{12}", fullmatch=True).map(AccountId),
    name=st.text(max_size=64),
    uid=st.text(max_size=21),
    session=st.text(max_size=64),
    issued_ms=st.integers(0, 2**45).map(Millis),
    expires_ms=st.integers(0, 2**45).map(Millis),
    policy=st.none() | st.text(max_size=100),
    policy_arns=st.lists(st.text(max_size=30), max_size=3).map(tuple),
    provider=st.text(max_size=30),
)


@given(sessions, st.binary(min_size=12, max_size=12), st.data())
def test_session_when_one_letter_of_its_token_changes_then_it_is_forged(
    session: Session, nonce: bytes, data: st.DataObject
) -> None:
    token = VAULT.seal_session("ASIA1", session, nonce)
    assert VAULT.open_session("ASIA1", token) == session
    at = data.draw(st.integers(0, len(token.rstrip("=")) - 2))  # the last letter has bits that mean nothing
    letter = data.draw(st.sampled_from("ABCDEFabcdef0123+/").filter(lambda drawn: drawn != token[at]))
    assert VAULT.open_session("ASIA1", token[:at] + letter + token[at + 1 :]) is None
    assert VAULT.open_session("ASIA1", token[:-4]) is None
