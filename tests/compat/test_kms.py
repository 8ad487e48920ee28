"""KMS through boto3: each operation succeeds, and refuses as AWS does."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config

from penstock.testing import PenstockServer

Refused = Callable[..., tuple[str, str]]
PREFIX = "arn:aws:kms:us-east-1:123456789012:"
NONE = "12345678-1234-1234-1234-123456789012"
CONTEXT = {"purpose": "test", "a": "b"}


@pytest.fixture
def kms(penstock: PenstockServer) -> Any:
    return penstock.client("kms", config=Config(retries={"total_max_attempts": 1}, parameter_validation=False))


@pytest.fixture
def key(kms: Any) -> str:
    return str(kms.create_key(Description="first")["KeyMetadata"]["KeyId"])


def state(kms: Any, key: str) -> tuple[str, bool]:
    found = kms.describe_key(KeyId=key)["KeyMetadata"]
    return found["KeyState"], found["Enabled"]


def test_a_key_is_described_as_it_was_made(kms: Any, key: str) -> None:
    kms.create_alias(AliasName="alias/a/b_c-1", TargetKeyId=key)
    for name in (key, PREFIX + "key/" + key, "alias/a/b_c-1", PREFIX + "alias/a/b_c-1"):
        found = kms.describe_key(KeyId=name)["KeyMetadata"]
        assert (found["KeyId"], found["Arn"], found["Description"]) == (key, PREFIX + "key/" + key, "first")
        assert (found["KeyManager"], found["KeySpec"], found["KeyState"]) == (
            "CUSTOMER",
            "SYMMETRIC_DEFAULT",
            "Enabled",
        )
    kms.update_key_description(KeyId=key, Description="second")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "second"


def test_the_aws_managed_key_is_made_when_it_is_described(kms: Any, refused: Refused) -> None:
    assert kms.list_aliases()["Aliases"] == []
    found = kms.describe_key(KeyId="alias/aws/kinesis")["KeyMetadata"]
    assert found["KeyManager"] == "AWS"
    assert kms.describe_key(KeyId="alias/aws/kinesis")["KeyMetadata"]["KeyId"] == found["KeyId"]
    assert [row["AliasName"] for row in kms.list_aliases()["Aliases"]] == ["alias/aws/kinesis"]
    assert refused(kms.schedule_key_deletion, KeyId=found["KeyId"])[0] == "AccessDeniedException"
    assert refused(kms.disable_key, KeyId=found["KeyId"])[0] == "AccessDeniedException"
    assert refused(kms.describe_key, KeyId="alias/aws/nothing")[0] == "NotFoundException"


def test_encrypt_and_decrypt_are_each_others_inverse_in_the_same_context(kms: Any, key: str, refused: Refused) -> None:
    sealed = kms.encrypt(KeyId=key, Plaintext=b"hello", EncryptionContext=CONTEXT)
    assert sealed["KeyId"] == PREFIX + "key/" + key
    blob = sealed["CiphertextBlob"]
    opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=dict(reversed(CONTEXT.items())))
    assert (opened["Plaintext"], opened["KeyId"]) == (b"hello", PREFIX + "key/" + key)
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT, KeyId=key)["Plaintext"] == b"hello"
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    wrong = (
        "IncorrectKeyException",
        "The key ID in the request does not identify a CMK that can perform this operation.",
    )
    assert refused(kms.decrypt, CiphertextBlob=blob, EncryptionContext=CONTEXT, KeyId=other) == wrong
    for bad in ({}, {"purpose": "test"}, {**CONTEXT, "c": ""}, {"purpose": "testa", "a": "b"}):
        assert refused(kms.decrypt, CiphertextBlob=blob, EncryptionContext=bad)[0] == "InvalidCiphertextException"
    assert refused(kms.decrypt, CiphertextBlob=b"nonsense")[0] == "InvalidCiphertextException"
    assert refused(kms.decrypt)[0] == "InvalidCiphertextException"


def test_data_keys_open_again(kms: Any, key: str, refused: Refused) -> None:
    for size, arguments in ((32, {"KeySpec": "AES_256"}), (16, {"KeySpec": "AES_128"}), (100, {"NumberOfBytes": 100})):
        made = kms.generate_data_key(KeyId=key, EncryptionContext=CONTEXT, **arguments)
        assert len(made["Plaintext"]) == size
        opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
        assert opened["Plaintext"] == made["Plaintext"]
        quiet = kms.generate_data_key_without_plaintext(KeyId=key, **arguments)
        assert "Plaintext" not in quiet
        assert len(kms.decrypt(CiphertextBlob=quiet["CiphertextBlob"])["Plaintext"]) == size
    text = "Please specify either number of bytes or key spec."
    assert refused(kms.generate_data_key, KeyId=key) == ("ValidationException", text)
    assert refused(kms.generate_data_key, KeyId=key, KeySpec="AES_256", NumberOfBytes=3) == (
        "ValidationException",
        text,
    )
    assert len(kms.generate_random(NumberOfBytes=77)["Plaintext"]) == 77
    assert refused(kms.generate_random)[0] == "ValidationException"


def test_re_encrypt_moves_a_ciphertext_to_another_key_and_context(kms: Any, key: str, refused: Refused) -> None:
    target = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    move = {"CiphertextBlob": blob, "DestinationKeyId": target, "DestinationEncryptionContext": {"new": "one"}}
    moved = kms.re_encrypt(**move, SourceEncryptionContext=CONTEXT)
    assert (moved["SourceKeyId"], moved["KeyId"]) == (PREFIX + "key/" + key, PREFIX + "key/" + target)
    assert (
        kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"new": "one"})["KeyId"] == moved["KeyId"]
    )
    assert refused(kms.re_encrypt, **move)[0] == "InvalidCiphertextException"
    assert (
        refused(kms.re_encrypt, **move, SourceEncryptionContext=CONTEXT, SourceKeyId=target)[0]
        == "IncorrectKeyException"
    )


def uses(kms: Any, key: str, blob: bytes) -> list[tuple[Callable[..., Any], dict[str, Any]]]:
    """Each way to use a key."""
    return [
        (kms.encrypt, {"KeyId": key, "Plaintext": b"x"}),
        (kms.decrypt, {"CiphertextBlob": blob}),
        (kms.generate_data_key, {"KeyId": key, "KeySpec": "AES_256"}),
        (kms.generate_data_key_without_plaintext, {"KeyId": key, "KeySpec": "AES_256"}),
        (kms.re_encrypt, {"CiphertextBlob": blob, "DestinationKeyId": key}),
        (kms.enable_key_rotation, {"KeyId": key}),
        (kms.rotate_key_on_demand, {"KeyId": key}),
    ]


def test_a_disabled_key_is_not_used_until_it_is_enabled(kms: Any, key: str, refused: Refused) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key)
    assert state(kms, key) == ("Disabled", False)
    for operation, arguments in uses(kms, key, blob):
        assert refused(operation, **arguments) == ("DisabledException", f"{PREFIX}key/{key} is disabled.")
    kms.enable_key(KeyId=key)
    for operation, arguments in uses(kms, key, blob):
        operation(**arguments)


def test_a_key_that_is_to_be_deleted_is_not_used_and_goes_in_time(
    kms: Any, key: str, refused: Refused, penstock: PenstockServer
) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.create_alias(AliasName="alias/a", TargetKeyId=key)
    arn = f"{PREFIX}key/{key}"
    for days in (6, 31):
        assert refused(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=days)[0] == "ValidationException"
    answer = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert (answer["KeyId"], answer["KeyState"], answer["PendingWindowInDays"]) == (arn, "PendingDeletion", 7)
    assert state(kms, key) == ("PendingDeletion", False)
    pending = ("KMSInvalidStateException", f"{arn} is pending deletion.")
    for operation, arguments in uses(kms, key, blob):
        assert refused(operation, **arguments) == pending
    for operation in (kms.schedule_key_deletion, kms.enable_key, kms.disable_key):
        assert refused(operation, KeyId=key) == pending
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == arn
    assert state(kms, key) == ("Disabled", False)
    assert refused(kms.cancel_key_deletion, KeyId=key) == (
        "KMSInvalidStateException",
        f"{arn} is not pending deletion.",
    )
    kms.enable_key(KeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    penstock.clock.advance(hours=7 * 24 - 1)
    assert state(kms, key) == ("PendingDeletion", False)
    penstock.clock.advance(hours=1)
    assert refused(kms.describe_key, KeyId=key) == ("NotFoundException", f"Key '{arn}' does not exist")
    assert refused(kms.describe_key, KeyId="alias/a") == ("NotFoundException", f"Alias {PREFIX}alias/a is not found.")
    assert refused(kms.decrypt, CiphertextBlob=blob)[0] == "InvalidCiphertextException"
    assert (kms.list_keys()["Keys"], kms.list_aliases()["Aliases"]) == ([], [])
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/a", TargetKeyId=other)


def test_an_alias_is_given_another_key(kms: Any, key: str, refused: Refused) -> None:
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/a", TargetKeyId=key)
    blob = kms.encrypt(KeyId="alias/a", Plaintext=b"x")["CiphertextBlob"]
    kms.update_alias(AliasName="alias/a", TargetKeyId=other)
    assert kms.decrypt(CiphertextBlob=blob)["KeyId"].endswith(key)
    assert refused(kms.decrypt, CiphertextBlob=blob, KeyId="alias/a")[0] == "IncorrectKeyException"
    assert kms.encrypt(KeyId="alias/a", Plaintext=b"x")["KeyId"].endswith(other)
    assert [row["TargetKeyId"] for row in kms.list_aliases(KeyId=other)["Aliases"]] == [other]
    assert kms.list_aliases(KeyId=key)["Aliases"] == []
    kms.delete_alias(AliasName="alias/a")
    gone = ("NotFoundException", f"Alias {PREFIX}alias/a is not found.")
    assert refused(kms.encrypt, KeyId="alias/a", Plaintext=b"x") == gone
    assert refused(kms.update_alias, AliasName="alias/a", TargetKeyId=key) == gone
    assert refused(kms.delete_alias, AliasName="alias/a") == gone


def test_bad_aliases_are_refused(kms: Any, key: str, refused: Refused) -> None:
    kms.create_alias(AliasName="alias/a", TargetKeyId=key)
    taken = ("AlreadyExistsException", f"An alias with the name {PREFIX}alias/a already exists")
    assert refused(kms.create_alias, AliasName="alias/a", TargetKeyId=key) == taken
    for name, target, code in (
        ("a", key, "ValidationException"),
        ("alias/a:b", key, "ValidationException"),
        ("alias/a b", key, "ValidationException"),
        ("alias/aws/kinesis", key, "NotAuthorizedException"),
        ("alias/b", "alias/a", "ValidationException"),
        ("alias/b", NONE, "NotFoundException"),
    ):
        assert refused(kms.create_alias, AliasName=name, TargetKeyId=target)[0] == code, name


def test_keys_are_rotated_and_what_was_encrypted_before_still_opens(
    kms: Any, key: str, penstock: PenstockServer
) -> None:
    blobs = [kms.encrypt(KeyId=key, Plaintext=b"0")["CiphertextBlob"]]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.rotate_key_on_demand(KeyId=key)
    blobs.append(kms.encrypt(KeyId=key, Plaintext=b"1")["CiphertextBlob"])
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    status = kms.get_key_rotation_status(KeyId=key)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 90)
    penstock.clock.advance(hours=90 * 24 + 1)
    blobs.append(kms.encrypt(KeyId=key, Plaintext=b"2")["CiphertextBlob"])
    found = [row["RotationType"] for row in kms.list_key_rotations(KeyId=key)["Rotations"]]
    assert found == ["ON_DEMAND", "AUTOMATIC"]
    assert [kms.decrypt(CiphertextBlob=blob)["Plaintext"] for blob in blobs] == [b"0", b"1", b"2"]
    assert len({blob[18:22] for blob in blobs}) == 3  # the version of the material
    kms.disable_key_rotation(KeyId=key)
    penstock.clock.advance(hours=90 * 24 + 1)
    assert len(kms.list_key_rotations(KeyId=key)["Rotations"]) == 2


def test_policies_are_kept_and_checked(kms: Any, key: str, refused: Refused) -> None:
    [statement] = json.loads(kms.get_key_policy(KeyId=key)["Policy"])["Statement"]
    assert statement["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Sid": "mine"}]})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
    assert kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"] == policy
    assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
    assert kms.create_key(Policy=policy)["KeyMetadata"]["Enabled"]
    assert refused(kms.get_key_policy, KeyId=key, PolicyName="other") == ("NotFoundException", "No such policy exists")
    for bad in ("nonsense", "[]", "{}"):
        assert refused(kms.put_key_policy, KeyId=key, Policy=bad)[0] == "MalformedPolicyDocumentException"
    assert refused(kms.put_key_policy, KeyId=key, Policy=policy + " " * 33000)[0] == "LimitExceededException"


def test_tags_are_kept(kms: Any, refused: Refused) -> None:
    key = kms.create_key(Tags=[{"TagKey": "a", "TagValue": "1"}])["KeyMetadata"]["KeyId"]
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "b", "TagValue": ""}, {"TagKey": "a", "TagValue": "2"}])
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [
        {"TagKey": "a", "TagValue": "2"},
        {"TagKey": "b", "TagValue": ""},
    ]
    kms.untag_resource(KeyId=key, TagKeys=["a", "z"])
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "b", "TagValue": ""}]
    assert refused(kms.tag_resource, KeyId=key, Tags=[{"TagKey": "aws:x", "TagValue": ""}])[0] == "TagException"
    many = [{"TagKey": str(number), "TagValue": ""} for number in range(50)]
    assert refused(kms.tag_resource, KeyId=key, Tags=many)[0] == "LimitExceededException"


def test_listings_come_in_pages(kms: Any, refused: Refused) -> None:
    made = sorted(str(kms.create_key()["KeyMetadata"]["KeyId"]) for _ in range(5))
    found: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = kms.list_keys(Limit=2, **more)
        found += [row["KeyId"] for row in page["Keys"]]
        if not page["Truncated"]:
            break
        more = {"Marker": page["NextMarker"]}
    assert found == made
    assert refused(kms.list_keys, Marker="nonsense!")[0] == "InvalidMarkerException"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"KeySpec": "RSA_2048"}, "UnsupportedOperationException"),
        ({"CustomerMasterKeySpec": "ECC_NIST_P256"}, "UnsupportedOperationException"),
        ({"KeySpec": "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"}, "ValidationException"),
        ({"KeySpec": "SOME"}, "ValidationException"),
        ({"KeyUsage": "SIGN_VERIFY"}, "ValidationException"),
        ({"Origin": "EXTERNAL"}, "UnsupportedOperationException"),
        ({"MultiRegion": True}, "UnsupportedOperationException"),
        ({"Policy": "no policy"}, "MalformedPolicyDocumentException"),
        ({"Description": "x" * 8193}, "ValidationException"),
    ],
)
def test_other_kinds_of_keys_are_refused(kms: Any, refused: Refused, arguments: dict[str, Any], code: str) -> None:
    assert refused(kms.create_key, **arguments)[0] == code
    assert kms.list_keys()["Keys"] == []


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        (NONE, "NotFoundException", f"Key '{PREFIX}key/{NONE}' does not exist"),
        (f"{PREFIX}key/{NONE}", "NotFoundException", f"Key '{PREFIX}key/{NONE}' does not exist"),
        ("alias/none", "NotFoundException", f"Alias {PREFIX}alias/none is not found."),
        ("nonsense", "NotFoundException", "Invalid keyId 'nonsense'"),
        (f"arn:aws:kms:eu-west-1:123456789012:key/{NONE}", "NotFoundException", "Invalid arn eu-west-1"),
        (f"arn:aws:kms:us-east-1:111122223333:key/{NONE}", "AccessDeniedException", None),
    ],
)
def test_keys_that_are_not_there_are_told_as_aws_does(
    kms: Any, refused: Refused, name: str, code: str, text: str | None
) -> None:
    for operation, arguments in (
        (kms.describe_key, {}),
        (kms.encrypt, {"Plaintext": b"x"}),
        (kms.generate_data_key, {"KeySpec": "AES_256"}),
        (kms.enable_key, {}),
        (kms.schedule_key_deletion, {}),
        (kms.get_key_policy, {}),
    ):
        found = refused(operation, KeyId=name, **arguments)
        assert found[0] == code
        assert text is None or found[1] == text


def test_another_account_and_region_have_no_use_of_a_key(
    kms: Any, key: str, refused: Refused, penstock: PenstockServer
) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    once = Config(retries={"total_max_attempts": 1})
    other = penstock.client("kms", aws_access_key_id="111122223333", config=once)
    assert refused(other.decrypt, CiphertextBlob=blob)[0] == "AccessDeniedException"
    assert refused(other.encrypt, KeyId=f"{PREFIX}key/{key}", Plaintext=b"x")[0] == "AccessDeniedException"
    assert refused(other.describe_key, KeyId=key)[0] == "NotFoundException"
    assert other.list_keys()["Keys"] == []
    away = penstock.client("kms", region_name="eu-west-1", config=once)
    assert refused(away.decrypt, CiphertextBlob=blob)[0] == "AccessDeniedException"
    assert away.list_keys()["Keys"] == []


def test_a_dry_run_changes_and_tells_nothing(kms: Any, key: str, refused: Refused) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    for operation, arguments in uses(kms, key, blob)[:5]:
        assert refused(operation, **arguments, DryRun=True)[0] == "DryRunOperationException"
