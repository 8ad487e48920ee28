"""The audit log of one server that verifies, after a run in which everybody did something."""

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from plain_calls import post

from penstock.testing import PenstockServer

OWNER: Final = "123456789012"
HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"
HEADERS: Final = {"x-amz-target": "Kinesis_20131202.PutRecord", "content-type": "application/x-amz-json-1.1"}
POLICY: Final = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
)
TRUST: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": OWNER}, "Action": "sts:AssumeRole"}],
    }
)
SHAPE: Final[dict[str, tuple[type, ...]]] = {
    "eventVersion": (str,), "eventTime": (str,), "eventID": (str,), "eventType": (str,), "userIdentity": (dict,),
    "eventSource": (str,), "eventName": (str,), "awsRegion": (str,), "sourceIPAddress": (str,), "userAgent": (str,),
    "requestParameters": (dict, type(None)), "responseElements": (dict, type(None)), "requestID": (str,),
    "readOnly": (bool,), "managementEvent": (bool,), "eventCategory": (str,), "recipientAccountId": (str,),
}  # fmt: skip
MAYBE: Final = {"errorCode": str, "errorMessage": str, "tlsDetails": dict}


class Run(NamedTuple):
    """What was written, and what must not have been."""

    text: str
    secrets: set[str]

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def one(self, name: str, **wanted: object) -> dict[str, Any]:
        """The only line of an operation that has these fields."""
        [line] = [one for one in self.lines if one["eventName"] == name and wanted.items() <= one.items()]
        return line


class Actors:
    """Clients whose signatures are remembered."""

    def __init__(self, server: PenstockServer) -> None:
        self.server = server
        self.secrets = {server.credentials[1]}

    def client(self, service: str, keys: dict[str, str] | None = None, **more: Any) -> Any:
        """A client of whoever has the keys, or of the root."""
        names = {"AccessKeyId": "aws_access_key_id", "SecretAccessKey": "aws_secret_access_key"}
        names["SessionToken"] = "aws_session_token"
        given = {names[name]: value for name, value in (keys or {}).items() if name in names}
        self.secrets |= {value for name, value in given.items() if name != "aws_access_key_id"}
        client = self.server.client(service, config=Config(retries={"total_max_attempts": 1}), **given, **more)
        client.meta.events.register("before-send", self._remember)
        return client

    def _remember(self, request: Any, **_: object) -> None:
        self.secrets.add(bytes(request.headers["Authorization"]).decode().partition("Signature=")[2])


def sealing(actors: Actors) -> None:
    """Calls of KMS that carry plaintexts and ciphertexts."""
    kms = actors.client("kms")
    key = kms.create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": OWNER}, "Action": "kms:*", "Resource": "*"}]}))["KeyMetadata"]["KeyId"]  # fmt: skip
    blob = kms.encrypt(KeyId=key, Plaintext=b"the-plain-text")["CiphertextBlob"]
    kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key)
    kms.decrypt(CiphertextBlob=blob)


def records(actors: Actors) -> None:
    """Calls of the data plane."""
    kinesis = actors.client("kinesis")
    kinesis.create_stream(StreamName="s", ShardCount=1)
    kinesis.put_record(StreamName="s", Data=b"the-plain-text", PartitionKey="customer-key")
    kinesis.put_records(StreamName="s", Records=[{"Data": b"the-plain-text", "PartitionKey": "customer-key"}])
    how = {"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    issued = kinesis.get_shard_iterator(**how)["ShardIterator"]
    page = kinesis.get_records(ShardIterator=issued)
    actors.secrets |= {issued, page["NextShardIterator"], "customer-key", "the-plain-text", "dGhlLXBsYWluLXRleHQ"}


def people(actors: Actors) -> None:
    """A user, a session of a role, and those who do not get in."""
    iam = actors.client("iam")
    iam.create_user(UserName="u")
    iam.put_user_policy(UserName="u", PolicyName="own", PolicyDocument=POLICY)
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    keys = iam.create_access_key(UserName="u")["AccessKey"]
    role = f"arn:aws:iam::{OWNER}:role/r"
    session = actors.client("sts", keys).assume_role(RoleArn=role, RoleSessionName="job")["Credentials"]
    for whose in (keys, session, {**keys, "SecretAccessKey": "wrong"}, {**keys, "AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}):
        with pytest.raises(ClientError):
            actors.client("kinesis", whose).list_shards(StreamName="s")
    url = actors.server.endpoint_url
    for authorization in ("Bearer a.secret.token", "AWS4-HMAC-SHA256 Signature=5ec0e7", ""):
        assert post(url, {**HEADERS, "authorization": authorization}, b'{"Data":"dGhlLXBsYWluLXRleHQ="}').status == 400
    actors.secrets |= {"a.secret.token", "5ec0e7"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    log: Path = tmp_path_factory.mktemp("audit") / "audit.log"
    with PenstockServer(auth="enforced", tls=True, audit_log=str(log), audit_data="true") as server:
        actors = Actors(server)
        records(actors)
        sealing(actors)
        people(actors)
        over: dict[str, Any] = {"endpoint_url": server.tls_endpoint_url, "verify": server.ca_bundle}
        actors.client("kinesis", **over).describe_limits()
    return Run(log.read_text(), actors.secrets)


def test_audit_when_everybody_did_something_has_no_secret_token_or_signature(run: Run) -> None:
    assert len(run.secrets) > 20
    assert [secret for secret in run.secrets if secret in run.text] == []


def test_audit_lines_when_read_have_the_fields_and_types_of_cloudtrail(run: Run) -> None:
    assert len(run.lines) > 15
    for line in run.lines:
        assert {name for name, kinds in SHAPE.items() if not isinstance(line[name], kinds)} == set()
        assert {name for name in line.keys() - SHAPE if not isinstance(line[name], MAYBE[name])} == set()
        assert (line["eventType"], line["eventCategory"]) == (
            "AwsApiCall",
            "Management" if line["managementEvent"] else "Data",
        )


@pytest.mark.parametrize(
    ("name", "where", "member"),
    [
        ("PutRecord", "requestParameters", "data"),
        ("PutRecord", "requestParameters", "partitionKey"),
        ("GetRecords", "requestParameters", "shardIterator"),
        ("Encrypt", "requestParameters", "plaintext"),
        ("Decrypt", "requestParameters", "ciphertextBlob"),
        ("ReEncrypt", "responseElements", "ciphertextBlob"),
    ],
)
def test_audit_when_a_member_is_nobodys_business_hides_it(run: Run, name: str, where: str, member: str) -> None:
    assert next(one for one in run.lines if one["eventName"] == name)[where][member] == HIDDEN


def test_audit_when_credentials_are_answered_hides_what_is_secret_of_them(run: Run) -> None:
    made = run.one("CreateAccessKey")["responseElements"]["accessKey"]
    assert (made["secretAccessKey"], made["accessKeyId"][:4]) == (HIDDEN, "AKIA")
    lent = run.one("AssumeRole")["responseElements"]["credentials"]
    assert (lent["secretAccessKey"], lent["sessionToken"], lent["accessKeyId"][:4]) == (HIDDEN, HIDDEN, "ASIA")


def test_audit_when_a_policy_is_set_shows_it_whole(run: Run) -> None:
    assert run.one("PutUserPolicy")["requestParameters"]["policyDocument"] == POLICY
    assert run.one("CreateRole")["requestParameters"]["assumeRolePolicyDocument"] == TRUST


def test_audit_when_somebody_is_denied_tells_who(run: Run) -> None:
    denied = [one for one in run.lines if one.get("errorCode") == "AccessDeniedException"]
    kinds = [(one["userIdentity"]["type"], one["userIdentity"]["arn"]) for one in denied]
    assert kinds == [
        ("IAMUser", f"arn:aws:iam::{OWNER}:user/u"),
        ("AssumedRole", f"arn:aws:sts::{OWNER}:assumed-role/r/job"),
    ]
    assert {one["recipientAccountId"] for one in denied} == {OWNER}
    assert run.one("CreateStream")["userIdentity"]["type"] == "Root"


def test_audit_when_somebody_does_not_get_in_tells_why_and_names_nobody(run: Run) -> None:
    strangers = [one for one in run.lines if one["userIdentity"] == {"type": "Unknown"}]
    assert [(one["eventName"], one["errorCode"]) for one in strangers] == [
        ("ListShards", "InvalidSignatureException"),
        ("ListShards", "UnrecognizedClientException"),
        ("PutRecord", "IncompleteSignatureException"),
        ("PutRecord", "IncompleteSignatureException"),
        ("PutRecord", "MissingAuthenticationTokenException"),
    ]
    assert strangers[2]["errorMessage"] == f"'{HIDDEN}' not a valid key=value pair"
    assert strangers[3]["errorMessage"].startswith("Authorization header requires 'Credential' parameter.")


def test_audit_when_a_call_came_over_tls_tells_of_it_and_else_does_not(run: Run) -> None:
    told = run.one("DescribeLimits")["tlsDetails"]
    assert (told["tlsVersion"], told.keys()) == ("TLSv1.3", {"tlsVersion", "cipherSuite", "clientProvidedHostHeader"})
    assert [one["eventName"] for one in run.lines if "tlsDetails" in one] == ["DescribeLimits"]


def test_audit_when_data_is_asked_for_writes_calls_of_the_data_plane(run: Run) -> None:
    calls = [one["eventName"] for one in run.lines if one["eventCategory"] == "Data" and "errorCode" not in one]
    assert calls == ["PutRecord", "PutRecords", "GetRecords"]


def test_audit_when_data_is_not_asked_for_writes_refused_identities_of_the_data_plane_alone(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    with PenstockServer(auth="enforced", audit_log=str(log)) as server:
        actors = Actors(server)
        iam = actors.client("iam")
        iam.create_user(UserName="u")
        keys = iam.create_access_key(UserName="u")["AccessKey"]
        records(actors)
        for whose in (keys, {**keys, "SecretAccessKey": "wrong"}):
            with pytest.raises(ClientError):
                actors.client("kinesis", whose).put_record(StreamName="s", Data=b"1", PartitionKey="k")
        with pytest.raises(ClientError):
            actors.client("kinesis").put_record(StreamName="none", Data=b"1", PartitionKey="k")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(one["eventName"], one["errorCode"]) for one in lines if one["eventCategory"] == "Data"] == [
        ("PutRecord", "AccessDeniedException"),
        ("PutRecord", "InvalidSignatureException"),
    ]
