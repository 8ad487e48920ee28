"""A whole server without its ports: every service on the memory engine, behind one exchange, on a loop of its own.

Theory.  What a request may do depends on what is there, so streams, keys and identities are made first, through the exchange itself.
What hostile requests leave behind is thrown away every now and then, so that a run of hours takes no more memory than one of seconds.
An answer is judged by whoever asked; but what was logged as an error, or raised, is a finding whatever the answer was.
"""

import asyncio
import hmac
import json
import logging
import tempfile
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlencode
from xml.etree import ElementTree

from tapes import turn

from penstock.composition import Services, open_services
from penstock.core.ids import AccountId
from penstock.core.settings import load
from penstock.engine import Engine, open_engine
from penstock.host.apimodels import load_model
from penstock.host.clock import SystemClock, TestClock, monotonic_s
from penstock.host.entropy import SeededEntropy
from penstock.server.audit import Audit
from penstock.server.exchange import Answer, Exchange
from penstock.services.metrics.registry import StreamMetrics
from penstock.wire import authorization, mac, signature
from penstock.wire.route import Head

ACCOUNT: Final = AccountId("123456789012")
REQUESTS_MAX: Final = 400  # before everything is made anew
AUDIT_LINE_MAX_BYTES: Final = 256 * 1024
TURNS_MAX: Final = 4  # of the loop, for what an event stream has to say
JSON: Final = "application/x-amz-json-1.1"
FORM: Final = "application/x-www-form-urlencoded"
CBOR: Final = "application/x-amz-cbor-1.1"
RPC: Final = "application/cbor"
TARGETS: Final = {
    "kinesis": "Kinesis_20131202",
    "kms": "TrentService",
    "cloudwatch": "GraniteServiceVersion20100801",
    "dynamodb": "DynamoDB_20120810",
    "glue": "AWSGlue",
    "logs": "Logs_20140328",
    "firehose": "Firehose_20150804",
    "sqs": "AmazonSQS",
}
VERSIONS: Final = {"iam": "2010-05-08", "sts": "2011-06-15", "cloudwatch": "2010-08-01", "sns": "2010-03-31"}
SIGNING_NAMES: Final = {"cloudwatch": "monitoring"}  # where it is another
SCOPE: Final = "test/20260101/us-east-1/{service}/aws4_request"
POLICY: Final = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kinesis:*", "Resource": "*"}]}
)
TRUST: Final = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}
)

ROLE: Final = "arn:aws:iam::123456789012:role/r"
ZIP: Final = (  # of one empty file
    "UEsDBBQAAAAAAAAAIQAAAAAAAAAAAAAAAAABAAAAYVBLAQIUAxQAAAAAAAAAIQAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAACAAQAAAABhUEsFBgAAAAABAAEA"
    "LwAAAB8AAAAAAA=="
)

Result = TypeVar("Result")


class Reply(NamedTuple):
    """An answer, whole."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})  # by lower-case name

    @property
    def document(self) -> Any:
        """What a JSON body holds."""
        return json.loads(self.body)

    def text(self, name: str) -> str:
        """The first element of this name in an XML body."""
        return next(each.text or "" for each in ElementTree.fromstring(self.body).iter() if each.tag.endswith(name))


class _Nobody:
    def observe(self, operation: str, outcome: str, seconds: float) -> None:
        pass


class _Ledger:
    """Where audit lines go: they are looked at, and forgotten."""

    def append(self, line: bytes) -> None:
        assert len(line) < AUDIT_LINE_MAX_BYTES, "an audit line without a bound"
        assert isinstance(json.loads(line), dict)

    def close(self) -> None:
        pass


class Complaints(logging.Handler):
    """Keeps what the server logs as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def raise_first(self) -> None:
        """Raise what was logged, with where it came from."""
        records, self.records = self.records, []
        if records:
            cause = records[0].exc_info
            raise AssertionError(records[0].getMessage()) from (cause[1] if cause else None)


def head_of(headers: dict[str, str], method: str = "POST", path: str = "/") -> Head:
    """A request's head."""
    raw = tuple((name.encode(), value.encode()) for name, value in headers.items())
    return Head(method, path, {}, headers, raw, target=path.encode())


def call_head(service: str, operation: str, content_type: str = JSON) -> Head:
    """The head of a call, with credentials that `--auth open` believes."""
    scope = SCOPE.format(service=SIGNING_NAMES.get(service, service))
    headers = {
        "host": "localhost",
        "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature=00",
        "x-amz-date": "20260101T000000Z",
    }
    if content_type == RPC:
        path = f"/service/{TARGETS[service]}/operation/{operation}"
        return head_of({**headers, "content-type": RPC, "smithy-protocol": "rpc-v2-cbor"}, path=path)
    if service in TARGETS and content_type != FORM:
        return head_of({**headers, "content-type": content_type, "x-amz-target": f"{TARGETS[service]}.{operation}"})
    return head_of({**headers, "content-type": FORM})


def form_of(service: str, operation: str, fields: dict[str, str]) -> bytes:
    """The body of a query call."""
    return urlencode({"Action": operation, "Version": VERSIONS[service], **fields}).encode()


class World:
    """One server."""

    def __init__(self, auth: str = "open") -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="penstock-fuzz-")
        options = {"auth": auth, "engine": "memory", "data_dir": self._directory.name, "functions": "off"}
        self._settings = load(options, {}, None)
        self._loop = asyncio.new_event_loop()
        self._complaints = Complaints()
        self._services: Services | None = None
        self._engine: Engine | None = None
        self._requests = 0
        self.keys: list[tuple[str, str]] = []  # key id and secret: of the root, and of a user
        self.live: dict[str, str] = {}  # what can be named, by what it is
        logger = logging.getLogger("penstock")
        logger.addHandler(self._complaints)
        logger.propagate = False
        self.renew()

    def close(self) -> None:
        """Let go of everything."""
        self._end()
        self._loop.close()
        logger = logging.getLogger("penstock")
        logger.removeHandler(self._complaints)
        logger.propagate = True
        self._directory.cleanup()

    def ask(self, head: Head, body: bytes) -> Reply:
        """The answer to a request.  Raises whatever the server logged as its own fault."""
        self._requests += 1
        if self._requests > REQUESTS_MAX:
            self.renew()
        reply = self._run(self._answered(head, body))
        self._complaints.raise_first()
        return reply

    def call(self, service: str, operation: str, document: dict[str, Any]) -> Reply:
        """A call by a JSON document, or the fields of a form; signed if the server wants it."""
        body = json.dumps(document).encode() if service in TARGETS else form_of(service, operation, document)
        return self.ask(self.signed(call_head(service, operation), body, service), body)

    def signed(self, head: Head, body: bytes, service: str, key: int = 0) -> Head:
        """The head with a right signature by one of `keys`; as it is where nobody verifies."""
        if not self.keys:
            return head
        key_id, secret = self.keys[key % len(self.keys)]
        return sign(head, body, service, key_id, secret)

    def renew(self) -> None:
        """Make everything anew."""
        self._end()
        self._requests = 0
        self._run(self._begin())
        self._fill()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._loop.run_until_complete(work)

    async def _begin(self) -> None:
        clock, entropy = TestClock(), SeededEntropy(7)
        path = Path(self._directory.name)
        self._engine = await open_engine(self._settings, path, clock, entropy)
        metrics = StreamMetrics()
        services = self._services = await open_services(self._settings, self._engine, path, clock, entropy, metrics)
        audit = Audit(_Ledger(), clock, entropy, data=True)
        self._exchange = Exchange(services.router, entropy, _Nobody(), monotonic_s, services.door, audit=audit)
        self.keys = []
        if self._settings.auth == "enforced":
            made = await (await services.iam()).new_key(ACCOUNT, None)
            self.keys.append((made.record.id, made.secret))

    def _end(self) -> None:
        if self._services is not None and self._engine is not None:
            self._run(self._services.stop())
            self._run(_closed(self._engine))
            self._services = None

    def _fill(self) -> None:
        """Make streams, keys and identities, for requests to meet."""
        kinesis, account = "arn:aws:kinesis:us-east-1", ACCOUNT
        self.call("kinesis", "CreateStream", {"StreamName": "a", "ShardCount": 2})
        self.call("kinesis", "CreateStream", {"StreamName": "b", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}})
        records = [{"Data": "AAEC", "PartitionKey": str(number)} for number in range(8)]
        put = self.call("kinesis", "PutRecords", {"StreamName": "a", "Records": records}).document["Records"]
        made = self.call(
            "kinesis", "RegisterStreamConsumer", {"StreamARN": f"{kinesis}:{account}:stream/a", "ConsumerName": "c"}
        )
        wanted = {"StreamName": "a", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
        iterator = self.call("kinesis", "GetShardIterator", wanted).document["ShardIterator"]
        key = self.call("kms", "CreateKey", {}).document["KeyMetadata"]
        self.call("kms", "CreateAlias", {"AliasName": "alias/k", "TargetKeyId": key["KeyId"]})
        sealed = self.call("kms", "Encrypt", {"KeyId": key["KeyId"], "Plaintext": "AAEC"}).document
        definition = {
            "TableName": "app",
            "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        }
        self.call("dynamodb", "CreateTable", definition)
        self.call("dynamodb", "PutItem", {"TableName": "app", "Item": {"k": {"S": "a"}, "n": {"N": "1"}}})
        self.call("glue", "CreateDatabase", {"DatabaseInput": {"Name": "db"}, "Tags": {"k": "v"}})
        table = {"Name": "events", "StorageDescriptor": {"Columns": [{"Name": "id", "Type": "string"}]}}
        self.call("glue", "CreateTable", {"DatabaseName": "db", "TableInput": table})
        self.call("glue", "UpdateTable", {"DatabaseName": "db", "TableInput": table})
        queue = self.call("sqs", "CreateQueue", {"QueueName": "jobs"}).document["QueueUrl"]
        self.call("sqs", "SendMessage", {"QueueUrl": queue, "MessageBody": "m"})
        received = self.call("sqs", "ReceiveMessage", {"QueueUrl": queue}).document["Messages"]
        self.call("sns", "CreateTopic", {"Name": "news"})
        topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:news"
        subscription = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": f"arn:aws:sqs:us-east-1:{ACCOUNT}:jobs"}
        subscribed = self.call("sns", "Subscribe", subscription)
        self.call("logs", "CreateLogGroup", {"logGroupName": "app"})
        stream = {"logGroupName": "app", "logStreamName": "a"}
        self.call("logs", "CreateLogStream", stream)
        event = {"timestamp": SystemClock().now_ms(), "message": "m"}
        self.call("logs", "PutLogEvents", {**stream, "logEvents": [event]})
        bucket = {"RoleARN": f"arn:aws:iam::{account}:role/r", "BucketARN": "arn:aws:s3:::lake"}
        self.call("firehose", "CreateDeliveryStream", {"DeliveryStreamName": "a", "S3DestinationConfiguration": bucket})
        self._functions()
        self.live = {
            "handle": received[0]["ReceiptHandle"],
            "subscription": subscribed.text("SubscriptionArn"),
            "sequence": put[0]["SequenceNumber"],
            "consumer": made.document["Consumer"]["ConsumerARN"],
            "iterator": iterator,
            "key": key["KeyId"],
            "key arn": key["Arn"],
            "ciphertext": sealed["CiphertextBlob"],
            "zip": ZIP,
            **self._people(),
        }

    def _functions(self) -> None:
        """A function with a version, an alias and a policy."""
        from rest_calls import rest_call

        operations = load_model("lambda").operations
        code = {"Code": {"ZipFile": ZIP}, "Handler": "a.h", "Runtime": "python3.12", "Role": ROLE}
        for name, document in (
            ("CreateFunction", {"FunctionName": "f", **code, "Publish": True, "Tags": {"k": "v"}}),
            ("CreateAlias", {"FunctionName": "f", "Name": "live", "FunctionVersion": "1"}),
            (
                "AddPermission",
                {"FunctionName": "f", "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "*"},
            ),
            ("PutFunctionEventInvokeConfig", {"FunctionName": "f", "MaximumRetryAttempts": 0}),
        ):
            head, body = rest_call(operations[name], document)
            reply = self.ask(self.signed(head, body, "lambda"), body)
            assert reply.status < 300, (name, reply.body)

    def _people(self) -> dict[str, str]:
        self.call("iam", "CreateUser", {"UserName": "ann", "Tags.member.1.Key": "k", "Tags.member.1.Value": "v"})
        self.call("iam", "PutUserPolicy", {"UserName": "ann", "PolicyName": "p", "PolicyDocument": POLICY})
        self.call("iam", "CreateRole", {"RoleName": "reader", "AssumeRolePolicyDocument": TRUST})
        policy = self.call("iam", "CreatePolicy", {"PolicyName": "m", "PolicyDocument": POLICY})
        self.call("iam", "AttachRolePolicy", {"RoleName": "reader", "PolicyArn": policy.text("Arn")})
        self.call("iam", "CreateInstanceProfile", {"InstanceProfileName": "i"})
        key = self.call("iam", "CreateAccessKey", {"UserName": "ann"})
        if self.keys:
            self.keys.append((key.text("AccessKeyId"), key.text("SecretAccessKey")))
        return {"policy": policy.text("Arn"), "access key": key.text("AccessKeyId")}

    async def _answered(self, head: Head, body: bytes) -> Reply:
        answer = await self._exchange.handle(head, body)
        content_type = next((value for name, value in answer.headers if name == "content-type"), "")
        for name, value in answer.headers:
            assert "\n" not in name + value, "a header that begins another"
            assert "\r" not in name + value, "a header that begins another"
        content = answer.body if isinstance(answer.body, bytes) else await self._streamed(answer)
        return Reply(answer.status, content_type, content, {name.lower(): value for name, value in answer.headers})

    async def _streamed(self, answer: Answer) -> bytes:
        """What a stream says at once."""
        stream = answer.stream
        assert stream is not None
        pieces = aiter(stream)
        said = await anext(pieces)
        following = self._loop.create_task(_next(pieces))
        for _ in range(TURNS_MAX):
            await turn()
        if following.done():
            said += following.result()
        else:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
        await stream.aclose()
        return said


async def _closed(engine: Engine) -> None:
    await engine.close()


async def _next(pieces: Any) -> bytes:
    piece: bytes = await anext(pieces, b"")
    return piece


def sign(head: Head, body: bytes, service: str, key_id: str, secret: str) -> Head:
    """A head with a right signature of now, whatever signature it had."""
    date = authorization.written(SystemClock().now_ms() // 1000)
    service = SIGNING_NAMES.get(service, service)
    scope = f"{date[:8]}/us-east-1/{service}/{authorization.TERMINATOR}"
    claim = f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders=host;x-amz-date, Signature="
    dated = _with(head, {"host": "localhost", "x-amz-date": date, "authorization": claim + "00"})
    at_ms = authorization.read_instant(date).at_s * 1000
    pending = signature.begin(dated, at_ms, signature.Expectation(service), lambda _: signature.Secret(secret))
    payload = sha256(body).hexdigest() if pending.needs_hash else pending.payload
    canonical = signature.canonical_request(pending, payload or "", frozenset())
    assert canonical is not None, "host and date are there"
    text = signature.string_to_sign(pending.instant, pending.scope, canonical)
    key = mac.signing_key(secret, pending.scope.date, "us-east-1", service)
    return _with(dated, {"authorization": claim + hmac.digest(key, text.encode(), "sha256").hex()})


def _with(head: Head, headers: dict[str, str]) -> Head:
    kept = {name: value for name, value in head.headers.items() if name not in headers}
    names = {name.encode() for name in headers}
    raw = tuple(pair for pair in head.raw_headers if pair[0] not in names)
    added = tuple((name.encode(), value.encode()) for name, value in headers.items())
    return head._replace(headers={**kept, **headers}, raw_headers=raw + added)
