"""Event source mappings: their core, and what they reach of other services.  Their operations are Lambda's (functions.py)."""

from typing import TYPE_CHECKING, Final

from penstock.composition.functions import SESSION, open_outlets
from penstock.composition.functions import open_core as open_functions
from penstock.composition.room import Held, Room
from penstock.core.errors import ServiceError
from penstock.core.kms_errors import StreamKeyError
from penstock.core.mapping_errors import MappingError
from penstock.services.functions.invoking import Invocation, Invoked
from penstock.services.functions.mapping.destinations import Destinations
from penstock.services.functions.mapping.service import Mappings, open_mappings
from penstock.services.functions.service import Functions
from penstock.services.metrics.own import OwnMetrics
from penstock.services.streams.directory import StreamView

if TYPE_CHECKING:
    from penstock.services.iam.authorisation import Authoriser

STREAM_ACTIONS: Final = ("kinesis:DescribeStream", "kinesis:GetShardIterator", "kinesis:GetRecords")
CONSUMER_ACTIONS: Final = ("kinesis:SubscribeToShard",)


async def open_core(room: Room) -> Held[Mappings]:
    """Mappings, at work from now on."""
    functions = await room.open(open_functions)
    mappings = await open_mappings(
        room.engine.meta,
        room.streams,
        functions=functions.directory,
        invoker=_Invoker(functions),
        destinations=Destinations(await room.open(open_outlets), room.clock, room.entropy),
        clock=room.clock,
        entropy=room.entropy,
        tasks=room.tasks,
        transition_ms=room.settings.transition_ms,
        sink=OwnMetrics(room.metrics.store, "AWS/Lambda"),
        judge=None if room.authoriser is None else _Judge(room, room.authoriser),
    )
    functions.mappings = mappings.registry
    return Held(mappings, mappings.clear, end=mappings.close)


class _Judge:
    """Asks whether an execution role may read a source."""

    def __init__(self, room: Room, authoriser: "Authoriser") -> None:
        self._room = room
        self._authoriser = authoriser

    def why_not(self, role: str, source: str) -> ServiceError | None:
        """Why it may not read a stream, or subscribe to it as a consumer."""
        from penstock.services.streams.targets import target_of

        target = target_of(self._room.streams, source)
        actions = CONSUMER_ACTIONS if "/consumer/" in source else STREAM_ACTIONS
        denied = any(self._authoriser.why_role_not(role, SESSION, action, target) for action in actions)
        return MappingError.ROLE(arn=source) if denied else None

    def why_not_open(self, role: str, view: StreamView) -> ServiceError | None:
        """Why it may not decrypt what is sealed in a stream."""
        from penstock.composition.keys import why_role_may_not_decrypt

        for arn in sorted({held.data_key.arn for held in view.data_keys.values()}):
            why = why_role_may_not_decrypt(self._room, role, SESSION, arn)
            if why is not None:
                return StreamKeyError.DENIED(text=why)
        return None


class _Invoker:
    """Whoever runs functions, now."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    async def invoke(self, invocation: Invocation) -> Invoked:
        """Run a function."""
        return await self._functions.invoker.invoke(invocation)
