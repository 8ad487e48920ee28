"""Functions (Lambda): their operations and their core."""

from functools import partial
from typing import TYPE_CHECKING, Final

from penstock.composition.rights import rights_of_roles
from penstock.composition.room import Held, Plug, Room
from penstock.composition.running import open_runner
from penstock.engines.api import BlobsUnavailable, NoSuchBlob
from penstock.host.threads import WorkThreads
from penstock.server.pages import CODE
from penstock.services.functions.ops import (
    alias,
    code,
    concurrency,
    configuration,
    event,
    function,
    invoke,
    mapping,
    permission,
    setting,
    tag,
    version,
)
from penstock.services.functions.outlets import Outlets
from penstock.services.functions.packages import Packages
from penstock.services.functions.service import Functions, open_functions
from penstock.wire.operation import Codec

if TYPE_CHECKING:
    from penstock.services.queues.service import Queues
    from penstock.services.topics.service import Topics

OPERATIONS: Final = (
    alias,
    code,
    concurrency,
    configuration,
    event,
    function,
    invoke,
    mapping,
    permission,
    setting,
    tag,
    version,
)
CODECS: Final[dict[str, Codec]] = {}
SESSION: Final = "awslambda"  # UNVERIFIED: the session's name when Lambda acts as the execution role


async def plug(room: Room) -> Plug:
    """The functions, and the mappings, which have a core of their own."""
    from penstock.composition.mappings import open_core as open_mappings

    functions = await room.open(open_core)
    mappings = await room.open(open_mappings)
    others = {mapping: mappings}
    if room.authoriser is None:
        return Plug(functions, others=others)
    from penstock.services.functions import targets
    from penstock.services.iam.actions import ResourceKind

    finders = {
        ResourceKind.FUNCTION: targets.function_finder(functions.directory),
        ResourceKind.FUNCTION_GIVEN: targets.tagged_finder(functions.directory),
        ResourceKind.MAPPING: targets.mapping,
        ResourceKind.ROLE: targets.role,
        ResourceKind.ANY: targets.unnamed,
    }
    return Plug(functions, room.authoriser.admit("lambda", finders), others)


async def open_core(room: Room) -> Held[Functions]:
    """Functions, as others use them too."""
    threads = WorkThreads()
    outlets = await room.open(open_outlets)
    functions = await open_functions(
        room.engine.meta,
        Packages(room.engine.blobs, room.engine.buckets, threads, directories=room.settings.auth == "open"),
        outlets,
        clock=room.clock,
        entropy=room.entropy,
        tasks=room.tasks,
        transition_ms=room.settings.transition_ms,
        code_path=CODE,
    )
    running = await open_runner(room, functions.directory, threads)
    if running is not None:
        functions.invoker = running.invoker
    await functions.events.open()

    async def clear() -> None:
        if running is not None:
            running.end()
        await functions.clear()

    async def close() -> None:
        if running is not None:
            await running.close()
        threads.close()

    return Held(functions, clear, close)


async def open_outlets(room: Room) -> Held[Outlets]:
    """Where records go; queues and topics are opened when the first goes to one."""
    rights = rights_of_roles(room, SESSION)
    return Held(Outlets(room.engine.buckets, partial(_queues, room), partial(_topics, room), rights=rights))


async def _queues(room: Room) -> "Queues":
    from penstock.composition.queues import open_queues

    return await room.open(open_queues)


async def _topics(room: Room) -> "Topics":
    from penstock.composition.topics import open_topics

    return await room.open(open_topics)


async def linked_code(room: Room, token: str) -> bytes | None:
    """The zip that a link is to; None for one that is over, or was given before a restart."""
    functions = room.opened(open_core)
    blob = None if functions is None else functions.links.blob(token)
    try:
        return None if blob is None else await room.engine.blobs.get(blob)
    except (NoSuchBlob, BlobsUnavailable):
        return None
