"""Accounts: what each has agreed to in a region, kept in the MetaStore; a small view like the directory's.

Theory.  MinimumThroughputBillingCommitment is a promise to pay for a least throughput.  It lasts 24 hours at least: who ends it earlier
has it end then, and may take that back until then.  Its state follows from two moments and the time, so nothing has to be done when it
ends.
Rules of this file: the view is changed in `_apply` and nowhere else.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from penstock.core.ids import AccountId, Millis, Region
from penstock.core.limits import COMMITMENT_MIN_MS
from penstock.engines.api import Change, Conflict, MetaStore, Write
from penstock.services.streams.state import ROOT

CommitmentStatus = Literal["ENABLED", "DISABLED", "ENABLED_UNTIL_EARLIEST_ALLOWED_END"]

ACCOUNTS: Final = ROOT + "account/"  # every key of this file begins with it


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of an account in a region.  Part of the data directory's format: add with a default, never rename."""

    account: AccountId
    region: Region
    committed_ms: Millis | None = None  # when the last commitment began; None: there never was one
    ends_ms: Millis | None = None  # when it ended, or will; None: nobody has asked for its end

    @property
    def key(self) -> str:
        """Its MetaStore key."""
        return f"{ACCOUNTS}{self.account}/{self.region}"

    @property
    def earliest_end_ms(self) -> Millis | None:
        """When the commitment can end at the earliest."""
        return None if self.committed_ms is None else Millis(self.committed_ms + COMMITMENT_MIN_MS)

    def commitment(self, now_ms: int) -> CommitmentStatus:
        """Where the commitment stands."""
        if self.committed_ms is None or (self.ends_ms is not None and now_ms >= self.ends_ms):
            return "DISABLED"
        return "ENABLED" if self.ends_ms is None else "ENABLED_UNTIL_EARLIEST_ALLOWED_END"

    def commit(self, now_ms: Millis) -> "Account":
        """The account with the commitment asked for: begun now, or its coming end taken back."""
        if self.commitment(now_ms) == "DISABLED":
            return replace(self, committed_ms=now_ms, ends_ms=None)
        return replace(self, ends_ms=None)

    def withdraw(self, now_ms: Millis) -> "Account":
        """The account with the end of the commitment asked for: now, or as early as is allowed."""
        if self.earliest_end_ms is None or self.commitment(now_ms) != "ENABLED":
            return self
        return replace(self, ends_ms=max(now_ms, self.earliest_end_ms))


_decoder = msgspec.msgpack.Decoder(Account)


class Accounts:
    """Accounts by number and region."""

    def __init__(self, meta: MetaStore) -> None:
        self._meta = meta
        self._held: dict[str, tuple[Account, int]] = {}  # by key, with its version

    async def open(self) -> None:
        """Read what the store holds and follow it from then on."""
        self._meta.watch(ACCOUNTS, self._apply)
        self._apply([Change(key, value) for key, value in await self._meta.scan(ACCOUNTS)])

    def find(self, account: str, region: str) -> Account:
        """An account's settings, or those that every account begins with."""
        new = Account(account=AccountId(account), region=Region(region))
        return self._held.get(new.key, (new, 0))[0]

    def is_committed(self, account: str, region: str, now_ms: int) -> bool:
        """Whether MinimumThroughputBillingCommitment is in force."""
        return self.find(account, region).commitment(now_ms) != "DISABLED"

    async def settle(self, account: str, region: str, *, committed: bool, now_ms: Millis) -> Account:
        """Ask for the commitment, or for its end; the account as it is then."""
        while True:
            held = self.find(account, region)
            wanted = held.commit(now_ms) if committed else held.withdraw(now_ms)
            if wanted == held:
                return held
            version = self._held.get(held.key, (held, 0))[1]
            try:
                await self._meta.commit([Write(wanted.key, msgspec.msgpack.encode(wanted), version)])
            except Conflict:  # another call came first: again, on top of it
                continue
            return wanted

    async def clear(self) -> None:
        """Forget every account.  Nothing else may be changing them."""
        if self._held:
            await self._meta.commit([Write(key, None, version) for key, (_, version) in self._held.items()])

    def _apply(self, changes: Sequence[Change]) -> None:
        for key, now in changes:
            if now is None:
                self._held.pop(key, None)
            elif (
                now.version > self._held.get(key, (None, 0))[1]
            ):  # else: from the scan at start, overtaken by the watch
                self._held[key] = _decoder.decode(now.value), now.version
