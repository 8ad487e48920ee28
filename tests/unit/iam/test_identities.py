"""The view of identities: access keys, sessions, and who is allowed what by which policies."""

import json
import logging

import msgspec
import pytest
from identity_world import ACCOUNT, NOW_MS, OTHER, ROOT, KeyInMemory, World, caller, with_
from msgspec.structs import replace

from penstock.core.errors import ServiceError
from penstock.core.ids import Millis
from penstock.engines.api import Write
from penstock.services.iam.evaluate import Request, evaluate
from penstock.services.iam.identities import MasterKeyProblem
from penstock.services.iam.managed import AWS_POLICIES
from penstock.services.iam.ops import attachment, inline, key, role, sts, user
from penstock.services.iam.policy import PolicyKind, parse_policy
from penstock.services.iam.principals import PrincipalKind
from penstock.services.iam.records import AccessKey, Account, Role, User, decode, encode
from penstock.services.iam.vault import Session

STREAM = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"
PUT = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kinesis:Put*", "Resource": STREAM}]}
)


def may(world: World, key_id: str, token: str | None, action: str) -> bool:
    identity = world.iam.identities.identity_of(key_id, token, world.clock.now_ms())
    assert identity is not None
    return evaluate(identity, Request(action, STREAM, ACCOUNT)).allowed


def test_key_when_made_then_it_is_found_with_its_secret_and_principal() -> None:
    world = World()
    world.user()
    made = world.key()
    found = world.iam.identities.find_key(made.access_key_id)
    assert found is not None
    assert found.secret == made.secret_access_key
    secret = world.iam.identities.secret(made.access_key_id, None)
    assert secret is not None
    assert (secret.secret_key, secret.session_token) == (made.secret_access_key, None)
    principal = world.iam.identities.principal_of(made.access_key_id, None, world.clock.now_ms())
    assert principal is not None
    assert (principal.kind, principal.arn) == (PrincipalKind.USER, f"arn:aws:iam::{ACCOUNT}:user/ann")


def test_key_when_inactive_deleted_or_unknown_then_nothing_can_be_signed_with_it() -> None:
    world = World()
    world.user()
    made = world.key()
    request = key.UpdateAccessKeyRequest(access_key_id=made.access_key_id, user_name="ann", status="Inactive")
    world.run(key.update_access_key(world.iam, ROOT, request))
    identities = world.iam.identities
    assert identities.secret(made.access_key_id, None) is None
    assert identities.identity_of(made.access_key_id, None, world.clock.now_ms()) is None
    gone = key.AccessKeyRequest(access_key_id=made.access_key_id, user_name="ann")
    world.run(key.delete_access_key(world.iam, ROOT, gone))
    assert identities.find_key(made.access_key_id) is None
    assert identities.secret("AKIANOBODY", None) is None


def test_view_when_another_process_has_the_same_store_and_key_then_it_knows_the_same() -> None:
    world = World()
    world.user()
    made = world.key()
    again = World(world.meta, world.master)
    secret = again.iam.identities.secret(made.access_key_id, None)
    assert secret is not None
    assert secret.secret_key == made.secret_access_key
    later = world.key(None)  # seen by the other through its watch
    assert again.iam.identities.secret(later.access_key_id, None) is not None


def test_sessions_when_another_process_has_the_same_key_then_it_knows_them_without_the_store() -> None:
    world = World()
    arn = world.role().arn
    before = dict(world.run(world.meta.scan("")))
    given = world.assume(ROOT, arn).credentials
    assert dict(world.run(world.meta.scan(""))) == before, "nothing is written"
    again = World(world.meta, world.master)
    secret = again.iam.identities.secret(given.access_key_id, given.session_token)
    assert secret is not None
    assert secret.secret_key == given.secret_access_key
    assert (secret.session_token, secret.expires_ms) == (given.session_token, given.expiration)


def test_open_when_the_master_key_is_another_then_those_keys_are_sealed_shut() -> None:
    world = World()
    made = world.key(None)
    for master in (KeyInMemory(bytes(32)), KeyInMemory()):
        other = World(world.meta, master)
        assert other.iam.identities.sealed_shut() == [made.access_key_id]
        assert other.iam.identities.secret(made.access_key_id, None) is None
    with pytest.raises(MasterKeyProblem, match="put it back"):
        World(world.meta, KeyInMemory()).run(World(world.meta, KeyInMemory()).iam.identities.vault())


def test_session_when_its_role_is_deleted_and_made_again_then_it_is_over() -> None:
    world = World()
    arn = world.role().arn
    given = world.assume(ROOT, arn).credentials
    lookup = world.iam.identities.lookup(given.session_token)
    assert lookup(given.access_key_id) is not None
    world.run(role.delete_role(world.iam, ROOT, role.RoleRequest(role_name="reader")))
    assert lookup(given.access_key_id) is None
    world.role()
    assert lookup(given.access_key_id) is None


def test_session_when_its_time_is_over_then_it_has_no_identity_and_the_signature_says_expired() -> None:
    world = World()
    given = world.assume(ROOT, world.role().arn, duration_seconds=900).credentials
    ends_ms = NOW_MS + 900_000
    assert given.expiration == ends_ms
    identities = world.iam.identities
    assert identities.identity_of(given.access_key_id, given.session_token, Millis(ends_ms - 1)) is not None
    assert identities.identity_of(given.access_key_id, given.session_token, Millis(ends_ms)) is None
    secret = identities.secret(given.access_key_id, given.session_token)
    assert secret is not None
    assert secret.expires_ms == ends_ms


def test_policies_when_attached_inline_or_taken_away_then_decisions_follow() -> None:
    world = World()
    world.user()
    key_id = world.key().access_key_id
    assert not may(world, key_id, None, "kinesis:PutRecord")
    request = inline.PutUserPolicyRequest(user_name="ann", policy_name="put", policy_document=PUT)
    world.run(inline.put_user_policy(world.iam, ROOT, request))
    assert may(world, key_id, None, "kinesis:PutRecord")
    assert not may(world, key_id, None, "kinesis:GetRecords")
    reads = attachment.AttachUserPolicyRequest(
        user_name="ann", policy_arn="arn:aws:iam::aws:policy/AmazonKinesisReadOnlyAccess"
    )
    world.run(attachment.attach_user_policy(world.iam, ROOT, reads))
    assert may(world, key_id, None, "kinesis:GetRecords")
    bound = attachment.UserBoundaryRequest(
        user_name="ann", permissions_boundary="arn:aws:iam::aws:policy/AmazonKinesisReadOnlyAccess"
    )
    world.run(attachment.put_user_permissions_boundary(world.iam, ROOT, bound))
    assert not may(world, key_id, None, "kinesis:PutRecord")
    assert may(world, key_id, None, "kinesis:GetRecords")


def test_session_policy_when_passed_then_it_caps_what_the_role_may() -> None:
    world = World()
    arn = world.role().arn
    everything = attachment.AttachRolePolicyRequest(
        role_name="reader", policy_arn="arn:aws:iam::aws:policy/AmazonKinesisFullAccess"
    )
    world.run(attachment.attach_role_policy(world.iam, ROOT, everything))
    free, capped = world.assume(ROOT, arn).credentials, world.assume(ROOT, arn, policy=PUT).credentials
    assert may(world, free.access_key_id, free.session_token, "kinesis:GetRecords")
    assert may(world, capped.access_key_id, capped.session_token, "kinesis:PutRecord")
    assert not may(world, capped.access_key_id, capped.session_token, "kinesis:GetRecords")
    reads = [sts.PolicyDescriptor(arn="arn:aws:iam::aws:policy/AmazonKinesisReadOnlyAccess")]
    listed = world.assume(ROOT, arn, policy_arns=reads).credentials
    assert not may(world, listed.access_key_id, listed.session_token, "kinesis:PutRecord")
    assert may(world, listed.access_key_id, listed.session_token, "kinesis:GetRecords")


def test_identity_when_nothing_changed_then_it_is_the_same_object_and_after_a_change_another() -> None:
    world = World()
    world.user()
    key_id = world.key().access_key_id
    now_ms = world.clock.now_ms()
    first = world.iam.identities.identity_of(key_id, None, now_ms)
    assert world.iam.identities.identity_of(key_id, None, now_ms) is first
    world.user("bob")
    assert world.iam.identities.identity_of(key_id, None, now_ms) is not first


def test_stored_policy_when_it_cannot_be_read_then_everything_is_denied(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.user()
    key_id = world.key().access_key_id
    held = world.iam.identities.find(User, ACCOUNT, "ann")
    assert held is not None
    broken = replace(held.record, inline={"a": PUT, "b": "of a version to come"})
    world.run(world.meta.commit([Write(broken.key, encode(broken), held.version)]))
    with caplog.at_level(logging.ERROR):
        assert not may(world, key_id, None, "kinesis:PutRecord")
    assert "denies everything" in caplog.text


def test_keys_when_two_are_made_at_once_then_the_second_process_is_told() -> None:
    world = World()
    world.user()
    held = world.iam.find_user(ACCOUNT, "ann")
    world.run(world.iam.new_key(ACCOUNT, held))
    with pytest.raises(ServiceError, match="ConcurrentModification"):
        world.run(world.iam.new_key(ACCOUNT, held))  # of the version before


def test_third_key_is_refused_for_users_and_root() -> None:
    world = World()
    world.user()
    for name in ("ann", None):
        world.key(name)
        world.key(name)
        with pytest.raises(ServiceError, match="Cannot exceed quota for AccessKeysPerUser: 2"):
            world.key(name)


def test_account_when_a_key_is_made_for_it_then_it_exists() -> None:
    world = World()
    made = key.create_access_key(world.iam, caller(account=OTHER), key.CreateAccessKeyRequest())
    key_id = world.run(made).access_key.access_key_id
    assert [held.account for held in world.iam.identities.all(Account)] == [OTHER]
    principal = world.iam.principal(caller(key_id))
    assert (principal.kind, principal.account) == (PrincipalKind.ROOT, OTHER)


def test_clear_when_called_then_only_the_roots_keys_of_the_servers_account_stay() -> None:
    world = World()
    world.user()
    world.key()
    mine = world.key(None).access_key_id
    world.run(key.create_access_key(world.iam, caller(account=OTHER), key.CreateAccessKeyRequest()))
    world.role()
    world.run(world.iam.clear())
    assert [held.id for held in world.iam.identities.all(AccessKey)] == [mine]
    assert world.iam.identities.all(Role) + world.iam.identities.all(User) == []


def test_secrets_when_things_are_printed_or_logged_then_they_are_not_in_it() -> None:
    world = World()
    secret_words = []
    made = world.run(world.iam.new_key(ACCOUNT, None))
    session = Session("root", ACCOUNT, "", ACCOUNT, "", Millis(1), Millis(NOW_MS * 2))
    given = world.run(world.iam.temporary(session))
    secret_words += [made.secret, given.secret]
    held = world.iam.identities.find_key(made.record.id)
    told = repr([made, given, held, world.iam.identities.secret(given.key_id, given.token)])
    assert not any(word in told for word in secret_words)
    assert not any(word.encode() in value.value for word in secret_words for _, value in world.run(world.meta.scan("")))


def test_records_when_a_key_is_of_no_kind_then_it_does_not_decode() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode("iam/nothing/1", b"\x80")
    record = Account(account=ACCOUNT, created_ms=Millis(1))
    assert decode(record.key, encode(record)) == record


@pytest.mark.parametrize("arn", AWS_POLICIES)
def test_aws_policies_when_parsed_then_they_are_policies(arn: str) -> None:
    parse_policy(AWS_POLICIES[arn].document, PolicyKind.IDENTITY)


def test_caller_when_its_credentials_are_not_known_then_it_is_the_root_of_its_account() -> None:
    world = World()
    assert world.iam.principal(caller("anything", account=OTHER)).arn == f"arn:aws:iam::{OTHER}:root"
    given = world.assume(ROOT, world.role().arn).credentials
    assert world.iam.principal(with_(given)).arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/me"
    forged = caller(given.access_key_id, given.session_token[:-8] + "AAAAAAA=")
    assert world.iam.principal(forged).kind is PrincipalKind.ROOT


def test_user_when_deleted_and_made_again_then_sessions_of_the_first_are_over() -> None:
    world = World()
    world.user()
    key_id = world.key().access_key_id
    asked = sts.GetSessionTokenRequest()
    given = world.run(sts.get_session_token(world.iam, caller(key_id), asked)).credentials
    assert world.iam.principal(with_(given)).arn.endswith("user/ann")
    world.run(key.delete_access_key(world.iam, ROOT, key.AccessKeyRequest(access_key_id=key_id, user_name="ann")))
    world.run(user.delete_user(world.iam, ROOT, user.UserRequest(user_name="ann")))
    world.user()
    assert world.iam.identities.secret(given.access_key_id, given.session_token) is None
