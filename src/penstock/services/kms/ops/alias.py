"""Aliases: names that can be given to another key."""

import re
from typing import Final

import msgspec
from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.ids import Millis
from penstock.core.kms_errors import KmsError
from penstock.engines.api import Conflict
from penstock.services.kms.keys import AWS_ALIASES
from penstock.services.kms.ops.key import check_staying
from penstock.services.kms.ops.paging import PAGE, page_of
from penstock.services.kms.service import Kms
from penstock.services.kms.state import Alias, Key, Place, alias_arn
from penstock.wire.operation import Input, Output

PREFIX: Final = "alias/"
ALIASES_MAX: Final = 50  # of one key, a quota of AWS
_NAME = re.compile(r"alias/[a-zA-Z0-9/_-]+", re.ASCII)


class AliasRequest(Input):
    """CreateAlias and UpdateAlias."""

    alias_name: str
    target_key_id: str


async def create_alias(kms: Kms, caller: Caller, request: AliasRequest) -> None:
    """Give a key another name.

    Raises ALIAS_PREFIX, ALIAS_NAME, ALIAS_RESERVED, ALIAS_TARGET, ALIAS_EXISTS, ALIAS_LIMIT, PENDING_DELETION.
    """
    name, place = request.alias_name, Place(caller.account, caller.region)
    _check_name(name)
    key = _target(kms, caller, request.target_key_id)
    if kms.keys.find_alias(place, name) is not None:
        raise KmsError.ALIAS_EXISTS(arn=alias_arn(place, name))
    now_ms = kms.clock.now_ms()
    alias = Alias(
        account=place.account, region=place.region, name=name, key_id=key.id, created_ms=now_ms, updated_ms=now_ms
    )
    stale = kms.keys.stored_alias(place, name)  # its key is gone, and it was not swept yet
    try:
        await kms.keys.store(alias, 0 if stale is None else stale.version)
    except Conflict:
        raise KmsError.ALIAS_EXISTS(arn=alias.arn) from None


async def update_alias(kms: Kms, caller: Caller, request: AliasRequest) -> None:
    """Give an alias another key.  Raises ALIAS_PREFIX, ALIAS_NAME, ALIAS_RESERVED, NO_ALIAS, ALIAS_TARGET, PENDING_DELETION."""
    name, place = request.alias_name, Place(caller.account, caller.region)
    _check_name(name)
    key = _target(kms, caller, request.target_key_id)
    while True:
        held = kms.keys.find_alias(place, name)
        if held is None:
            raise KmsError.NO_ALIAS(arn=alias_arn(place, name))
        try:
            await kms.keys.store(replace(held.record, key_id=key.id, updated_ms=kms.clock.now_ms()), held.version)
        except Conflict:
            continue
        return


class DeleteAliasRequest(Input):
    """DeleteAlias."""

    alias_name: str


async def delete_alias(kms: Kms, caller: Caller, request: DeleteAliasRequest) -> None:
    """Forget an alias; its key stays.  Raises ALIAS_PREFIX, ALIAS_NAME, ALIAS_RESERVED, NO_ALIAS."""
    name, place = request.alias_name, Place(caller.account, caller.region)
    _check_name(name)
    while True:
        held = kms.keys.find_alias(place, name)
        if held is None:
            raise KmsError.NO_ALIAS(arn=alias_arn(place, name))
        kms.find(caller, held.record.key_id)
        try:
            await kms.keys.remove_alias(held)
        except Conflict:
            continue
        return


class ListAliasesRequest(Input):
    """ListAliases."""

    key_id: str | None = None
    limit: int = PAGE
    marker: str | None = None


class AliasEntry(Output):
    """An alias in a listing."""

    alias_name: str
    alias_arn: str = msgspec.field(name="AliasArn")
    target_key_id: str
    creation_date: Millis
    last_updated_date: Millis


class AliasesAnswer(Output):
    """A page of aliases."""

    aliases: list[AliasEntry]
    truncated: bool
    next_marker: str | None = None


async def list_aliases(kms: Kms, caller: Caller, request: ListAliasesRequest) -> AliasesAnswer:
    """List the aliases of the caller's account and region, or of one key."""
    key = None if request.key_id is None else kms.find(caller, request.key_id).record
    found = kms.keys.aliases(Place(caller.account, caller.region))
    wanted = [alias for alias in found if key is None or alias.key_id == key.id]
    page, marker = page_of(wanted, lambda alias: alias.name, request.limit, request.marker)
    rows = [
        AliasEntry(
            alias_name=alias.name,
            alias_arn=alias.arn,
            target_key_id=alias.key_id,
            creation_date=alias.created_ms,
            last_updated_date=alias.updated_ms,
        )
        for alias in page
    ]
    return AliasesAnswer(aliases=rows, next_marker=marker, truncated=marker is not None)


def _check_name(name: str) -> None:
    if not name.startswith(PREFIX):
        raise KmsError.ALIAS_PREFIX()
    if not _NAME.fullmatch(name):
        raise KmsError.ALIAS_NAME(name=name)
    if name.startswith(AWS_ALIASES):
        raise KmsError.ALIAS_RESERVED()


def _target(kms: Kms, caller: Caller, text: str) -> Key:
    """A customer's key of the caller's own account, by its id or ARN.  It must be allowed to be named so, like the alias."""
    if text.startswith(PREFIX) or ":alias/" in text:
        raise KmsError.ALIAS_TARGET()
    key = kms.find_own(caller, text).record
    check_staying(key)
    if sum(alias.key_id == key.id for alias in kms.keys.aliases(key.place)) >= ALIASES_MAX:
        raise KmsError.ALIAS_LIMIT(limit=ALIASES_MAX)
    return key
