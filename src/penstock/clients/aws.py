"""Calls to AWS services, or to a server that speaks like them, from asyncio.

Theory.  botocore knows how credentials are found (environment, files, SSO, roles of containers and machines), which host serves a
region, and how a request is signed; but it blocks.  So each service is asked in a few threads of its own: `call` is a coroutine, and no
more calls are under way than there are threads - the others wait their turn.
Each call is made once unless `attempts` says otherwise: who calls decides what may be repeated (`calls.fate_of`).
Rules of this file:
  1. botocore is imported, and a client made, by the first call, in its thread: both take a tenth of a second.
  2. A call ends within `deadline_ms` for whoever waits for it, whatever the other side does; its thread follows when the socket's
     time-outs let it, and an event stream that it is answered with then is closed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from socket import SHUT_RDWR
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit

_BODY: Final = "penstock-body"  # an argument that is none of the operation's
_AWS_DOMAINS: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_JSON: Final = "application/x-amz-json-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role to assume with the credentials that are found; its sessions are renewed as they end."""

    arn: str
    external_id: str | None = None
    session_name: str = "penstock"
    sts_endpoint: str | None = None  # a URL; None: AWS's, or that of the environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where a service is, who asks, and how patiently.  Whatever is left out is found as every AWS SDK finds it."""

    endpoint: str | None = None  # a URL
    region: str | None = None
    profile: str | None = None  # of the AWS configuration files
    access_key_id: str | None = None  # with secret_access_key; None: from the usual chain
    secret_access_key: str | None = None
    session_token: str | None = None
    role: Role | None = None
    ca_file: str | None = None  # certificates to trust instead of the usual ones
    verify: bool = True  # whether certificates are verified at all
    proxy: str | None = None  # a URL
    connect_ms: int = 6000
    read_ms: int = 6000  # longest silence of the other side
    deadline_ms: int = 60_000  # of one call, all in all
    threads: int = 24  # calls that may be under way at a time, and connections that are kept
    attempts: int = 1  # 1: no call is repeated
    user_agent: str = ""  # added to the usual one

    @property
    def trust(self) -> str | bool | None:
        """As botocore wants it: a file, nothing at all, or what the environment (AWS_CA_BUNDLE) and the machine say."""
        return self.ca_file if self.verify else False


class Service:
    """One service, by its name in botocore: `kinesis`, `firehose`, `dynamodb`, `cloudwatch`, ...  `client`: one that is there already."""

    def __init__(self, name: str, connection: Connection, client: Any = None) -> None:
        self._name = name
        self._connection = connection
        self._threads = ThreadPoolExecutor(connection.threads, f"penstock-{name}")
        self._making = Lock()
        self._client = client

    async def call(self, operation: str, /, **arguments: object) -> dict[str, Any]:
        """Make a call: `await kinesis.call("list_shards", StreamName="orders")`, named as in boto3.

        Raises one of `calls.CALL_ERRORS`; TimeoutError after `deadline_ms`, when it may still be carried out.
        """
        asked = self._threads.submit(self.ask, operation, **arguments)
        try:
            async with asyncio.timeout(
                self._connection.deadline_ms / 1000
            ):  # wait_for can lose a cancellation, until 3.12
                return await asyncio.wrap_future(asked)
        except BaseException:
            asked.add_done_callback(_let_go)
            raise

    def ask(self, operation: str, /, **arguments: object) -> dict[str, Any]:
        """`call` for a program that may block."""
        answer: dict[str, Any] = getattr(self.client, operation)(**arguments)
        return answer

    async def call_encoded(self, operation: str, body: Callable[[], bytes], /, **arguments: object) -> dict[str, Any]:
        """`call` with a body in JSON that is made in the thread, for what is too large to be serialised by botocore.

        `arguments` tell botocore where to send it.  Cost: 5 ms of CPU for 5 MB, where botocore's own serialiser takes 60.
        """
        return await self.call(operation, **arguments, **{_BODY: body})

    async def events(self, stream: Iterable[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
        """The events of an event stream that a call has answered with.  While one is awaited, a thread is busy with it.

        Raises one of `calls.CALL_ERRORS` where the stream breaks.
        """
        loop = asyncio.get_running_loop()
        source: Iterator[dict[str, Any]] = iter(stream)
        while (event := await loop.run_in_executor(self._threads, next, source, None)) is not None:
            yield event

    @property
    def client(self) -> Any:
        """Botocore's client, made when it is first asked for."""
        with self._making:
            if self._client is None:
                self._client = _make_client(self._name, self._connection)
            return self._client

    def close(self) -> None:
        """Take no more calls; those under way are left to end, those that wait are cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._making:
            if self._client is not None:
                self._client.close()


def hang_up(stream: Any) -> None:
    """Close an event stream, also where a thread waits for its next event: without its socket shut, closing waits for that thread.

    botocore and urllib3 have no public way to the socket; where this one is not there, closing takes until the next event.
    """
    connection = getattr(getattr(stream, "_raw_stream", None), "_connection", None)
    sock = getattr(connection, "sock", None)
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(SHUT_RDWR)
    stream.close()


def _let_go(asked: "Future[dict[str, Any]]") -> None:
    """Nobody waits for the answer any more."""
    if not asked.cancelled() and asked.exception() is None:
        for stream in asked.result().values():
            if hasattr(stream, "close"):
                hang_up(stream)


def _make_client(name: str, connection: Connection) -> Any:
    from botocore.config import Config

    session = make_session(connection)
    retries: Any = {"total_max_attempts": connection.attempts, "mode": "standard"}
    config = Config(
        connect_timeout=connection.connect_ms / 1000,
        read_timeout=connection.read_ms / 1000,
        max_pool_connections=connection.threads,
        parameter_validation=False,  # the service says it better
        retries=retries,
        proxies=None if connection.proxy is None else {"http": connection.proxy, "https": connection.proxy},
        user_agent_extra=f"penstock/{version('penstock')} {connection.user_agent}".strip(),
    )
    client = session.create_client(
        name, connection.region, endpoint_url=connection.endpoint, verify=connection.trust, config=config
    )
    client.meta.events.register(f"provide-client-params.{name}", _keep_body)
    client.meta.events.register(f"before-call.{name}", _put_body)
    if name == "kinesis" and not (urlsplit(client.meta.endpoint_url).hostname or "").endswith(_AWS_DOMAINS):
        client.meta.events.register(f"before-call.{name}", partial(_stay, client.meta.endpoint_url))
    return client


def _stay(endpoint_url: str, params: dict[str, Any], **_: object) -> None:
    """Send a call to the endpoint that was named, where botocore would send it to AWS: it does so for a StreamId."""
    params["url"] = endpoint_url.rstrip("/") + params["url_path"]


def _keep_body(params: dict[str, Any], context: dict[str, Any], **_: object) -> dict[str, Any] | None:
    if _BODY not in params:
        return None
    context[_BODY] = params[_BODY]
    return {key: value for key, value in params.items() if key != _BODY}


def _put_body(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    if (make := context.get(_BODY)) is not None:
        assert params["headers"]["Content-Type"].startswith(_JSON), "botocore speaks another protocol"
        params["body"] = make()


def make_session(connection: Connection) -> Any:
    """Botocore's session, with the credentials that were asked for."""
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.session import Session

    session: Any = Session(profile=connection.profile)
    if connection.access_key_id is not None:
        session.set_credentials(connection.access_key_id, connection.secret_access_key, connection.session_token)
    role = connection.role
    if role is not None:
        extra = {"RoleSessionName": role.session_name, **({"ExternalId": role.external_id} if role.external_id else {})}

        def create_client(name: str, **options: Any) -> Any:
            where = {"endpoint_url": role.sts_endpoint, "region_name": connection.region, "verify": connection.trust}
            return Session(profile=connection.profile).create_client(name, **{**where, **options})

        fetcher = AssumeRoleCredentialFetcher(create_client, session.get_credentials(), role.arn, extra)
        session._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    return session
