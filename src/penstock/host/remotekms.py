"""An external KMS, AWS's or one that speaks like it, asked through botocore's client.

Theory.  botocore blocks, so it is asked in a few threads of its own.  Credentials are found as every AWS tool finds them.  Each question
ends within TIMEOUT_S; one that failed is not asked again for RETRY_MS, so that a KMS that is away costs one question and not one for
each record that waits.
Rules of this file: botocore is imported only when an endpoint was named; no key in plain is kept here.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Final

from penstock.core.context import Caller
from penstock.core.errors import Error, ServiceError
from penstock.core.ports import Clock

logger = logging.getLogger(__name__)

TIMEOUT_S: Final = 10
RETRY_MS: Final = 1000
_CONNECT_S: Final = 2
_READ_S: Final = 4
_ATTEMPTS: Final = 2
_THREADS: Final = 4
_SERVER_FAULT: Final = 500
_DATA_KEY: Final = "AES_256"
_REFUSED_MAX: Final = 1000


class NoCredentials(Exception):
    """There are no AWS credentials to sign with."""


class RemoteKms:
    """One external KMS."""

    def __init__(self, endpoint: str, clock: Clock) -> None:
        from botocore.session import Session

        self._session = Session()
        if self._session.get_credentials() is None:
            raise NoCredentials("no AWS credentials were found (AWS_ACCESS_KEY_ID, ~/.aws/credentials, ...)")
        self._endpoint = endpoint
        self._clock = clock
        self._clients: dict[str, Any] = {}  # by region
        self._making = Lock()
        self._threads = ThreadPoolExecutor(_THREADS, "kms")
        self._refused: dict[tuple[str, ...], tuple[int, ServiceError]] = {}  # what was refused lately, and when

    async def resolve(self, caller: Caller, text: str) -> str:
        """The ARN of the key that a text means now.  A predefined alias is given its key by this question."""
        answer = await self._ask(caller, "describe_key", (text,), KeyId=text)
        return str(answer["KeyMetadata"]["Arn"])

    async def generate(self, caller: Caller, arn: str, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """A new data key: in plain, and encrypted."""
        answer = await self._ask(
            caller, "generate_data_key", (arn,), KeyId=arn, KeySpec=_DATA_KEY, EncryptionContext=dict(context)
        )
        return bytes(answer["Plaintext"]), bytes(answer["CiphertextBlob"])

    async def decrypt(self, caller: Caller, arn: str, blob: bytes, context: Mapping[str, str]) -> bytes:
        """A data key in plain again."""
        answer = await self._ask(
            caller, "decrypt", (arn, blob.hex()), KeyId=arn, CiphertextBlob=blob, EncryptionContext=dict(context)
        )
        return bytes(answer["Plaintext"])

    def authorize(self, caller: Caller, action: str, arn: str, context: Mapping[str, str]) -> None:
        """The external KMS knows none of our callers; it decides about the server's own credentials when it is asked."""

    def close(self) -> None:
        """Ask no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for client in self._clients.values():
            client.close()

    async def _ask(self, caller: Caller, operation: str, about: tuple[str, ...], **arguments: object) -> dict[str, Any]:
        key = (caller.region, operation, *about)
        at_ms, refusal = self._refused.get(key, (0, None))
        if refusal is not None and 0 <= self._clock.now_ms() - at_ms < RETRY_MS:
            raise ServiceError(refusal.code, refusal.message, refusal.status)
        self._refused.pop(key, None)
        try:
            return await self._within(lambda: getattr(self._client(caller.region), operation)(**arguments))
        except ServiceError as error:
            if len(self._refused) >= _REFUSED_MAX:
                self._refused.clear()
            self._refused[key] = self._clock.now_ms(), error
            raise

    async def _within(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        loop = asyncio.get_running_loop()
        told: asyncio.Future[dict[str, Any]] = loop.create_future()
        loop.run_in_executor(self._threads, call).add_done_callback(lambda asked: _pass_on(asked, told))
        timer = loop.call_later(TIMEOUT_S, _give_up, told)  # not asyncio.timeout: who asks need not be a task
        try:
            return await told
        except ClientError as error:
            raise _told(error.response) from None
        except (BotoCoreError, TimeoutError) as error:
            logger.error("the KMS at %s cannot be asked: %s", self._endpoint, str(error) or "it does not answer")
            raise Error.INTERNAL_FAILURE() from None
        finally:
            timer.cancel()

    def _client(self, region: str) -> Any:
        """The client of a region.  Runs in a thread: to make one takes 0.1 s."""
        from botocore.config import Config

        with self._making:  # a client may be shared by threads, but not the session that makes it
            client = self._clients.get(region)
            if client is None:
                retries: Any = {"total_max_attempts": _ATTEMPTS, "mode": "standard"}
                config = Config(connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries=retries)
                client = self._session.create_client("kms", region, endpoint_url=self._endpoint, config=config)
                self._clients[region] = client
            return client


def _pass_on(asked: "asyncio.Future[dict[str, Any]]", told: "asyncio.Future[dict[str, Any]]") -> None:
    """Give an answer to who waits for it, if anybody still does."""
    error = None if asked.cancelled() else asked.exception()
    if told.done():
        return
    if asked.cancelled():
        told.cancel()
    elif error is not None:
        told.set_exception(error)
    else:
        told.set_result(asked.result())


def _give_up(told: "asyncio.Future[dict[str, Any]]") -> None:
    if not told.done():
        told.set_exception(TimeoutError())


def _told(answer: Mapping[str, Any]) -> ServiceError:
    """What the KMS refused with.  The fault of its side is a fault of ours."""
    error = answer.get("Error", {})
    if answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _SERVER_FAULT:
        logger.error("the KMS failed: %s %s", error.get("Code"), error.get("Message"))
        return Error.INTERNAL_FAILURE()
    return ServiceError(str(error.get("Code", "")), error.get("Message"))
