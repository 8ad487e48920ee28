"""How functions run: what `--functions` asks for, on this machine."""

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from penstock.composition.logs import open_logs
from penstock.composition.room import Room
from penstock.core.ids import Millis
from penstock.core.invoke_errors import InvokeError
from penstock.core.limits import MINUTE_MS
from penstock.core.settings import functions_mode
from penstock.host.clock import SteadyClock, SystemClock, monotonic_s
from penstock.host.httppost import HttpPost
from penstock.host.threads import WorkThreads
from penstock.host.wards import Wards
from penstock.host.workplace import Workplace, survey_machine
from penstock.services.functions.invoking import FunctionSource, FunctionVersion, Invoker
from penstock.services.functions.running.code import CodeStore
from penstock.services.functions.running.concurrency import Concurrency
from penstock.services.functions.running.environment import Credentials
from penstock.services.functions.running.launching import Launcher, ProcessLauncher, Seen, Uids
from penstock.services.functions.running.meter import Meter
from penstock.services.functions.running.remote import RemoteRunner
from penstock.services.functions.running.runner import Runner
from penstock.services.functions.running.sandbox import SandboxLauncher
from penstock.services.functions.running.surroundings import Surroundings
from penstock.services.metrics.own import OwnMetrics

if TYPE_CHECKING:
    from penstock.services.iam.service import Iam

STARTS_AT_ONCE: Final = 2 * (os.cpu_count() or 1)
ROLE_MS: Final = 60 * MINUTE_MS  # that credentials of an execution role are good for
ROLE_SPARE_MS: Final = 16 * MINUTE_MS  # longer than any invocation: a process is not used when they end sooner


def mode_of(room: Room) -> tuple[str, str]:
    """How functions run, and the URL of an endpoint."""
    mode, url = functions_mode(room.settings.functions)
    return mode or ("process" if room.settings.auth == "open" else "off"), url


class Running(NamedTuple):
    """Who runs functions."""

    invoker: Invoker
    end: Callable[[], None]  # what runs now
    close: Callable[[], Awaitable[None]]


async def open_runner(room: Room, source: FunctionSource, threads: WorkThreads) -> Running | None:
    """Who runs the functions of a source; None where nobody does."""
    mode, url = mode_of(room)
    if mode == "off":
        return None
    steady = room.clock if room.settings.testing else SteadyClock()
    around = Surroundings(room.clock, steady, SystemClock(), room.entropy, room.tasks, monotonic_s)
    logs = await room.open(open_logs)
    meter = Meter(OwnMetrics(room.metrics.store, "AWS/Lambda"), room.clock, room.tasks)
    concurrency = Concurrency(room.settings.function_concurrency)
    if mode == "endpoint":
        post = HttpPost(url)

        async def hang_up() -> None:
            post.close()

        return Running(RemoteRunner(source, post, around, logs, meter, concurrency), lambda: None, hang_up)
    place = Workplace()
    wards = Wards(lambda: place.path)
    code = CodeStore(room.engine.blobs, place, threads, room.clock)
    keys = RoleKeys(room) if room.settings.auth == "enforced" else OpenKeys()
    runner = Runner(
        source, code, _launcher(room, mode, wards, place), around, logs, meter, keys, concurrency, STARTS_AT_ONCE
    )

    async def close() -> None:
        runner.end()
        await wards.close()
        place.close()

    return Running(runner, runner.end, close)


def _launcher(room: Room, mode: str, wards: Wards, place: Workplace) -> Launcher:
    machine = survey_machine(os.environ.get("NODE_PATH", ""))
    uids = Uids(machine, room.entropy)
    if mode == "sandbox":
        return SandboxLauncher(wards, machine, uids, lambda: room.endpoint)
    seen = Seen(lambda: room.endpoint, str(room.data_dir.resolve()))
    return ProcessLauncher(wards, place, machine, uids, seen)


class OpenKeys:
    """With `--auth open`: a function calls as its account."""

    async def of_role(self, version: FunctionVersion) -> Credentials:
        """Credentials that name the account."""
        return Credentials(version.account, "test")


class RoleKeys:
    """With `--auth enforced`: a function calls as its execution role, which has to trust Lambda."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def of_role(self, version: FunctionVersion) -> Credentials:
        """Temporary credentials.  Raises CANNOT_RUN where the role is not there or trusts somebody else."""
        from penstock.composition.identities import open_identities

        iam: Iam = await self._room.open(open_identities)
        return await _assume(iam, version, Millis(self._room.clock.now_ms()))


async def _assume(iam: "Iam", version: FunctionVersion, now_ms: Millis) -> Credentials:
    from penstock.services.iam.evaluate import Identity, Need, Request, evaluate
    from penstock.services.iam.identities import trust_policy
    from penstock.services.iam.keys import Circumstances
    from penstock.services.iam.principals import service
    from penstock.services.iam.vault import Session

    role = iam.identities.find_role(version.role)
    policy = trust_policy(role.trust) if role is not None else None
    if role is None or policy is None or role.account != version.account:
        raise InvokeError.CANNOT_RUN(why=f"there is no role {version.role}")
    facts = Circumstances(now_ms, secure=True, resource_tags=role.tags)
    request = Request("sts:AssumeRole", role.arn, role.account, policy, facts.lookup, Need.TRUST)
    if not evaluate(Identity(service("lambda.amazonaws.com")), request).allowed:
        raise InvokeError.CANNOT_RUN(why="the role defined for the function cannot be assumed by Lambda")
    session = Session("role", role.account, role.name, role.uid, version.name, now_ms, Millis(now_ms + ROLE_MS))
    made = await iam.temporary(session)
    return Credentials(made.key_id, made.secret, made.token, now_ms + ROLE_MS - ROLE_SPARE_MS)
