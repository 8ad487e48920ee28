"""STS as boto3 uses it, and what a session is to the rest of the server."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from jwt_made import ISSUER, jwks, token

from penstock.testing import PenstockServer

ACCOUNT = "123456789012"
HOST = ISSUER.removeprefix("https://")


def trust(**statement: Any) -> str:
    whole = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole", **statement}
    return json.dumps({"Version": "2012-10-17", "Statement": [whole]})


def with_(server: PenstockServer, service: str, credentials: dict[str, str]) -> Any:
    return server.client(
        service,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def test_a_role_is_assumed_and_the_session_says_who_it_is(penstock: PenstockServer) -> None:
    role = penstock.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust())["Role"]
    given = penstock.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="me", DurationSeconds=900)
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/r/me"
    assert given["AssumedRoleUser"] == {"AssumedRoleId": f"{role['RoleId']}:me", "Arn": arn}
    sts = with_(penstock, "sts", given["Credentials"])
    identity = sts.get_caller_identity()
    assert (identity["Arn"], identity["UserId"]) == (arn, f"{role['RoleId']}:me")
    penstock.clock.advance(minutes=15)
    assert sts.get_caller_identity()["Arn"].endswith(":root"), "with --auth open what has expired is any key"


def test_a_user_gets_a_session_token_for_itself(penstock: PenstockServer) -> None:
    iam = penstock.client("iam")
    iam.create_user(UserName="ann")
    made = iam.create_access_key(UserName="ann")["AccessKey"]
    own = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    given = penstock.client("sts", **own).get_session_token(DurationSeconds=900)["Credentials"]
    assert with_(penstock, "sts", given).get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/ann"


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        ({"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/none"}, "AccessDenied", 403),
        ({"DurationSeconds": 899}, "ValidationError", 400),
        ({"DurationSeconds": 43_201}, "ValidationError", 400),
        ({"DurationSeconds": 7200}, "ValidationError", 400),
        ({"RoleSessionName": "a b"}, "ValidationError", 400),
        ({"Policy": "{}"}, "MalformedPolicyDocument", 400),
        ({"Policy": " " * 2049 + trust()}, "MalformedPolicyDocument", 400),
        ({"Tags": [{"Key": "a", "Value": "b"}]}, "ValidationError", 400),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/None"}]}, "NoSuchEntity", 404),
    ],
)
def test_assume_role_is_refused(arguments: dict[str, Any], code: str, status: int, penstock: PenstockServer) -> None:
    penstock.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust())
    asked = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "RoleSessionName": "me", **arguments}
    with pytest.raises(ClientError) as caught:
        penstock.client("sts", config=Config(parameter_validation=False)).assume_role(**asked)
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)


def test_the_management_account_becomes_the_root_of_another(penstock: PenstockServer) -> None:
    task = {"arn": "arn:aws:iam::aws:policy/root-task/PenstockCredentials"}
    given = penstock.client("sts").assume_root(TargetPrincipal="222222222222", TaskPolicyArn=task)["Credentials"]
    made = with_(penstock, "iam", given).create_access_key()["AccessKey"]
    own = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    assert penstock.client("sts", **own).get_caller_identity()["Account"] == "222222222222"


def test_a_web_identity_is_exchanged_without_credentials(tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_bytes(jwks())
    with PenstockServer(oidc_issuer=f"{ISSUER}={keys}") as server:
        provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"
        document = trust(
            Principal={"Federated": provider},
            Action="sts:AssumeRoleWithWebIdentity",
            Condition={"StringEquals": {f"{HOST}:sub": "system:serviceaccount:default:app"}},
        )
        role = server.client("iam").create_role(RoleName="web", AssumeRolePolicyDocument=document)["Role"]
        sts = server.client("sts", config=Config(signature_version=UNSIGNED))
        asked = {"RoleArn": role["Arn"], "RoleSessionName": "pod"}
        given = sts.assume_role_with_web_identity(**asked, WebIdentityToken=token(server.clock.now_ms))
        assert given["SubjectFromWebIdentityToken"] == "system:serviceaccount:default:app"
        who = with_(server, "sts", given["Credentials"]).get_caller_identity()["Arn"]
        assert who == f"arn:aws:sts::{ACCOUNT}:assumed-role/web/pod"
        old = token(server.clock.now_ms - 3_600_000)
        for jwt, error, status in (
            (old, sts.exceptions.ExpiredTokenException, 400),
            ("a.b.c", sts.exceptions.InvalidIdentityTokenException, 400),
        ):
            with pytest.raises(error) as caught:
                sts.assume_role_with_web_identity(**asked, WebIdentityToken=jwt)
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_other_operations_still_need_credentials(penstock: PenstockServer) -> None:
    sts = penstock.client("sts", config=Config(signature_version=UNSIGNED))
    with pytest.raises(ClientError) as caught:
        sts.get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "MissingAuthenticationToken"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
