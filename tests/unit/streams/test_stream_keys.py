"""Keys of streams: refusals of KMS as streams tell them, guards, and what is kept when."""

import json
from collections.abc import Mapping

import pytest
from msgspec.structs import replace
from streams_world import CALLER, ManualClock, begin, run, turns

from penstock.core.context import Caller
from penstock.core.errors import Error, ServiceError
from penstock.core.ids import AccountId, StreamUid
from penstock.core.kms_errors import KmsError, StreamKeyError, stream_key_error
from penstock.engines.api import Write
from penstock.engines.memory import MemoryLog, MemoryMeta
from penstock.host.entropy import SeededEntropy
from penstock.host.remotekms import _told as told_by_remote
from penstock.host.tasks import LoopTasks
from penstock.services.iam import principals
from penstock.services.iam.evaluate import Identity, Judge, Need, Request, denial_text
from penstock.services.iam.policy import PolicyKind, parse_policy
from penstock.services.kms.guard import Guard, OpenGuard
from penstock.services.kms.managed import default_policy
from penstock.services.kms.service import Kms, open_kms
from penstock.services.kms.state import Key, Place
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams.directory import Directory
from penstock.services.streams.envelope import KEPT_MS
from penstock.services.streams.ops.encryption import StreamEncryptionRequest, start_stream_encryption
from penstock.services.streams.ops.record import (
    GetRecordsRequest,
    GetShardIteratorRequest,
    PutRecordRequest,
    PutRecordsRequest,
    get_records,
    get_shard_iterator,
    put_record,
    put_records,
)
from penstock.services.streams.ops.stream import CreateStreamRequest, create_stream
from penstock.services.streams.service import Streams, open_streams
from penstock.services.streams.state import encode

SHARD = "shardId-000000000000"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("DisabledException", "KMSDisabledException"),
        ("KMSInvalidStateException", "KMSInvalidStateException"),
        ("KeyUnavailableException", "KMSInvalidStateException"),
        ("InvalidCiphertextException", "KMSInvalidStateException"),
        ("AccessDeniedException", "KMSAccessDeniedException"),
        ("NotFoundException", "KMSNotFoundException"),
        ("OptInRequired", "KMSOptInRequired"),
        ("ThrottlingException", "KMSThrottlingException"),
    ],
)
def test_refusal_when_kms_gives_it_then_the_stream_tells_it(code: str, told: str) -> None:
    error = told_by_remote({"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": {"HTTPStatusCode": 400}})
    found = stream_key_error(error)
    assert (found.code, found.message, found.status) == (told, "why", 400)


def test_refusal_when_kms_fails_then_it_is_a_fault_of_the_servers_side() -> None:
    error = told_by_remote({"Error": {"Code": "KMSInternalException"}, "ResponseMetadata": {"HTTPStatusCode": 500}})
    assert stream_key_error(error).code == Error.INTERNAL_FAILURE.code


class Master:
    """A master key in memory."""

    async def read(self) -> bytes | None:
        return b"m" * 32

    async def make(self) -> bytes:
        return b"m" * 32


class Policies:
    """A guard that asks the key's policy with the evaluation of IAM: what `--auth enforced` needs."""

    def __init__(self) -> None:
        self._judge = Judge()

    def refusal(self, caller: Caller, action: str, key: Key, context: Mapping[str, str]) -> ServiceError | None:
        identity = Identity(principals.root(caller.account))
        keys: dict[str, tuple[str, ...]] = {
            f"kms:encryptioncontext:{name}": (value,) for name, value in context.items()
        }
        policy = parse_policy(key.policy, PolicyKind.RESOURCE)
        request = Request(action, key.arn, key.account, policy, lambda name: keys.get(name, ()), Need.REQUIRED)
        decision = self._judge.decide(identity, request)
        return None if decision.allowed else KmsError.DENIED(text=denial_text(identity.principal, request, decision))

    def check_policy(self, text: str) -> str | None:
        return None


class Slow:
    """A KMS that takes its time, as one beyond a network does."""

    def __init__(self, kms: Kms) -> None:
        self._kms = kms
        self.generated = 0

    async def resolve(self, caller: Caller, text: str) -> str:
        await turns(3)
        return await self._kms.resolve(caller, text)

    async def generate(self, caller: Caller, arn: str, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        self.generated += 1
        await turns(3)
        return await self._kms.generate(caller, arn, context)

    async def decrypt(self, caller: Caller, arn: str, blob: bytes, context: Mapping[str, str]) -> bytes:
        await turns(3)
        return await self._kms.decrypt(caller, arn, blob, context)

    def authorize(self, caller: Caller, action: str, arn: str, context: Mapping[str, str]) -> None:
        self._kms.authorize(caller, action, arn, context)


class World:
    """A stream `s` that is encrypted with a key."""

    def __init__(self, kms: Kms, streams: Streams, clock: ManualClock, key: Key, slow: Slow) -> None:
        self.kms, self.streams, self.clock, self.key, self.slow = kms, streams, clock, key, slow

    async def put(self) -> None:
        await put_record(self.streams, CALLER, PutRecordRequest(stream_name="s", data=b"x", partition_key="k"))

    async def put_many(self) -> None:
        request = PutRecordsRequest(
            stream_name="s", data=[b"x", b"y"], partition_keys=["k", "l"], explicit_hash_keys=[None, None]
        )
        await put_records(self.streams, CALLER, request)

    async def get(self) -> list[bytes]:
        request = GetShardIteratorRequest(stream_name="s", shard_id=SHARD, shard_iterator_type="TRIM_HORIZON")
        iterator = (await get_shard_iterator(self.streams, CALLER, request)).shard_iterator
        return list((await get_records(self.streams, CALLER, GetRecordsRequest(shard_iterator=iterator))).page.data)

    async def change_policy(self, action: str | None) -> None:
        """Deny an action to everybody, or nothing."""
        statements = [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}]
        if action is not None:
            statements.append({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": action, "Resource": "*"})
        text = json.dumps({"Version": "2012-10-17", "Statement": statements})
        await self.kms.keys.change(self.key.id, lambda held: replace(held, policy=text))


async def make_world(tasks: LoopTasks, guard: Guard | None = None) -> World:
    clock, entropy, meta = ManualClock(), SeededEntropy(1), MemoryMeta()
    kms = await open_kms(meta, Master(), clock=clock, entropy=entropy, tasks=tasks, guard=guard)
    slow = Slow(kms)
    streams = await open_streams(
        MemoryLog(clock), meta, clock=clock, entropy=entropy, tasks=tasks,
        metrics=StreamMetrics(), enforce_limits=False, transition_ms=0, keys=slow,
    )  # fmt: skip
    place = Place(CALLER.account, CALLER.region)
    key = await kms.create(place, default_policy(place), "", {})
    await create_stream(streams, CALLER, CreateStreamRequest(stream_name="s", shard_count=1))
    request = StreamEncryptionRequest(stream_name="s", encryption_type="KMS", key_id=key.arn)
    await start_stream_encryption(streams, CALLER, request)
    return World(kms, streams, clock, key, slow)


def test_policy_when_it_denies_then_puts_and_gets_are_refused_at_once() -> None:
    async def scenario() -> None:
        tasks = LoopTasks()
        world = await make_world(tasks, Policies())
        await world.put()
        await world.change_policy("kms:GenerateDataKey")
        for write in (world.put, world.put_many):
            with pytest.raises(ServiceError, match="kms:GenerateDataKey on resource: arn:aws:kms:") as caught:
                await write()
            assert caught.value.code == StreamKeyError.DENIED.code
        assert await world.get() == [b"x"]
        await world.change_policy("kms:Decrypt")
        await world.put()
        with pytest.raises(ServiceError, match="kms:Decrypt") as caught:
            await world.get()
        assert caught.value.code == StreamKeyError.DENIED.code
        await world.change_policy(None)
        assert await world.get() == [b"x", b"x"]
        await tasks.stop()

    run(scenario())


def test_guard_when_open_then_the_account_may_and_others_may_not() -> None:
    async def scenario() -> None:
        tasks = LoopTasks()
        world = await make_world(tasks)
        other = CALLER._replace(account=AccountId("999999999999"))
        assert OpenGuard().refusal(CALLER, "kms:Decrypt", world.key, {}) is None
        refusal = OpenGuard().refusal(other, "kms:Decrypt", world.key, {})
        assert refusal is not None
        assert refusal.code == "AccessDeniedException"
        await tasks.stop()

    run(scenario())


def test_data_keys_when_five_minutes_have_passed_then_none_is_in_memory() -> None:
    async def scenario() -> None:
        tasks = LoopTasks()
        world = await make_world(tasks)
        await world.put()
        assert len(world.streams.envelope._opened) == 1
        await world.clock.advance(KEPT_MS)
        assert not world.streams.envelope._opened
        assert await world.get() == [b"x"]
        await tasks.stop()

    run(scenario())


def test_log_when_the_stream_is_encrypted_then_it_holds_neither_keys_nor_data() -> None:
    async def scenario() -> None:
        tasks = LoopTasks()
        world = await make_world(tasks)
        await world.put()
        [view] = world.streams.directory.all()
        [held] = view.shards.values()
        page = await world.streams.reader._log.read(
            held.log, (await world.streams.reader._log.bounds(held.log)).start, 9, 999
        )
        assert page.keys[0] == b"\xff\x00\x00\x00\x01"
        assert len(page.data[0]) == 12 + 2 + len("k") + len("x") + 16
        await tasks.stop()

    run(scenario())


def test_data_key_when_its_stream_is_gone_then_the_next_start_forgets_it() -> None:
    async def scenario() -> None:
        tasks = LoopTasks()
        world = await make_world(tasks)
        await world.put()
        meta = world.streams.directory._meta
        [view] = world.streams.directory.all()
        assert view.newest_key is not None
        lost = replace(view.newest_key, uid=StreamUid("b" * 20 + "-bbb"))
        await meta.commit([Write(lost.key, encode(lost), 0)])
        await Directory(meta).open()
        assert [key for key, _ in await meta.scan("streams/datakey/")] == [view.newest_key.key]
        await tasks.stop()

    run(scenario())


def test_data_keys_when_nobody_swept_yet_then_old_ones_are_not_used() -> None:
    async def scenario() -> None:
        tasks = LoopTasks()
        world = await make_world(tasks)
        await world.put()
        await world.kms.keys.change(world.key.id, lambda held: replace(held, enabled=False))
        world.clock.ms += KEPT_MS - 1
        await world.put()
        world.clock.ms += 1
        for use in (world.put, world.put_many, world.get):
            with pytest.raises(ServiceError, match=r"is disabled\.$"):
                await use()
        await tasks.stop()

    run(scenario())


def test_stream_when_records_wait_for_one_data_key_then_kms_is_asked_once() -> None:
    async def scenario() -> None:
        tasks = LoopTasks()
        world = await make_world(tasks)
        writes = [begin(world.put()) for _ in range(20)]
        for write in writes:
            await write
        [view] = world.streams.directory.all()
        assert (list(view.data_keys), world.slow.generated) == ([1], 1)
        assert len(await world.get()) == 20
        await tasks.stop()

    run(scenario())
