"""Shards: ListShards, with its filters, and how a shard is described."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from penstock.core import limits
from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.core.ids import Millis, StreamUid, parse_shard_id, shard_id
from penstock.services.streams import sequence
from penstock.services.streams.directory import StreamView
from penstock.services.streams.ops.naming import StreamRequest
from penstock.services.streams.ops.paging import page_token, read_page_token
from penstock.services.streams.reader import horizon_ms
from penstock.services.streams.service import Streams
from penstock.services.streams.state import Shard
from penstock.wire.operation import Input, Output

FilterType = Literal[
    "AFTER_SHARD_ID", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST", "AT_TIMESTAMP", "FROM_TIMESTAMP"
]


class HashKeyRange(Output):
    """Hash keys of a shard, decimal, both ends included."""

    starting_hash_key: str
    ending_hash_key: str


class SequenceNumberRange(Output):
    """Sequence numbers of a shard; open shards have no end."""

    starting_sequence_number: str
    ending_sequence_number: str | None = None


class ShardDescription(Output):
    """A shard."""

    shard_id: str
    hash_key_range: HashKeyRange
    sequence_number_range: SequenceNumberRange
    parent_shard_id: str | None = None
    adjacent_parent_shard_id: str | None = None


def describe_shard(shard: Shard) -> ShardDescription:
    """A shard as answers tell it."""
    return ShardDescription(
        shard_id=shard_id(shard.no),
        parent_shard_id=None if shard.parent_no is None else shard_id(shard.parent_no),
        adjacent_parent_shard_id=None if shard.adjacent_parent_no is None else shard_id(shard.adjacent_parent_no),
        hash_key_range=HashKeyRange(starting_hash_key=shard.hash_start, ending_hash_key=shard.hash_end),
        sequence_number_range=SequenceNumberRange(
            starting_sequence_number=sequence.starting(shard.origin),
            ending_sequence_number=None if shard.closed_ms is None else sequence.ending(shard.origin, shard.closed_ms),
        ),
    )


class ChildShard(Output):
    """A shard that continues a closed one."""

    shard_id: str
    parent_shards: list[str]
    hash_key_range: HashKeyRange


def describe_children(children: Sequence[Shard]) -> list[ChildShard]:
    """The shards that continue a closed one, as answers tell them."""
    return [
        ChildShard(
            shard_id=shard_id(child.no),
            parent_shards=[shard_id(no) for no in (child.parent_no, child.adjacent_parent_no) if no is not None],
            hash_key_range=HashKeyRange(starting_hash_key=child.hash_start, ending_hash_key=child.hash_end),
        )
        for child in children
    ]


class ShardFilter(Input):
    """Which shards to list."""

    type: FilterType
    shard_id: str | None = None
    timestamp: Millis | None = None


class ListShardsRequest(StreamRequest, kw_only=True):
    """ListShards."""

    next_token: str | None = None
    exclusive_start_shard_id: str | None = None
    max_results: int = limits.LIST_SHARDS_PAGE
    stream_creation_timestamp: Millis | None = None
    shard_filter: ShardFilter | None = None


class ListShardsOutput(Output):
    """A page of shards."""

    shards: list[ShardDescription]
    next_token: str | None = None


class _Selection(msgspec.Struct, frozen=True):
    """A listing under way, as its token carries it."""

    uid: StreamUid
    filter: ShardFilter | None


async def list_shards(streams: Streams, caller: Caller, request: ListShardsRequest) -> ListShardsOutput:
    """List a stream's shards by id, 1,000 at a time unless MaxResults says otherwise."""
    if request.next_token is not None:
        view, selection, after = _resume(streams, caller, request, request.next_token)
    else:
        view, selection, after = _begin(streams, caller, request)
    shards = [held.shard for held in view.shards.values()] if view.stream.status != "CREATING" else []
    chosen = [shard for shard in _select(shards, selection.filter, view, streams.clock.now_ms()) if shard.no > after]
    page = chosen[: request.max_results]
    more = len(chosen) > len(page)
    scope = msgspec.json.encode(selection).decode()
    return ListShardsOutput(
        shards=[describe_shard(shard) for shard in page],
        next_token=page_token(streams, caller, "ListShards", str(page[-1].no), scope) if more else None,
    )


def _begin(streams: Streams, caller: Caller, request: ListShardsRequest) -> tuple[StreamView, _Selection, int]:
    view = streams.find(caller, request)
    created_ms = view.stream.created_ms
    if (
        request.stream_creation_timestamp is not None
        and request.stream_creation_timestamp // 1000 != created_ms // 1000
    ):
        raise Error.STREAM_NOT_FOUND(stream=view.stream.name, account=caller.account)
    if request.shard_filter is not None:
        if request.exclusive_start_shard_id is not None:
            raise Error.SHARD_FILTER_AND_START()
        _check_filter(request.shard_filter, streams.clock.now_ms())
    after = -1
    if request.exclusive_start_shard_id is not None:
        after = _shard_number(caller, view, request.exclusive_start_shard_id)
    if request.shard_filter is not None and request.shard_filter.shard_id is not None:
        after = _shard_number(caller, view, request.shard_filter.shard_id)
    return view, _Selection(view.stream.uid, request.shard_filter), after


def _resume(
    streams: Streams, caller: Caller, request: ListShardsRequest, text: str
) -> tuple[StreamView, _Selection, int]:
    if request.stream_name is not None:
        raise Error.NEXT_TOKEN_AND_NAME()
    for member, given in (
        ("ExclusiveStartShardId", request.exclusive_start_shard_id),
        ("StreamCreationTimestamp", request.stream_creation_timestamp),
        ("ShardFilter", request.shard_filter),
    ):
        if given is not None:
            raise Error.NEXT_TOKEN_AND_OTHER(member=member)
    token = read_page_token(streams, caller, "ListShards", text)
    selection = msgspec.json.decode(token.scope, type=_Selection)
    view = streams.directory.find_uid(selection.uid)
    named = request.stream_arn is not None or request.stream_id is not None
    if view is None or (named and streams.find(caller, request) is not view):
        raise Error.NEXT_TOKEN_INVALID()
    return view, selection, int(token.after)


def _shard_number(caller: Caller, view: StreamView, text: str) -> int:
    number = parse_shard_id(text)
    if number is None:
        raise Error.SHARD_NOT_FOUND(shard=text, stream=view.stream.name, account=caller.account)
    return number


def _check_filter(shard_filter: ShardFilter, now_ms: int) -> None:
    """Hold a filter's members against its type.  Source: the API reference's text on ShardFilter."""
    kind = shard_filter.type
    for member, given, wanted in (
        ("ShardId", shard_filter.shard_id, kind == "AFTER_SHARD_ID"),
        ("Timestamp", shard_filter.timestamp, kind in ("AT_TIMESTAMP", "FROM_TIMESTAMP")),
    ):
        if wanted and given is None:
            raise Error.SHARD_FILTER_MEMBER_NEEDED(type=kind, member=member)
        if given is not None and not wanted:
            raise Error.SHARD_FILTER_MEMBER_UNWANTED(type=kind, member=member)
    if shard_filter.timestamp is not None and shard_filter.timestamp > now_ms:
        raise Error.TIMESTAMP_IN_FUTURE(given_ms=shard_filter.timestamp, now_ms=now_ms)


def _select(shards: Sequence[Shard], shard_filter: ShardFilter | None, view: StreamView, now_ms: int) -> list[Shard]:
    horizon = max(horizon_ms(view, now_ms), view.stream.created_ms)
    kind: FilterType = shard_filter.type if shard_filter is not None else "FROM_TRIM_HORIZON"
    at_ms = shard_filter.timestamp if shard_filter is not None and shard_filter.timestamp is not None else horizon
    return select(shards, kind, max(at_ms, horizon))


def select(shards: Sequence[Shard], kind: FilterType, at_ms: int) -> list[Shard]:
    """The shards that a filter keeps; `at_ms` is its moment, or the trim horizon for the types that name none.

    Source: the API reference's text on ShardFilter.
    """
    match kind:
        case "AFTER_SHARD_ID":
            return list(shards)
        case "AT_LATEST":
            return [shard for shard in shards if shard.closed_ms is None]
        case "FROM_TRIM_HORIZON" | "FROM_TIMESTAMP":
            return [shard for shard in shards if shard.closed_ms is None or shard.closed_ms >= at_ms]
        case "AT_TRIM_HORIZON" | "AT_TIMESTAMP":
            return [
                shard
                for shard in shards
                if shard.created_ms <= at_ms and (shard.closed_ms is None or shard.closed_ms >= at_ms)
            ]
