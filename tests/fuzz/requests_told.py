"""What a request says, whoever read it: the native part, a fast decoder or the generic one."""

from typing import Any

from penstock.core.hashkeys import hash_key
from penstock.services.streams.ops.record import HashedRecordRequest, PutRecordRequest, PutRecordsRequest


def told(request: Any) -> Any:
    """Its content, to be compared."""
    if isinstance(request, HashedRecordRequest):
        assert request.partition_key is not None
        assert request.hash_key == hash_key(request.partition_key.encode())
        return PutRecordRequest(stream_name=request.stream_name, data=request.data, partition_key=request.partition_key)
    if not isinstance(request, PutRecordsRequest):
        return request
    name = (request.stream_name, request.stream_arn, request.stream_id, request.dry_run)
    if request.framed is not None:
        keys, data, hashes = request.framed.lists()
        return name, [key.decode() for key in keys], data, [int.from_bytes(one, "big") for one in hashes]
    if None in request.partition_keys:
        return name, request.partition_keys, request.data, request.explicit_hash_keys
    keys_given = [key for key in request.partition_keys if key is not None]
    hash_keys = [
        hash_key(key.encode()) if explicit is None else int(explicit)
        for key, explicit in zip(keys_given, request.explicit_hash_keys, strict=True)
    ]
    return name, keys_given, request.data, hash_keys
