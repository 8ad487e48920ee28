"""`--auth enforced`: who gets in, and what each may do, with real clients."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from plain_calls import Reply, post

from penstock.testing import PenstockServer

OWNER: Final = "123456789012"
OTHER: Final = "222222222222"
SHARD: Final = "shardId-000000000000"
STREAM: Final = f"arn:aws:kinesis:us-east-1:{OWNER}:stream/s"
TARGET: Final = "Kinesis_20131202.PutRecord"
BODY: Final = b'{"StreamName":"s","Data":"MQ==","PartitionKey":"k"}'


@pytest.fixture(scope="module")
def server() -> Iterator[PenstockServer]:
    """A server that verifies."""
    with PenstockServer(auth="enforced", tls=True) as started:
        yield started


@pytest.fixture
def house(server: PenstockServer) -> "House":
    """The server, emptied, with one stream `s`."""
    server.reset()
    house = House(server)
    house.root("kinesis").create_stream(StreamName="s", ShardCount=1)
    return house


class House:
    """Clients of whoever there is."""

    def __init__(self, server: PenstockServer) -> None:
        self.server = server

    def root(self, service: str) -> Any:
        """The root of the server's account."""
        return self.client(service)

    def client(self, service: str, **options: Any) -> Any:
        """A client that does not retry."""
        return self.server.client(service, config=Config(retries={"total_max_attempts": 1}), **options)

    def user(self, name: str, *statements: dict[str, Any]) -> dict[str, str]:
        """A user of the server's account with an inline policy; its credentials as a client takes them."""
        iam = self.root("iam")
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(*statements))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}


def document(*statements: dict[str, Any]) -> str:
    """A policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str | list[str], resource: str = "*", **more: Any) -> dict[str, Any]:
    """A statement."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def refusal(call: Callable[..., Any], **how: Any) -> tuple[str, str]:
    """Code and message of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**how)
    told = caught.value.response["Error"]
    return told["Code"], told["Message"]


def put(client: Any, **how: Any) -> Any:
    """Write a record."""
    return client.put_record(**{"StreamName": "s", "Data": b"1", "PartitionKey": "k", **how})


def test_start_when_it_is_the_first_then_the_root_key_gets_in_and_strangers_do_not(house: House) -> None:
    assert house.root("sts").get_caller_identity()["Arn"] == f"arn:aws:iam::{OWNER}:root"
    unknown = ("UnrecognizedClientException", "The security token included in the request is invalid.")
    for key_id in ("test", "AKIAIOSFODNN7EXAMPLE", OWNER):
        stranger = house.client("kinesis", aws_access_key_id=key_id, aws_secret_access_key="test")
        assert refusal(stranger.list_streams) == unknown
    key_id, secret = house.server.credentials
    wrong = house.client("kinesis", aws_access_key_id=key_id, aws_secret_access_key=secret[:-1] + "~")
    code, message = refusal(wrong.list_streams)
    assert code == "InvalidSignatureException"
    assert message.startswith("The request signature we calculated does not match the signature you provided.")


def signed(house: House, *, secure: bool = False) -> AWSRequest:
    """A PutRecord as botocore signs it."""
    where = house.server.tls_endpoint_url if secure else house.server.endpoint_url
    headers = {"x-amz-target": TARGET, "content-type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", where + "/", headers=headers, data=BODY)
    made = Credentials(*house.server.credentials)
    SigV4Auth(made, "kinesis", "us-east-1").add_auth(request)
    return request


def send(house: House, request: AWSRequest, *, http2: bool = False, **changed: Any) -> Reply:
    """Send a signed request, or a changed one."""
    prepared = request.prepare()
    how = {"body": prepared.body, "headers": dict(prepared.headers), "url": prepared.url, **changed}
    return post(**how, http2=http2, ca=house.server.ca_bundle)


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("secure", [False, True])
def test_request_when_it_is_signed_then_it_is_taken_over_every_way(house: House, http2: bool, secure: bool) -> None:
    answer = send(house, signed(house, secure=secure), http2=http2)
    assert (answer.status, answer.json().get("ShardId")) == (200, SHARD)


def test_url_when_it_is_presigned_then_whoever_has_it_is_its_maker_until_it_expires(house: House) -> None:
    url = house.root("sts").generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert f"<Arn>arn:aws:iam::{OWNER}:root</Arn>" in answer.read().decode()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"), timeout=60)
    with caught.value as refused:
        assert refused.code == 403
        assert "<Code>SignatureDoesNotMatch</Code>" in refused.read().decode()


@pytest.mark.parametrize("http2", [False, True])
def test_request_when_anything_of_it_was_changed_then_it_is_refused(house: House, http2: bool) -> None:
    request = signed(house)
    headers = dict(request.prepare().headers)
    url = house.server.endpoint_url
    for changed in (
        {"body": BODY.replace(b"MQ==", b"Mg==")},
        {"headers": {**headers, "x-amz-target": "Kinesis_20131202.PutRecords"}},
        {"url": url + "/other"},
        {"url": url + "/?a=b"},
        {"headers": {**headers, "content-type": "application/x-amz-json-1.0"}},
    ):
        answer = send(house, request, http2=http2, **changed)
        assert (answer.status, answer.json()["__type"]) == (400, "InvalidSignatureException"), changed


def test_request_when_it_is_not_signed_or_half_then_it_is_refused(house: House) -> None:
    headers = {"x-amz-target": TARGET, "content-type": "application/x-amz-json-1.1"}
    url = house.server.endpoint_url
    answer = post(url, headers, BODY)
    assert (answer.status, answer.json()) == (
        400,
        {"__type": "MissingAuthenticationTokenException", "message": "Missing Authentication Token"},
    )
    answer = post(url, {**headers, "authorization": "AWS4-HMAC-SHA256 Credential=a"}, BODY)
    assert answer.json()["__type"] == "IncompleteSignatureException"


def test_session_when_it_is_over_then_it_is_refused_and_a_deleted_role_ends_it_at_once(house: House) -> None:
    iam, keys = house.root("iam"), house.user("u", allow("sts:AssumeRole"))
    trusted = {"AWS": f"arn:aws:iam::{OWNER}:user/u"}
    here = {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}
    trust = document({"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole", "Condition": here})
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName="r", PolicyName="own", PolicyDocument=document(allow("kinesis:*")))

    def assumed(**how: Any) -> Any:
        role = f"arn:aws:iam::{OWNER}:role/r"
        made = house.client("sts", **keys).assume_role(RoleArn=role, RoleSessionName="job", **how)["Credentials"]
        return house.client(
            "kinesis",
            aws_access_key_id=made["AccessKeyId"],
            aws_secret_access_key=made["SecretAccessKey"],
            aws_session_token=made["SessionToken"],
        )

    session = assumed()
    put(session)
    narrow = assumed(Policy=document(allow("kinesis:GetRecords")))
    code, message = refusal(put, client=narrow)
    assert code == "AccessDeniedException"
    assert message == (
        f"User: arn:aws:sts::{OWNER}:assumed-role/r/job is not authorized to perform: kinesis:PutRecord"
        f" on resource: {STREAM} because no session policy allows the kinesis:PutRecord action"
    )
    house.server.clock.advance(hours=2)
    assert refusal(put, client=session)[0] == "ExpiredTokenException"
    session = assumed()
    iam.delete_role_policy(RoleName="r", PolicyName="own")
    assert refusal(put, client=session)[0] == "AccessDeniedException"
    iam.delete_role(RoleName="r")
    assert refusal(put, client=session)[0] == "UnrecognizedClientException"


def test_user_when_its_policies_allow_some_then_the_rest_is_denied_in_awss_words(house: House) -> None:
    keys = house.user(
        "u", allow("kinesis:Put*", STREAM), {"Effect": "Deny", "Action": "kinesis:PutRecords", "Resource": "*"}
    )
    client = house.client("kinesis", **keys)
    put(client)
    user = f"User: arn:aws:iam::{OWNER}:user/u is not authorized to perform:"
    assert refusal(client.list_shards, StreamName="s") == (
        "AccessDeniedException",
        f"{user} kinesis:ListShards on resource: {STREAM} because no identity-based policy allows the kinesis:ListShards action",
    )
    assert refusal(client.put_records, StreamName="s", Records=[{"Data": b"1", "PartitionKey": "k"}]) == (
        "AccessDeniedException",
        f"{user} kinesis:PutRecords on resource: {STREAM} with an explicit deny in an identity-based policy",
    )
    assert refusal(client.put_record, StreamName="not-there", Data=b"1", PartitionKey="k")[0] == "AccessDeniedException"
    assert refusal(house.client("iam", **keys).list_users) == (
        "AccessDenied",
        f"{user} iam:ListUsers because no identity-based policy allows the iam:ListUsers action",
    )
    house.root("iam").delete_user_policy(UserName="u", PolicyName="own")
    assert refusal(put, client=client)[0] == "AccessDeniedException"


def test_key_when_it_is_inactive_or_deleted_then_it_does_not_get_in(house: House) -> None:
    keys = house.user("u", allow("*"))
    client, iam = house.client("kinesis", **keys), house.root("iam")
    put(client)
    key_id = keys["aws_access_key_id"]
    iam.update_access_key(UserName="u", AccessKeyId=key_id, Status="Inactive")
    assert refusal(put, client=client)[0] == "UnrecognizedClientException"
    iam.update_access_key(UserName="u", AccessKeyId=key_id, Status="Active")
    put(client)
    iam.delete_access_key(UserName="u", AccessKeyId=key_id)
    assert refusal(put, client=client)[0] == "UnrecognizedClientException"


@pytest.fixture
def partner(house: House) -> dict[str, str]:
    """A user of another account who may do everything there."""
    root = house.server.other_account(OTHER)
    there = {"aws_access_key_id": root[0], "aws_secret_access_key": root[1]}
    iam = house.client("iam", **there)
    iam.create_user(UserName="partner")
    iam.put_user_policy(UserName="partner", PolicyName="own", PolicyDocument=document(allow("*")))
    made = iam.create_access_key(UserName="partner")["AccessKey"]
    return {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}


def test_other_account_when_both_sides_allow_then_it_reads_and_writes_by_arn(
    house: House, partner: dict[str, str]
) -> None:
    owner, client = house.root("kinesis"), house.client("kinesis", **partner)
    assert refusal(put, client=client)[0] == "ResourceNotFoundException"  # its own account has no such stream
    by_arn = {"StreamName": "s", "StreamARN": STREAM}
    denied = refusal(put, client=client, **by_arn)
    assert denied == (
        "AccessDeniedException",
        f"User: arn:aws:iam::{OTHER}:user/partner is not authorized to perform: kinesis:PutRecord on resource: {STREAM}"
        " because no resource-based policy allows the kinesis:PutRecord action",
    )
    actions = ["kinesis:PutRecord", "kinesis:GetShardIterator", "kinesis:GetRecords"]
    policy = document({**allow(actions, STREAM), "Principal": {"AWS": f"arn:aws:iam::{OTHER}:user/partner"}})
    owner.put_resource_policy(ResourceARN=STREAM, Policy=policy)
    put(client, **by_arn)
    issued = client.get_shard_iterator(**by_arn, ShardId=SHARD, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    assert len(client.get_records(ShardIterator=issued, StreamARN=STREAM)["Records"]) == 1
    assert len(client.get_records(ShardIterator=issued)["Records"]) == 1
    assert refusal(client.describe_stream, **by_arn)[0] == "AccessDeniedException"
    assert refusal(client.delete_stream, **by_arn)[0] == "AccessDeniedException"
    owner.delete_resource_policy(ResourceARN=STREAM)
    assert refusal(put, client=client, **by_arn) == denied
    assert refusal(client.get_records, ShardIterator=issued)[0] == "AccessDeniedException"


def test_other_account_when_a_consumer_is_shared_then_it_subscribes(house: House, partner: dict[str, str]) -> None:
    owner, client = house.root("kinesis"), house.client("kinesis", **partner)
    arn = owner.register_stream_consumer(StreamARN=STREAM, ConsumerName="c")["Consumer"]["ConsumerARN"]
    how = {"ConsumerARN": arn, "ShardId": SHARD, "StartingPosition": {"Type": "TRIM_HORIZON"}}
    assert refusal(client.subscribe_to_shard, **how)[0] == "AccessDeniedException"
    allowed = {**allow("kinesis:SubscribeToShard", arn), "Principal": {"AWS": OTHER}}
    owner.put_resource_policy(ResourceARN=arn, Policy=document(allowed))
    put(owner)
    events = client.subscribe_to_shard(**how)["EventStream"]
    assert [one["Data"] for one in next(iter(events))["SubscribeToShardEvent"]["Records"]] == [b"1"]
    events.close()


def test_condition_when_it_asks_for_tls_or_tags_then_the_request_decides(house: House) -> None:
    secure = allow("kinesis:Put*", Condition={"Bool": {"aws:SecureTransport": "true"}})
    tagged = allow("kinesis:GetShardIterator", Condition={"StringEquals": {"aws:ResourceTag/team": "blue"}})
    keys = house.user("u", secure, tagged)
    plain = house.client("kinesis", **keys)
    over_tls = house.client(
        "kinesis", **keys, endpoint_url=house.server.tls_endpoint_url, verify=house.server.ca_bundle
    )
    assert refusal(put, client=plain)[0] == "AccessDeniedException"
    put(over_tls)
    how = {"StreamName": "s", "ShardId": SHARD, "ShardIteratorType": "LATEST"}
    assert refusal(plain.get_shard_iterator, **how)[0] == "AccessDeniedException"
    house.root("kinesis").add_tags_to_stream(StreamName="s", Tags={"team": "blue"})
    plain.get_shard_iterator(**how)


def test_kms_key_when_its_policy_names_a_user_then_only_that_one_uses_it(house: House) -> None:
    keys, others = house.user("u", allow("*")), house.user("v", allow("kinesis:*"))
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OWNER}:root"}, "Action": "kms:*", "Resource": "*"}
    key_id = house.root("kms").create_key(Policy=document(root))["KeyMetadata"]["KeyId"]
    blob = house.client("kms", **keys).encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    assert refusal(house.client("kms", **others).decrypt, CiphertextBlob=blob)[0] == "AccessDeniedException"
    assert refusal(house.client("kms", **others).list_keys)[0] == "AccessDeniedException"
    house.root("kinesis").start_stream_encryption(StreamName="s", EncryptionType="KMS", KeyId=key_id)
    put(house.client("kinesis", **keys))
    assert refusal(put, client=house.client("kinesis", **others))[0] == "KMSAccessDeniedException"


def test_kms_key_when_it_is_awss_then_it_is_used_through_the_stream_and_not_by_itself(house: House) -> None:
    keys = house.user("u", allow("kinesis:*"))
    house.root("kinesis").start_stream_encryption(StreamName="s", EncryptionType="KMS", KeyId="alias/aws/kinesis")
    assert put(house.client("kinesis", **keys))["EncryptionType"] == "KMS"
    how = {"KeyId": "alias/aws/kinesis", "KeySpec": "AES_256"}
    assert refusal(house.client("kms", **keys).generate_data_key, **how)[0] == "AccessDeniedException"


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl_when_it_signs_by_itself_then_it_is_taken(house: House, version: str) -> None:
    key_id, secret = house.server.credentials
    command = [
        "curl", "--silent", "--show-error", "--max-time", "20", version, "--aws-sigv4", "aws:amz:us-east-1:kinesis",
        "--header", f"x-amz-target: {TARGET}", "--header", "content-type: application/x-amz-json-1.1",
        "--data-binary", BODY.decode(), house.server.endpoint_url,
    ]  # fmt: skip
    good = subprocess.run([*command, "--user", f"{key_id}:{secret}"], capture_output=True, check=True)
    assert json.loads(good.stdout)["ShardId"] == SHARD
    bad = subprocess.run([*command, "--user", f"{key_id}:{secret}~"], capture_output=True, check=True)
    assert json.loads(bad.stdout)["__type"] == "InvalidSignatureException"
