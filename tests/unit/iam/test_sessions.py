"""STS: who may assume a role, for how long, and whose web identities are believed."""

import json
from typing import Any

import pytest
from identity_world import ACCOUNT, NOW_MS, OTHER, ROOT, World, caller, with_
from jwt_made import ISSUER, jwks, sign, text, token

from penstock.core.errors import ServiceError
from penstock.services.iam import oidc
from penstock.services.iam.evaluate import Request, evaluate
from penstock.services.iam.managed import TASK_POLICY_ARN
from penstock.services.iam.ops import attachment, inline, key, sts, user
from penstock.services.iam.ops.shapes import Tag

HOST = ISSUER.removeprefix("https://")
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"
WEB_TRUST = {
    "Action": "sts:AssumeRoleWithWebIdentity",
    "Condition": {
        "StringEquals": {f"{HOST}:sub": "system:serviceaccount:default:app", f"{HOST}:aud": "sts.amazonaws.com"}
    },
}


def code(world: World, work: Any) -> str:
    with pytest.raises(ServiceError) as refused:
        world.run(work)
    return refused.value.code


def assuming(world: World, who: Any, arn: str, **more: Any) -> Any:
    return sts.assume_role(world.iam, who, sts.AssumeRoleRequest(role_arn=arn, role_session_name="me", **more))


def test_assume_role_when_the_external_id_is_asked_for_then_only_that_one_gets_in() -> None:
    world = World()
    condition = {"Condition": {"StringEquals": {"sts:ExternalId": "right"}}}
    arn = world.role(statement=condition).arn
    assert world.assume(ROOT, arn, external_id="right").credentials.access_key_id.startswith("ASIA")
    assert code(world, assuming(world, ROOT, arn, external_id="wrong")) == "AccessDenied"
    assert code(world, assuming(world, ROOT, arn)) == "AccessDenied"


def test_assume_role_when_nobody_trusts_the_caller_or_there_is_no_role_then_it_is_denied_alike() -> None:
    world = World()
    arn = world.role(principal={"AWS": OTHER}).arn
    for wanted in (arn, arn + "x"):
        with pytest.raises(ServiceError) as refused:
            world.run(assuming(world, ROOT, wanted))
        assert refused.value.message == (
            f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: sts:AssumeRole on resource: {wanted}"
        )
        assert refused.value.status == 403


def test_assume_role_when_the_user_is_of_another_account_then_its_own_policies_must_allow_it_too() -> None:
    world = World()
    other = caller(account=OTHER)
    arn = world.role(principal={"AWS": OTHER}).arn
    world.run(user.create_user(world.iam, other, user.CreateUserRequest(user_name="eve")))
    made = world.run(key.create_access_key(world.iam, other, key.CreateAccessKeyRequest(user_name="eve"))).access_key
    eve = caller(made.access_key_id)
    assert code(world, assuming(world, eve, arn)) == "AccessDenied"
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": arn}]}
    request = inline.PutUserPolicyRequest(user_name="eve", policy_name="p", policy_document=json.dumps(allow))
    world.run(inline.put_user_policy(world.iam, other, request))
    given = world.assume(eve, arn)
    assert given.assumed_role_user.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/me"


def test_assume_role_when_a_root_that_is_known_asks_then_it_is_told_that_roots_may_not() -> None:
    world = World()
    arn = world.role().arn
    made = world.key(None)
    with pytest.raises(ServiceError, match="Roles may not be assumed by root accounts"):
        world.run(assuming(world, caller(made.access_key_id), arn))


@pytest.mark.parametrize(
    ("asked_s", "longest_s", "answer"),
    [(None, 3600, 3600), (900, 3600, 900), (3601, 3600, None), (43_200, 43_200, 43_200), (None, 43_200, 3600)],
)
def test_assume_role_when_a_duration_is_asked_for_then_the_roles_longest_caps_it(
    asked_s: int | None, longest_s: int, answer: int | None
) -> None:
    world = World()
    arn = world.role(max_session_duration=longest_s).arn
    if answer is None:
        assert code(world, assuming(world, ROOT, arn, duration_seconds=asked_s)) == "ValidationError"
    else:
        given = world.assume(ROOT, arn, duration_seconds=asked_s).credentials
        assert given.expiration == NOW_MS + answer * 1000


def test_assume_role_when_chained_then_an_hour_is_the_longest() -> None:
    world = World()
    first = world.role("first").arn
    second = world.role("second", principal={"AWS": first}, max_session_duration=43_200).arn
    chained = with_(world.assume(ROOT, first).credentials)
    assert world.assume(chained, second).credentials.expiration == NOW_MS + 3_600_000
    assert code(world, assuming(world, chained, second, duration_seconds=3601)) == "ValidationError"


@pytest.mark.parametrize(
    "more",
    [
        {"tags": [Tag(key="a", value="b")]},
        {"transitive_tag_keys": ["a"]},
        {"source_identity": "me"},
        {"serial_number": "arn:aws:iam::123456789012:mfa/x"},
    ],
    ids=lambda more: next(iter(more)),
)
def test_assume_role_when_it_asks_for_what_sessions_do_not_keep_then_it_is_refused(more: dict[str, Any]) -> None:
    world = World()
    with pytest.raises(ServiceError, match="supported by Penstock"):
        world.run(assuming(world, ROOT, world.role().arn, **more))


def test_assume_role_when_session_policies_are_wrong_then_it_is_refused() -> None:
    world = World()
    arn = world.role().arn
    long = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Sid": "a" * 2048}],
        }
    )
    missing = [sts.PolicyDescriptor(arn="arn:aws:iam::aws:policy/Nothing")]
    assert code(world, assuming(world, ROOT, arn, policy="{}")) == "MalformedPolicyDocument"
    assert code(world, assuming(world, ROOT, arn, policy=long)) == "PackedPolicyTooLarge"
    assert code(world, assuming(world, ROOT, arn, policy_arns=missing)) == "NoSuchEntity"


def test_get_session_token_when_called_by_root_or_session_then_an_hour_or_nothing() -> None:
    world = World()
    asked = sts.GetSessionTokenRequest(duration_seconds=129_600)
    given = world.run(sts.get_session_token(world.iam, ROOT, asked)).credentials
    assert given.expiration == NOW_MS + 3_600_000
    assert code(world, sts.get_session_token(world.iam, with_(given), asked)) == "AccessDenied"


def test_assume_root_when_called_from_the_servers_account_then_keys_can_be_made_in_another_and_nothing_else() -> None:
    world = World()
    asked = sts.AssumeRootRequest(target_principal=OTHER, task_policy_arn=sts.PolicyDescriptor(arn=TASK_POLICY_ARN))
    given = world.run(sts.assume_root(world.iam, ROOT, asked)).credentials
    identity = world.iam.identity(with_(given))
    assert identity.principal.arn == f"arn:aws:iam::{OTHER}:root"
    assert evaluate(identity, Request("iam:CreateAccessKey", "*", OTHER)).allowed
    assert not evaluate(identity, Request("kinesis:PutRecord", "*", OTHER)).allowed
    assert code(world, sts.assume_root(world.iam, caller(account=OTHER), asked)) == "AccessDenied"
    world.user()
    ann = caller(world.key().access_key_id)
    assert code(world, sts.assume_root(world.iam, ann, asked)) == "AccessDenied"


def web_world(**documents: bytes) -> tuple[World, str]:
    world = World(sources={ISSUER: "keys"}, documents=documents or {"keys": jwks()})
    return world, world.role("web", principal={"Federated": PROVIDER}, statement=WEB_TRUST).arn


def web(world: World, arn: str, jwt: str) -> Any:
    request = sts.AssumeRoleWithWebIdentityRequest(role_arn=arn, role_session_name="pod", web_identity_token=jwt)
    return sts.assume_role_with_web_identity(world.iam, caller(""), request)


@pytest.mark.parametrize("header", [{}, {"alg": "ES256", "kid": "e"}], ids=["RS256", "ES256"])
def test_web_identity_when_the_issuer_vouches_and_the_role_trusts_then_credentials_are_given(
    header: dict[str, Any],
) -> None:
    world, arn = web_world()
    given = world.run(web(world, arn, token(NOW_MS, header)))
    assert given.subject_from_web_identity_token == "system:serviceaccount:default:app"
    assert (given.provider, given.audience) == (PROVIDER, "sts.amazonaws.com")
    who = world.iam.principal(with_(given.credentials))
    assert who.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/web/pod"
    world.run(web(world, arn, token(NOW_MS, header)))
    assert world.fetched == ["keys"], "they are read once"


def forged() -> str:
    """Another's claims under a signature that is sound."""
    head, _, signature = token(NOW_MS).split(".")
    claims = {"iss": ISSUER, "sub": "root", "aud": "sts.amazonaws.com", "exp": NOW_MS}
    return f"{head}.{text(json.dumps(claims).encode())}.{signature}"


BAD_TOKENS = {
    "forged": forged(),
    "unsigned": ".".join([text(b'{"alg":"none"}'), token(NOW_MS).split(".")[1], ""]),
    "named algorithm of the other key": token(NOW_MS, {"alg": "ES256"}),
    "symmetric": token(NOW_MS, {"alg": "HS256"}),
    "unknown key": token(NOW_MS, {"kid": "x"}),
    "critical header": token(NOW_MS, {"crit": ["exp"]}),
    "other issuer": token(NOW_MS, iss="https://evil.example.com"),
    "other audience": token(NOW_MS, aud="other"),
    "no subject": token(NOW_MS, sub=""),
    "no expiry": token(NOW_MS, exp=None),
    "not yet": token(NOW_MS, nbf=NOW_MS // 1000 + 3600),
    "two parts": "a.b",
    "no json": "e30.e30x.e30",
    "no object": f"{text(b'[]')}.{text(b'[]')}.",
    "endless nesting": f"{text(b'[' * 5000)}.e30.",
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_web_identity_when_the_token_is_wrong_then_it_is_not_believed(name: str) -> None:
    world, arn = web_world()
    assert code(world, web(world, arn, BAD_TOKENS[name])) == "InvalidIdentityToken"


def test_web_identity_when_the_token_is_over_then_it_has_expired() -> None:
    world, arn = web_world()
    jwt = token(NOW_MS)
    world.clock.ms += 600_000
    assert code(world, web(world, arn, jwt)) == "ExpiredTokenException"


def test_web_identity_when_it_ends_before_all_time_then_it_has_expired() -> None:
    read = oidc.read_token(token(NOW_MS))
    never = read._replace(claims={**read.claims, "exp": json.loads("-1e999")})
    with pytest.raises(oidc.Outdated):
        oidc.verify(never, oidc.read_keys(jwks()), frozenset({"sts.amazonaws.com"}), NOW_MS // 1000)


def test_web_identity_when_the_role_trusts_another_subject_or_nobody_then_it_is_denied() -> None:
    world, arn = web_world()
    assert code(world, web(world, arn, token(NOW_MS, sub="system:serviceaccount:default:other"))) == "AccessDenied"
    assert code(world, web(world, world.role("plain").arn, token(NOW_MS))) == "AccessDenied"
    assert code(world, web(world, arn + "x", token(NOW_MS))) == "AccessDenied"


def test_web_identity_when_keys_cannot_be_read_then_it_says_so_and_tries_again_next_time() -> None:
    world, arn = web_world(other=b"")
    assert code(world, web(world, arn, token(NOW_MS))) == "IDPCommunicationError"
    world.documents["keys"] = b"no keys"
    assert code(world, web(world, arn, token(NOW_MS))) == "InvalidIdentityToken"
    world.documents["keys"] = jwks()
    world.run(web(world, arn, token(NOW_MS)))


def test_web_identity_when_a_new_key_is_named_then_keys_are_read_again_but_not_every_time() -> None:
    world, arn = web_world(keys=jwks(with_ec=False))
    world.run(web(world, arn, token(NOW_MS)))
    world.documents["keys"] = jwks()
    jwt = token(NOW_MS, {"alg": "ES256", "kid": "e"})
    assert code(world, web(world, arn, jwt)) == "InvalidIdentityToken"
    assert world.fetched == ["keys"]
    world.clock.ms += 60_000
    world.run(web(world, arn, jwt))
    assert world.fetched == ["keys", "keys"]


def test_web_identity_when_no_key_is_named_then_any_of_the_issuers_may_have_signed() -> None:
    world, arn = web_world()
    claims = {"iss": ISSUER, "sub": "system:serviceaccount:default:app", "aud": "sts.amazonaws.com"}
    world.run(web(world, arn, sign({"alg": "ES256"}, {**claims, "exp": NOW_MS // 1000 + 1})))


def test_boundary_when_put_on_a_role_then_its_sessions_are_bounded() -> None:
    world = World()
    arn = world.role().arn
    administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
    reads = "arn:aws:iam::aws:policy/AmazonKinesisReadOnlyAccess"
    attach = attachment.AttachRolePolicyRequest(role_name="reader", policy_arn=administrator)
    world.run(attachment.attach_role_policy(world.iam, ROOT, attach))
    bound = attachment.RoleBoundaryRequest(role_name="reader", permissions_boundary=reads)
    world.run(attachment.put_role_permissions_boundary(world.iam, ROOT, bound))
    identity = world.iam.identity(with_(world.assume(ROOT, arn).credentials))
    assert evaluate(identity, Request("kinesis:GetRecords", "*", ACCOUNT)).allowed
    assert not evaluate(identity, Request("kinesis:PutRecord", "*", ACCOUNT)).allowed
