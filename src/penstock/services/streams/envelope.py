"""The envelope: data keys of encrypted streams, and the records that they seal.

Theory.  A stream's records are sealed with a data key of the stream's own.  The data key is made by KMS, with the stream's ARN as its
encryption context; what is kept of it is encrypted under the stream's master key, and is durable before any record needs it.  After
ROTATION_MS, or when the stream is given another master key, a new one is made.  Old ones stay as long as the records that they sealed.
In plain a data key is in memory only, and for KEPT_MS at most: then KMS is asked again.  So a master key that is disabled, deleted or
taken away is noticed after that time, and an alias that was given another key too.
Rules of this file:
  1. Nonces are random, 12 bytes for each record: one data key seals an hour of records, which is below 2**32.
  2. Whoever calls is authorised by itself, at each request; what is in memory is nobody's permission.
  3. What KMS refuses is told as the streams' operations tell it.  PutRecords is refused whole.  Source: the API model lists these
     errors for the operation, and says that ErrorCode of a record is throughput or internal failure.
"""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penstock.core.arn import stream_arn
from penstock.core.context import Caller
from penstock.core.errors import Error, ServiceError
from penstock.core.ids import Millis, StreamUid
from penstock.core.kms_errors import KmsError, stream_key_error
from penstock.core.limits import HOUR_MS, MINUTE_MS
from penstock.core.ports import Clock, Entropy, Tasks
from penstock.engines.api import Conflict, LogId, Page
from penstock.services.streams.directory import Directory, ShardView, StreamView
from penstock.services.streams.sealed import (
    NONCE_BYTES,
    OpenedPage,
    Tampered,
    key_cell,
    number_in,
    open_page,
    seal_rows,
    sealed_cells,
)
from penstock.services.streams.state import DataKey, Stream

logger = logging.getLogger(__name__)

ROTATION_MS: Final = HOUR_MS  # a data key seals records for so long
KEPT_MS: Final = 5 * MINUTE_MS  # a data key is in memory for so long after KMS gave it
CONTEXT: Final = "aws:kinesis:arn"
GENERATE: Final = "kms:GenerateDataKey"
DECRYPT: Final = "kms:Decrypt"

Result = TypeVar("Result")


class KeyService(Protocol):
    """A KMS, our own or another.  Every method raises its refusals as ServiceError; `caller` tells the account and region."""

    async def resolve(self, caller: Caller, text: str) -> str:
        """The ARN of the key that a key's id, ARN or alias means now."""
        ...

    async def generate(self, caller: Caller, arn: str, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """A new data key of 32 bytes: in plain, and encrypted."""
        ...

    async def decrypt(self, caller: Caller, arn: str, blob: bytes, context: Mapping[str, str]) -> bytes:
        """A data key in plain again."""
        ...

    def authorize(self, caller: Caller, action: str, arn: str, context: Mapping[str, str]) -> None:
        """Raise if a caller may not use a key so."""
        ...


class NoKeys:
    """Where there is no KMS: no key is found."""

    async def resolve(self, caller: Caller, text: str) -> str:
        """None."""
        raise KmsError.NO_KEY_ID(key_id=text)

    async def generate(self, caller: Caller, arn: str, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """None."""
        raise KmsError.NO_KEY(arn=arn)

    async def decrypt(self, caller: Caller, arn: str, blob: bytes, context: Mapping[str, str]) -> bytes:
        """None."""
        raise KmsError.NO_KEY(arn=arn)

    def authorize(self, caller: Caller, action: str, arn: str, context: Mapping[str, str]) -> None:
        """Nothing to refuse."""


class _Opened(NamedTuple):
    """A data key in plain."""

    cipher: AESGCM
    at_ms: Millis  # when KMS gave it


class Seal:
    """What the records of one request are sealed with."""

    __slots__ = ("_cipher", "_entropy", "_number")

    def __init__(self, cipher: AESGCM, number: int, entropy: Entropy) -> None:
        self._cipher = cipher
        self._number = number
        self._entropy = entropy

    def rows(self, log: LogId, keys: Sequence[bytes], data: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        """The cells of records for a log: keys and data."""
        nonces = self._entropy.bytes(NONCE_BYTES * len(keys))
        return [key_cell(self._number)] * len(keys), seal_rows(self._cipher, log, keys, data, nonces)


class Envelope:
    """Seals and opens records of encrypted streams."""

    def __init__(self, keys: KeyService, directory: Directory, clock: Clock, entropy: Entropy, tasks: Tasks) -> None:
        self._keys = keys
        self._directory = directory
        self._clock = clock
        self._entropy = entropy
        self._tasks = tasks
        self._opened: dict[tuple[StreamUid, int], _Opened] = {}
        self._turns: dict[StreamUid, asyncio.Lock] = {}  # one question to KMS at a time for each stream
        self._sweeping = False

    async def check_key(self, caller: Caller, key_id: str) -> None:
        """Raise a StreamKeyError unless a caller may encrypt a stream with a key."""
        arn = await _told(self._keys.resolve(caller, key_id))
        self._authorize(caller, "kms:DescribeKey", arn, {})

    async def seal_for(self, caller: Caller, view: StreamView) -> Seal | None:
        """What a caller's records are sealed with now; None in a stream that is not encrypted.  Raises StreamKeyError.

        Cost: 1 us while the data key is in memory, beside what authorisation costs.
        """
        known = self._known(view)
        if known is None:
            async with self._turns.setdefault(view.stream.uid, asyncio.Lock()):
                known = self._known(view) or await self._renew(view)  # another may have asked while this waited
        if known is None:
            return None
        newest, cipher = known
        self._authorize(caller, GENERATE, newest.arn, _context(view.stream))
        return Seal(cipher, newest.no, self._entropy)

    async def open(self, view: StreamView, held: ShardView, page: Page) -> Page:
        """A page as it was written: with its sealed records opened, if it has any.  Raises StreamKeyError."""
        cells = sealed_cells(page)
        if not cells:
            return page
        ciphers = {cell: await self._cipher(view, number_in(cell)) for cell in sorted(cells)}
        try:
            return open_page(page, held.log, ciphers)
        except Tampered:
            logger.error("a record of log %s between %s and %s does not open", held.log, page.first, page.next)
            raise Error.INTERNAL_FAILURE() from None

    def check_page(self, caller: Caller, view: StreamView, page: OpenedPage) -> None:
        """Raise a StreamKeyError unless a caller may read what was sealed in a page."""
        known = (view.data_keys.get(number) for number in page.numbers)
        self._check_reader(caller, view, {held.data_key.arn for held in known if held is not None})

    def check_reader(self, caller: Caller, view: StreamView) -> None:
        """Raise a StreamKeyError unless a caller may read all that is sealed in a stream."""
        self._check_reader(caller, view, {held.data_key.arn for held in view.data_keys.values()})

    def _check_reader(self, caller: Caller, view: StreamView, arns: set[str]) -> None:
        context = _context(view.stream)
        for arn in sorted(arns):
            self._authorize(caller, DECRYPT, arn, context)

    def _authorize(self, caller: Caller, action: str, arn: str, context: Mapping[str, str]) -> None:
        try:
            self._keys.authorize(caller, action, arn, context)
        except ServiceError as error:
            raise stream_key_error(error) from None

    def _current(self, view: StreamView) -> DataKey | None:
        """The data key that seals now, if it is not to be replaced for its age or its master key."""
        newest = view.newest_key
        if newest is None or newest.key_id != view.stream.key_id:
            return None
        return newest if 0 <= self._clock.now_ms() - newest.created_ms < ROTATION_MS else None

    def _known(self, view: StreamView) -> tuple[DataKey, AESGCM] | None:
        """The data key that seals now, if it is in memory."""
        newest = self._current(view)
        cipher = None if newest is None else self._kept(view.stream.uid, newest.no)
        return None if newest is None or cipher is None else (newest, cipher)

    def _kept(self, uid: StreamUid, number: int) -> AESGCM | None:
        opened = self._opened.get((uid, number))
        if opened is None or not 0 <= self._clock.now_ms() - opened.at_ms < KEPT_MS:
            return None
        return opened.cipher

    async def _renew(self, view: StreamView) -> tuple[DataKey, AESGCM] | None:
        """The data key that seals from now on: the present one if KMS still gives it, or a new one."""
        stream, newest = view.stream, self._current(view)
        if stream.key_id is None:
            return None
        arn = await _told(self._keys.resolve(_owner(stream), stream.key_id))
        if newest is not None and newest.arn == arn:
            return newest, await self._ask(stream, newest)
        return await self._make(view, stream.key_id, arn)

    async def _make(self, view: StreamView, key_id: str, arn: str) -> tuple[DataKey, AESGCM]:
        stream = view.stream
        plain, blob = await _told(self._keys.generate(_owner(stream), arn, _context(stream)))
        while True:
            number = max(view.data_keys, default=0) + 1
            made = DataKey(
                uid=stream.uid, no=number, key_id=key_id, arn=arn, blob=blob, created_ms=self._clock.now_ms()
            )
            try:
                await self._directory.add_data_key(view, made)
            except Conflict:  # another process took the number
                continue
            return made, self._keep(stream.uid, number, plain)

    async def _cipher(self, view: StreamView, number: int) -> AESGCM:
        """A data key in plain, from memory or KMS."""
        uid = view.stream.uid
        kept = self._kept(uid, number)
        if kept is not None:
            return kept
        async with self._turns.setdefault(uid, asyncio.Lock()):
            kept = self._kept(uid, number)
            if kept is not None:
                return kept
            held = view.data_keys.get(number)
            if held is None:
                logger.error("data key %d of stream %s is not there: metadata was lost", number, view.stream.name)
                raise Error.INTERNAL_FAILURE()
            return await self._ask(view.stream, held.data_key)

    async def _ask(self, stream: Stream, data_key: DataKey) -> AESGCM:
        asked = self._keys.decrypt(_owner(stream), data_key.arn, data_key.blob, _context(stream))
        return self._keep(stream.uid, data_key.no, await _told(asked))

    def _keep(self, uid: StreamUid, number: int, plain: bytes) -> AESGCM:
        cipher = AESGCM(plain)
        self._opened[uid, number] = _Opened(cipher, self._clock.now_ms())
        if not self._sweeping:
            self._sweeping = True
            self._tasks.spawn(self._sweep(), "data keys")
        return cipher

    async def _sweep(self) -> None:
        """Forget what was in memory long enough, while there is anything."""
        try:
            while self._opened:
                await self._clock.sleep(MINUTE_MS)
                now_ms = self._clock.now_ms()
                for known in [key for key, opened in self._opened.items() if not 0 <= now_ms - opened.at_ms < KEPT_MS]:
                    del self._opened[known]
                for uid in [uid for uid, turn in self._turns.items() if not turn.locked()]:
                    del self._turns[uid]
        finally:
            self._sweeping = False


def _context(stream: Stream) -> dict[str, str]:
    """The encryption context of a stream's data keys."""
    return {CONTEXT: stream_arn(stream.region, stream.account, stream.name)}


def _owner(stream: Stream) -> Caller:
    """Whose question it is to KMS: the stream's, in its account and region."""
    return Caller(stream.account, stream.region, "", "kinesis:GetRecords")


async def _told(asked: Awaitable[Result]) -> Result:
    try:
        return await asked
    except ServiceError as error:
        raise stream_key_error(error) from None
