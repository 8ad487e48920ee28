"""The directory of functions: the view in memory that every operation and every invocation looks them up in.

Theory.  The MetaStore is the truth; the view is fed by one scan at start and then by the watch.  What is to be run is found here by name
and qualifier; an alias of two versions chooses one anew for each invocation.
Rule of this file: the view is changed in `_apply` and nowhere else.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from penstock.core.function_errors import FunctionError
from penstock.core.ids import AccountId, Region
from penstock.core.ports import Clock, Entropy
from penstock.engines.api import Change, Conflict, MetaStore, Write
from penstock.services.functions.invoking import LATEST, CodeRef, FunctionVersion
from penstock.services.functions.names import FunctionName, read_name
from penstock.services.functions.state import (
    FUNCTIONS,
    VERSIONS,
    Alias,
    Code,
    Function,
    Version,
    encode,
    function_decoder,
    function_key,
    read_version_key,
    version_decoder,
    version_key,
)


class Held(NamedTuple):
    """A function, and the version that its next writer must name."""

    function: Function
    version: int


class HeldVersion(NamedTuple):
    """A published version, and the version that who deletes it must name."""

    record: Version
    version: int


class Directory:
    """Every function of every account and region; the FunctionSource of who runs them."""

    def __init__(self, meta: MetaStore, clock: Clock, entropy: Entropy) -> None:
        self._meta = meta
        self._clock = clock
        self._entropy = entropy
        self._functions: dict[str, Held] = {}  # by MetaStore key
        self._versions: dict[str, dict[str, HeldVersion]] = {}  # by uid and number

    async def open(self) -> None:
        """Read what the store holds and follow it from then on."""
        for prefix in (FUNCTIONS, VERSIONS):
            self._meta.watch(prefix, self._apply)
            self._apply([Change(key, value) for key, value in await self._meta.scan(prefix)])

    # Lookups

    def held(self, name: FunctionName) -> Held:
        """A function by its name, whatever the qualifier.  Raises NO_FUNCTION."""
        found = self._functions.get(function_key(name.account, name.region, name.name))
        if found is None:
            raise FunctionError.NO_FUNCTION(arn=name.qualified_arn)
        return found

    def exists(self, name: FunctionName) -> bool:
        """Whether there is such a function, whatever the qualifier."""
        return function_key(name.account, name.region, name.name) in self._functions

    def get(self, name: FunctionName) -> Function | None:
        """A function by its name, if it is there."""
        found = self._functions.get(function_key(name.account, name.region, name.name))
        return None if found is None else found.function

    def version(self, function: Function, qualifier: str | None) -> Version | None:
        """The version that a qualifier means; of an alias the one that it mainly stands for."""
        if qualifier is None or qualifier == LATEST:
            return function.latest
        alias = function.aliases.get(qualifier)
        number = qualifier if alias is None else alias.version
        return self.published(function, number)

    def published(self, function: Function, number: str) -> Version | None:
        """A version by its number; $LATEST is one too, as aliases may stand for it."""
        if number == LATEST:
            return function.latest
        found = self._versions.get(function.uid, {}).get(number)
        return None if found is None else found.record

    def versions(self, function: Function) -> list[Version]:
        """The published versions, by number."""
        held = self._versions.get(function.uid, {})
        return [held[number].record for number in sorted(held, key=int)]

    def codes(self, function: Function) -> list[Code]:
        """The code of $LATEST and of the published versions."""
        latest = self._functions.get(function.key)
        current = [latest.function.latest] if latest is not None and latest.function.uid == function.uid else []
        return [version.code for version in (*current, *self.versions(function))]

    def of(self, account: str, region: str) -> list[Function]:
        """The functions of an account in a region, by name."""
        prefix = function_key(account, region, "")
        return [self._functions[key].function for key in sorted(self._functions) if key.startswith(prefix)]

    def find(self, account: AccountId, region: Region, function: str) -> FunctionVersion:
        """What it takes to run what a name means.  Raises NO_FUNCTION, OTHER_REGION, NAME_TOO_LONG, CONSTRAINT."""
        name = read_name(account, region, function)
        held = self.held(name)
        alias = held.function.aliases.get(name.qualifier or "")
        number = self._chosen(alias) if alias is not None else name.qualifier
        version = self.version(held.function, number)
        if version is None:
            raise FunctionError.NO_FUNCTION(arn=name.qualified_arn)
        return self._runnable(held.function, version, name, alias is not None)

    def _runnable(self, function: Function, version: Version, name: FunctionName, by_alias: bool) -> FunctionVersion:
        code = version.code
        logging = version.kept.get("LoggingConfig") or {}
        return FunctionVersion(
            arn=name.qualified_arn,
            account=function.account,
            region=function.region,
            name=function.name,
            version=version.number,
            revision=f"{function.uid}/{version.revision}",
            runtime=version.runtime,
            handler=version.handler,
            role=version.role,
            code=CodeRef(code.sha256, code.blob, code.directory),
            environment=version.environment,
            timeout_s=version.timeout_s,
            memory_mb=version.memory_mb,
            log_group=logging.get("LogGroup") or f"/aws/lambda/{function.name}",
            reserved_concurrency=function.reserved_concurrency,
            alias=name.qualifier if by_alias else None,
            state=version.state(self._clock.now_ms()),
        )

    def _chosen(self, alias: Alias) -> str:
        """The version of one invocation, by the shares."""
        left = self._entropy.fraction() if alias.weights else 1.0
        for number, weight in alias.weights.items():
            if left < weight:
                return number
            left -= weight
        return alias.version

    # Changes

    async def create(self, function: Function, published: Version | None = None) -> None:
        """Store a new function.  Raises EXISTS if its name is taken by then."""
        writes = [Write(function.key, encode(function), 0)]
        if published is not None:
            writes.append(Write(version_key(function.uid, published.number), encode(published), 0))
        try:
            await self._meta.commit(writes)
        except Conflict:
            raise FunctionError.EXISTS(name=function.name) from None

    async def replace(self, held: Held, function: Function, published: Version | None = None) -> None:
        """Store a function anew, and a version that it publishes.  Raises CHANGED if another change came first."""
        writes = [Write(function.key, encode(function), held.version)]
        if published is not None:
            writes.append(Write(version_key(function.uid, published.number), encode(published), 0))
        await self._commit(function, writes)

    async def change(self, name: FunctionName, how: Callable[[Function], Function]) -> Function:
        """Change a function, as often as another change comes first.  Raises NO_FUNCTION, and whatever `how` raises."""
        while True:
            held = self.held(name)
            function = how(held.function)
            try:
                await self._meta.commit([Write(function.key, encode(function), held.version)])
            except Conflict:
                continue
            return function

    async def remove(self, held: Held) -> None:
        """Forget a function with its versions.  Raises CHANGED."""
        function = held.function
        versions = self._versions.get(function.uid, {})
        writes = [Write(version_key(function.uid, number), None, one.version) for number, one in versions.items()]
        await self._commit(function, [Write(function.key, None, held.version), *writes])

    async def remove_version(self, held: Held, number: str) -> None:
        """Forget a published version with its policy and configuration, if it is there.  Raises CHANGED."""
        function = held.function
        found = self._versions.get(function.uid, {}).get(number)
        if found is not None:
            without = replace(
                function,
                policies={key: policy for key, policy in function.policies.items() if key != number},
                event_configs={key: config for key, config in function.event_configs.items() if key != number},
            )
            rest = Write(function.key, encode(without), held.version)  # no alias may be given it meanwhile
            await self._commit(function, [rest, Write(version_key(function.uid, number), None, found.version)])

    async def clear(self) -> None:
        """Forget everything.  Nothing else may be changing it."""
        for prefix in (FUNCTIONS, VERSIONS):
            entries = await self._meta.scan(prefix)
            if entries:
                await self._meta.commit([Write(key, None, held.version) for key, held in entries])

    def all(self) -> Iterator[Function]:
        """Every function of every account and region."""
        return (held.function for held in self._functions.values())

    async def _commit(self, function: Function, writes: Sequence[Write]) -> None:
        try:
            await self._meta.commit(writes)
        except Conflict:
            raise FunctionError.CHANGED(arn=function.arn) from None

    def _apply(self, changes: Sequence[Change]) -> None:
        for key, now in changes:
            if key.startswith(FUNCTIONS):
                if now is None:
                    self._functions.pop(key, None)
                elif key not in self._functions or self._functions[key].version < now.version:
                    self._functions[key] = Held(function_decoder.decode(now.value), now.version)
            else:
                uid, number = read_version_key(key)
                if now is None:
                    self._versions.get(uid, {}).pop(number, None)
                else:
                    held = HeldVersion(version_decoder.decode(now.value), now.version)
                    self._versions.setdefault(uid, {})[number] = held
