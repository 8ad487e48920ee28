"""The identity service on a MetaStore in memory, with a clock to set and seeded randomness."""

import asyncio
import json
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from penstock.core.context import Caller
from penstock.core.ids import AccountId, Millis, Region
from penstock.engines.memory import MemoryMeta
from penstock.host.entropy import SeededEntropy
from penstock.services.iam.ops import key, role, sts, user
from penstock.services.iam.service import Iam, open_iam

ACCOUNT = AccountId("123456789012")
OTHER = AccountId("222222222222")
NOW_MS = 1_790_000_000_000

Result = TypeVar("Result")


class SetClock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def now_ms(self) -> Millis:
        return Millis(self.ms)

    async def sleep(self, duration_ms: int) -> None:
        raise AssertionError("nothing here sleeps")


class KeyInMemory:
    """A master key that is there, or not yet."""

    def __init__(self, key: bytes | None = None) -> None:
        self.key = key

    async def read(self) -> bytes | None:
        return self.key

    async def make(self) -> bytes:
        self.key = self.key or bytes(range(32))
        return self.key


class NotFetched(Exception):
    pass


class World:
    """One service; `run` carries out what is asynchronous."""

    def __init__(
        self,
        meta: MemoryMeta | None = None,
        master: KeyInMemory | None = None,
        sources: Mapping[str, str] | None = None,
        documents: Mapping[str, bytes] | None = None,
    ) -> None:
        self.meta = meta or MemoryMeta()
        self.master = master or KeyInMemory()
        self.clock = SetClock()
        self.documents = dict(documents or {})
        self.fetched: list[str] = []
        self.iam: Iam = self.run(
            open_iam(
                self.meta,
                self.master,
                clock=self.clock,
                entropy=SeededEntropy(7),
                management=ACCOUNT,
                sources=sources or {},
                audiences=frozenset({"sts.amazonaws.com"}),
                fetch=self._fetch,
                refused=NotFetched,
            )
        )

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run(work)

    async def _fetch(self, source: str) -> bytes:
        self.fetched.append(source)
        if source not in self.documents:
            raise NotFetched(source)
        return self.documents[source]

    def user(self, name: str = "ann") -> None:
        self.run(user.create_user(self.iam, ROOT, user.CreateUserRequest(user_name=name)))

    def key(self, name: str | None = "ann") -> key.ToldKey:
        made = key.create_access_key(self.iam, ROOT, key.CreateAccessKeyRequest(user_name=name))
        return self.run(made).access_key

    def role(self, name: str = "reader", principal: object = None, **more: Any) -> role.ToldRole:
        statement = {"Effect": "Allow", "Principal": principal or {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        statement |= more.pop("statement", {})
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        request = role.CreateRoleRequest(role_name=name, assume_role_policy_document=document, **more)
        return self.run(role.create_role(self.iam, ROOT, request)).role

    def assume(self, caller: Caller, arn: str, **more: Any) -> sts.AssumeRoleOutput:
        request = sts.AssumeRoleRequest(role_arn=arn, role_session_name="me", **more)
        return self.run(sts.assume_role(self.iam, caller, request))


def caller(key_id: str = "test", token: str | None = None, account: AccountId = ACCOUNT) -> Caller:
    return Caller(account, Region("us-east-1"), key_id, "iam:Test", token)


ROOT = caller()


def with_(credentials: sts.Credentials) -> Caller:
    return caller(credentials.access_key_id, credentials.session_token)
