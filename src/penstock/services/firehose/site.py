"""Sites: where steps and destinations stand; whose they are, and what of the server they may use."""

from dataclasses import dataclass
from typing import Final, Protocol

from penstock.core.ids import AccountId, Region
from penstock.core.lakehouse import Lakehouse
from penstock.core.network import Network
from penstock.core.ports import Clock, Entropy, Threads
from penstock.core.snowpipe import Snowpipe
from penstock.core.warehouse import Warehouses
from penstock.engines.buckets import PLAIN, Body, ObjectHead
from penstock.services.targets import RoleRights
from penstock.wire.signing import AwsCredentials


class Objects(Protocol):
    """Objects of buckets, as destinations need them.  Both methods raise the exceptions of engines/buckets.py."""

    async def put(self, bucket: str, key: str, body: Body, head: ObjectHead = PLAIN) -> None:
        """Write one, durably."""
        ...

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """Read one."""
        ...


class SecretSource(Protocol):
    """Secrets that configurations name by ARN."""

    async def get(self, account: AccountId, region: Region, arn: str) -> str:
        """The secret's text.  Raises ServiceError."""
        ...


@dataclass(frozen=True, slots=True)
class Places:
    """Where destinations are that AWS finds by an ARN, and whom the server is to them; settings of the server."""

    search_endpoint: str = ""  # of OpenSearch domains; may hold user:password@
    buckets_root: str = ""  # the folder of the server's own buckets; empty: they are in S3
    credentials: AwsCredentials | None = None  # that requests to OpenSearch are signed with; None: they are not signed


NO_PLACES: Final = Places()


@dataclass(frozen=True, slots=True)
class Site:
    """A delivery stream, to its steps and its destination."""

    account: AccountId
    region: Region
    stream: str  # the delivery stream's name
    arn: str
    version: str  # VersionId, part of object keys
    source_arn: str | None  # of the Kinesis stream
    clock: Clock
    entropy: Entropy
    threads: Threads
    objects: Objects
    secrets: SecretSource | None = None  # None: there is no Secrets Manager here
    network: Network | None = None  # None: nothing can be called from here
    warehouses: Warehouses | None = None  # None: no database can be reached from here
    lakehouse: Lakehouse | None = None  # None: there are no tables of Iceberg here
    snowpipe: Snowpipe | None = None  # None: Snowflake cannot be reached from here
    places: Places = NO_PLACES
    rights: RoleRights | None = None  # None: every role may do everything
