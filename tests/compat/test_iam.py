"""IAM as boto3 uses it: every operation that is implemented, its refusals and pages."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.composition.iam import OPERATIONS
from penstock.host.apimodels import load_model
from penstock.services.binding import bind
from penstock.testing import PenstockServer

ACCOUNT = "123456789012"
ALLOW = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kinesis:*", "Resource": "*"}]}
)
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
READ_ONLY = "arn:aws:iam::aws:policy/AmazonKinesisReadOnlyAccess"


@pytest.fixture
def iam(penstock: PenstockServer) -> Any:
    from botocore.config import Config

    return penstock.client("iam", config=Config(retries={"total_max_attempts": 1}, parameter_validation=False))


@pytest.fixture
def refusal() -> Callable[..., tuple[str, int, str]]:
    def call(operation: Callable[..., object], **arguments: object) -> tuple[str, int, str]:
        with pytest.raises(ClientError) as caught:
            operation(**arguments)
        response = caught.value.response
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]

    return call


Refusal = Callable[..., tuple[str, int, str]]


def test_users_are_made_told_listed_tagged_and_deleted(iam: Any, refusal: Refusal) -> None:
    made = iam.create_user(UserName="ann", Path="/team/", Tags=[{"Key": "a", "Value": "1"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/ann"
    assert made["UserId"].startswith("AIDA")
    assert len(made["UserId"]) == 21
    iam.tag_user(UserName="ann", Tags=[{"Key": "b", "Value": ""}])
    iam.untag_user(UserName="ann", TagKeys=["a"])
    assert iam.list_user_tags(UserName="ann")["Tags"] == [{"Key": "b", "Value": ""}]
    assert iam.get_user(UserName="ANN")["User"]["Tags"] == [{"Key": "b", "Value": ""}]
    assert refusal(iam.create_user, UserName="Ann")[:2] == ("EntityAlreadyExists", 409)
    iam.create_user(UserName="bob")
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["ann", "bob"]
    assert [user["UserName"] for user in iam.list_users(PathPrefix="/team/")["Users"]] == ["ann"]
    iam.delete_user(UserName="ann")
    assert refusal(iam.get_user, UserName="ann") == ("NoSuchEntity", 404, "The user with name ann cannot be found.")
    assert refusal(iam.delete_user, UserName="ann")[:2] == ("NoSuchEntity", 404)


def test_get_user_without_a_name_is_who_calls(iam: Any, penstock: PenstockServer) -> None:
    assert iam.get_user()["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    iam.create_user(UserName="ann")
    made = iam.create_access_key(UserName="ann")["AccessKey"]
    own = penstock.client("iam", aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"])
    assert own.get_user()["User"]["UserName"] == "ann"
    assert [key["AccessKeyId"] for key in own.list_access_keys()["AccessKeyMetadata"]] == [made["AccessKeyId"]]


def test_lists_come_in_pages(iam: Any, refusal: Refusal) -> None:
    names = [f"user{number:02d}" for number in range(7)]
    for name in names:
        iam.create_user(UserName=name)
    first = iam.list_users(MaxItems=3)
    assert first["IsTruncated"] is True
    assert [user["UserName"] for user in first["Users"]] == names[:3]
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["Users"]) for page in pages] == [3, 3, 1]
    assert [user["UserName"] for page in pages for user in page["Users"]] == names
    assert pages[-1]["IsTruncated"] is False
    assert refusal(iam.list_users, Marker="?")[:2] == ("ValidationError", 400)
    assert refusal(iam.list_users, MaxItems=0)[:2] == ("ValidationError", 400)


def test_access_keys_are_made_switched_listed_and_deleted(iam: Any, refusal: Refusal) -> None:
    iam.create_user(UserName="ann")
    made = iam.create_access_key(UserName="ann")["AccessKey"]
    assert made["AccessKeyId"].startswith("AKIA")
    assert (len(made["AccessKeyId"]), len(made["SecretAccessKey"]), made["Status"]) == (20, 40, "Active")
    iam.update_access_key(UserName="ann", AccessKeyId=made["AccessKeyId"], Status="Inactive")
    [listed] = iam.list_access_keys(UserName="ann")["AccessKeyMetadata"]
    assert (listed["Status"], listed["UserName"], "SecretAccessKey" in listed) == ("Inactive", "ann", False)
    assert iam.get_access_key_last_used(AccessKeyId=made["AccessKeyId"])["UserName"] == "ann"
    iam.create_access_key(UserName="ann")
    assert refusal(iam.create_access_key, UserName="ann") == (
        "LimitExceeded", 409, "Cannot exceed quota for AccessKeysPerUser: 2",
    )  # fmt: skip
    assert refusal(iam.delete_user, UserName="ann")[:2] == ("DeleteConflict", 409)
    iam.delete_access_key(UserName="ann", AccessKeyId=made["AccessKeyId"])
    assert refusal(iam.delete_access_key, UserName="ann", AccessKeyId=made["AccessKeyId"])[:2] == ("NoSuchEntity", 404)
    assert refusal(iam.create_access_key, UserName="bob")[:2] == ("NoSuchEntity", 404)
    iam.create_user(UserName="eve")
    other = iam.list_access_keys(UserName="ann")["AccessKeyMetadata"][0]["AccessKeyId"]
    assert refusal(iam.delete_access_key, UserName="eve", AccessKeyId=other)[:2] == ("NoSuchEntity", 404)
    assert refusal(iam.get_access_key_last_used, AccessKeyId="AKIA" + "X" * 16)[:2] == ("NoSuchEntity", 404)
    assert refusal(iam.update_access_key, UserName="ann", AccessKeyId="AKIA" + "X" * 16, Status="Inactive")[1] == 404


def test_roles_are_made_told_changed_listed_and_deleted(iam: Any, refusal: Refusal) -> None:
    made = iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, Description="one", MaxSessionDuration=7200)[
        "Role"
    ]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/r"
    assert made["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert refusal(iam.create_role, RoleName="R", AssumeRolePolicyDocument=TRUST)[:2] == ("EntityAlreadyExists", 409)
    iam.update_role(RoleName="r", Description="two")
    told = iam.get_role(RoleName="r")["Role"]
    assert (told["Description"], told["MaxSessionDuration"]) == ("two", 7200)
    wider = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:*"}]}
    )
    iam.update_assume_role_policy(RoleName="r", PolicyDocument=wider)
    assert iam.get_role(RoleName="r")["Role"]["AssumeRolePolicyDocument"] == json.loads(wider)
    iam.tag_role(RoleName="r", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.untag_role(RoleName="r", TagKeys=["a"])
    assert iam.list_role_tags(RoleName="r")["Tags"] == [{"Key": "b", "Value": "2"}]
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["r"]
    assert refusal(iam.create_role, RoleName="x", AssumeRolePolicyDocument=ALLOW)[0] == "MalformedPolicyDocument"
    assert (
        refusal(iam.create_role, RoleName="x", AssumeRolePolicyDocument=TRUST, MaxSessionDuration=1)[0]
        == "ValidationError"
    )
    iam.delete_role(RoleName="r")
    assert refusal(iam.get_role, RoleName="r") == ("NoSuchEntity", 404, "The role with name r cannot be found.")


@pytest.mark.parametrize("kind", ["user", "role"])
def test_inline_policies_are_put_told_listed_and_deleted(kind: str, iam: Any, refusal: Refusal) -> None:
    who = {f"{kind.capitalize()}Name": "x"}
    iam.create_user(UserName="x")
    iam.create_role(RoleName="x", AssumeRolePolicyDocument=TRUST)
    put, get = getattr(iam, f"put_{kind}_policy"), getattr(iam, f"get_{kind}_policy")
    put(**who, PolicyName="p", PolicyDocument=ALLOW)
    assert get(**who, PolicyName="p")["PolicyDocument"] == json.loads(ALLOW)
    assert getattr(iam, f"list_{kind}_policies")(**who)["PolicyNames"] == ["p"]
    assert refusal(put, **who, PolicyName="q", PolicyDocument="{}")[:2] == ("MalformedPolicyDocument", 400)
    large = ALLOW.replace("kinesis:*", "kinesis:" + "a" * 10_240)
    assert refusal(put, **who, PolicyName="q", PolicyDocument=large)[:2] == ("LimitExceeded", 409)
    spread = ALLOW + " " * 11_000
    put(**who, PolicyName="p", PolicyDocument=spread)  # white space is not counted
    assert refusal(getattr(iam, f"delete_{kind}"), **who)[:2] == ("DeleteConflict", 409)
    getattr(iam, f"delete_{kind}_policy")(**who, PolicyName="p")
    assert refusal(get, **who, PolicyName="p") == (
        "NoSuchEntity", 404, f"The {kind} policy with name p cannot be found.",
    )  # fmt: skip
    getattr(iam, f"delete_{kind}")(**who)


@pytest.mark.parametrize("kind", ["user", "role"])
def test_managed_policies_are_attached_listed_and_detached(kind: str, iam: Any, refusal: Refusal) -> None:
    who = {f"{kind.capitalize()}Name": "x"}
    iam.create_user(UserName="x")
    iam.create_role(RoleName="x", AssumeRolePolicyDocument=TRUST)
    arn = iam.create_policy(PolicyName="mine", PolicyDocument=ALLOW)["Policy"]["Arn"]
    attach, detach = getattr(iam, f"attach_{kind}_policy"), getattr(iam, f"detach_{kind}_policy")
    attach(**who, PolicyArn=arn)
    attach(**who, PolicyArn=READ_ONLY)
    attach(**who, PolicyArn=arn)
    listed = getattr(iam, f"list_attached_{kind}_policies")(**who)["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in listed] == ["AmazonKinesisReadOnlyAccess", "mine"]
    entities = iam.list_entities_for_policy(PolicyArn=arn)
    assert [row[f"{kind.capitalize()}Name"] for row in entities[f"Policy{kind.capitalize()}s"]] == ["x"]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert refusal(iam.delete_policy, PolicyArn=arn)[:2] == ("DeleteConflict", 409)
    assert refusal(getattr(iam, f"delete_{kind}"), **who)[:2] == ("DeleteConflict", 409)
    assert refusal(attach, **who, PolicyArn=arn + "x") == (
        "NoSuchEntity", 404, f"Policy {arn}x does not exist or is not attachable.",
    )  # fmt: skip
    detach(**who, PolicyArn=arn)
    assert refusal(detach, **who, PolicyArn=arn) == ("NoSuchEntity", 404, f"Policy {arn} was not found.")
    bound = {**who, "PermissionsBoundary": arn}
    getattr(iam, f"put_{kind}_permissions_boundary")(**bound)
    told = getattr(iam, f"get_{kind}")(**who)[kind.capitalize()]["PermissionsBoundary"]
    assert told == {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}
    assert iam.list_policies(OnlyAttached=True, PolicyUsageFilter="PermissionsBoundary")["Policies"][0]["Arn"] == arn
    assert refusal(iam.delete_policy, PolicyArn=arn)[:2] == ("DeleteConflict", 409)
    getattr(iam, f"delete_{kind}_permissions_boundary")(**who)
    assert refusal(getattr(iam, f"delete_{kind}_permissions_boundary"), **who)[:2] == ("NoSuchEntity", 404)
    iam.delete_policy(PolicyArn=arn)


def test_managed_policies_have_versions(iam: Any, refusal: Refusal) -> None:
    arn = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW, Path="/a/", Description="d")["Policy"]["Arn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:policy/a/p"
    assert refusal(iam.create_policy, PolicyName="P", PolicyDocument=ALLOW)[:2] == ("EntityAlreadyExists", 409)
    deny = ALLOW.replace("Allow", "Deny")
    assert iam.create_policy_version(PolicyArn=arn, PolicyDocument=deny)["PolicyVersion"]["VersionId"] == "v2"
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v1"
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    told = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]
    assert (told["IsDefaultVersion"], told["Document"]) == (True, json.loads(deny))
    assert refusal(iam.delete_policy_version, PolicyArn=arn, VersionId="v2")[:2] == ("DeleteConflict", 409)
    assert refusal(iam.delete_policy, PolicyArn=arn)[:2] == ("DeleteConflict", 409)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    assert refusal(iam.get_policy_version, PolicyArn=arn, VersionId="v1")[:2] == ("NoSuchEntity", 404)
    made = [iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW)["PolicyVersion"] for _ in range(4)]
    assert [version["VersionId"] for version in made] == ["v3", "v4", "v5", "v6"]
    assert refusal(iam.create_policy_version, PolicyArn=arn, PolicyDocument=ALLOW)[:2] == ("LimitExceeded", 409)
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [version["VersionId"] for version in versions] == ["v6", "v5", "v4", "v3", "v2"]
    large = ALLOW.replace("kinesis:*", "kinesis:" + "a" * 6144)
    assert refusal(iam.create_policy, PolicyName="q", PolicyDocument=large)[:2] == ("LimitExceeded", 409)
    assert [policy["PolicyName"] for policy in iam.list_policies(Scope="Local")["Policies"]] == ["p"]


def test_awss_own_policies_are_there_and_cannot_be_changed(iam: Any, refusal: Refusal) -> None:
    names = {policy["PolicyName"] for policy in iam.list_policies(Scope="AWS")["Policies"]}
    assert {"AdministratorAccess", "AmazonKinesisFullAccess", "AmazonKinesisReadOnlyAccess"} <= names
    told = iam.get_policy_version(PolicyArn=READ_ONLY, VersionId="v1")["PolicyVersion"]["Document"]
    assert told["Statement"][0]["Action"] == ["kinesis:Get*", "kinesis:List*", "kinesis:Describe*"]
    assert refusal(iam.delete_policy, PolicyArn=READ_ONLY)[:2] == ("AccessDenied", 403)


def test_instance_profiles_hold_one_role(iam: Any, refusal: Refusal) -> None:
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    made = iam.create_instance_profile(InstanceProfileName="ip")["InstanceProfile"]
    assert (made["Arn"], made["Roles"]) == (f"arn:aws:iam::{ACCOUNT}:instance-profile/ip", [])
    iam.add_role_to_instance_profile(InstanceProfileName="ip", RoleName="r")
    assert iam.get_instance_profile(InstanceProfileName="ip")["InstanceProfile"]["Roles"][0]["RoleName"] == "r"
    assert len(iam.list_instance_profiles_for_role(RoleName="r")["InstanceProfiles"]) == 1
    assert len(iam.list_instance_profiles()["InstanceProfiles"]) == 1
    assert refusal(iam.create_instance_profile, InstanceProfileName="ip")[:2] == ("EntityAlreadyExists", 409)
    assert refusal(iam.add_role_to_instance_profile, InstanceProfileName="ip", RoleName="r")[:2] == (
        "LimitExceeded",
        409,
    )
    assert refusal(iam.delete_role, RoleName="r")[:2] == ("DeleteConflict", 409)
    assert refusal(iam.delete_instance_profile, InstanceProfileName="ip")[:2] == ("DeleteConflict", 409)
    iam.remove_role_from_instance_profile(InstanceProfileName="ip", RoleName="r")
    iam.delete_instance_profile(InstanceProfileName="ip")
    assert refusal(iam.get_instance_profile, InstanceProfileName="ip") == (
        "NoSuchEntity", 404, "Instance Profile ip cannot be found.",
    )  # fmt: skip
    iam.delete_role(RoleName="r")


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"UserName": "x!"}, "'userName'"),
        ({"UserName": ""}, "'userName'"),
        ({}, "'userName'"),
        ({"UserName": "x", "Path": "none"}, "'path'"),
        ({"UserName": "x" * 65}, "'userName'"),
    ],
)
def test_names_and_paths_that_aws_does_not_take_are_refused(
    arguments: dict[str, str], where: str, iam: Any, refusal: Refusal
) -> None:
    code, status, message = refusal(iam.create_user, **arguments)
    assert (code, status) == ("ValidationError", 400)
    assert where in message


def test_documents_are_percent_encoded_so_that_what_looks_encoded_comes_back(iam: Any) -> None:
    iam.create_user(UserName="ann")
    document = ALLOW.replace('"Resource": "*"', '"Resource": "arn:aws:kinesis:*:*:stream/%41+b"')
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=document)
    assert iam.get_user_policy(UserName="ann", PolicyName="p")["PolicyDocument"] == json.loads(document)


def test_accounts_do_not_see_each_other(penstock: PenstockServer, iam: Any, refusal: Refusal) -> None:
    other = penstock.client("iam", aws_access_key_id="222222222222")
    iam.create_user(UserName="ann")
    assert other.list_users()["Users"] == []
    arn = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW)["Policy"]["Arn"]
    other.create_user(UserName="ann")
    assert refusal(other.get_policy, PolicyArn=arn)[:2] == ("NoSuchEntity", 404)
    assert refusal(other.attach_user_policy, UserName="ann", PolicyArn=arn)[:2] == ("NoSuchEntity", 404)


def test_what_is_not_implemented_is_refused_in_iams_form(iam: Any, refusal: Refusal) -> None:
    code, status, message = refusal(iam.create_group, GroupName="g")
    assert (code, status) == ("InvalidAction", 400)
    assert "not implemented by Penstock" in message


def test_a_reset_forgets_identities(penstock: PenstockServer, iam: Any) -> None:
    iam.create_user(UserName="ann")
    penstock.reset()
    assert iam.list_users()["Users"] == []


def test_every_operation_is_called_above() -> None:
    from pathlib import Path

    source = Path(__file__).read_text()
    for name in bind(load_model("iam"), OPERATIONS, None, {}).operations:
        from botocore import xform_name

        called = xform_name(name)
        patterns = [f"iam.{called}", f"own.{called}"]
        patterns += [f'f"{called.replace(kind, "{kind}", 1)}"' for kind in ("user", "role")]
        assert any(pattern in source for pattern in patterns), name
