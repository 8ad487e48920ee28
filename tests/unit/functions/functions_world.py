"""A runner of functions without a server: real processes, a clock that can be advanced, and a log to look at."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Region
from penstock.host.clock import SystemClock, TestClock, monotonic_s
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks
from penstock.host.threads import WorkThreads
from penstock.host.wards import Wards
from penstock.host.workplace import Workplace, survey_machine
from penstock.services.functions.invoking import CodeRef, FunctionVersion, Invocation, Invoked, Invoker
from penstock.services.functions.running.code import CodeStore
from penstock.services.functions.running.concurrency import Concurrency
from penstock.services.functions.running.environment import Credentials
from penstock.services.functions.running.launching import Launcher, ProcessLauncher, Seen, Uids
from penstock.services.functions.running.meter import Meter
from penstock.services.functions.running.runner import Runner
from penstock.services.functions.running.surroundings import Surroundings

ACCOUNT, REGION = AccountId("123456789012"), Region("us-east-1")
PATIENCE_S = 60.0

MakeLauncher = Callable[[Wards, Workplace, Uids, Seen], Launcher]


class Blobs:
    """Archives by name."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    async def get(self, name: str) -> bytes:
        return self.held[name]


class Log:
    """What was logged, by group and stream."""

    def __init__(self) -> None:
        self.streams: dict[tuple[str, str], list[str]] = {}

    def put(self, account: str, region: str, group: str, stream: str, at_ms: int, message: str) -> None:
        self.streams.setdefault((group, stream), []).append(message)

    @property
    def text(self) -> str:
        return "".join(message for messages in self.streams.values() for message in messages)


class Told:
    """Metrics that were told."""

    def __init__(self) -> None:
        self.measures: list[tuple[dict[str, str], Any]] = []

    def take(self, account: AccountId, region: Region, dimensions: Mapping[str, str], at_ms: int, measure: Any) -> None:
        self.measures.append((dict(dimensions), measure))


class Keys:
    until_ms: int | None = None  # that credentials are good for

    async def of_role(self, version: FunctionVersion) -> Credentials:
        return Credentials(version.account, "secret", until_ms=self.until_ms)


class Missing(Exception):
    """Nobody knows the function."""


class World:
    """One runner, and the functions that it knows."""

    def __init__(self, folder: Path, make_launcher: MakeLauncher | None, account_max: int) -> None:
        self.folder = folder
        self.clock, self.log, self.told, self.blobs = TestClock(), Log(), Told(), Blobs()
        self.clock.stand()  # or a busy machine takes the time that a function has
        self.keys = Keys()
        self.tasks, self.threads, entropy = LoopTasks(), WorkThreads(), SystemEntropy()
        self.place = Workplace()
        self.wards = Wards(lambda: self.place.path)
        self.functions: dict[str, FunctionVersion] = {}
        machine = survey_machine()
        uids, seen = Uids(machine, entropy), Seen(lambda: "http://127.0.0.1:1", str(folder))
        launcher = (
            ProcessLauncher(self.wards, self.place, machine, uids, seen)
            if make_launcher is None
            else make_launcher(self.wards, self.place, uids, seen)
        )
        around = Surroundings(self.clock, self.clock, SystemClock(), entropy, self.tasks, monotonic_s)
        self.meter = Meter(self.told, self.clock, self.tasks)
        code = CodeStore(self.blobs, self.place, self.threads, self.clock)
        self.runner = Runner(self, code, launcher, around, self.log, self.meter, self.keys, Concurrency(account_max), 4)
        self.invoker: Invoker = self.runner

    def find(self, account: AccountId, region: Region, function: str) -> FunctionVersion:
        if function not in self.functions:
            raise ServiceError("ResourceNotFoundException", f"Function not found: {function}", 404)
        return self.functions[function]

    def add(
        self, name: str, handler: str = "app.handler", code: CodeRef | None = None, **others: Any
    ) -> FunctionVersion:
        """A function that is known from now on."""
        version = FunctionVersion(
            arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}",
            account=ACCOUNT,
            region=REGION,
            name=name,
            version=others.pop("version", "$LATEST"),
            revision=others.pop("revision", "1"),
            runtime=others.pop("runtime", "python3.12"),
            handler=handler,
            role=f"arn:aws:iam::{ACCOUNT}:role/r",
            code=code or CodeRef("", directory=str(self.place_for(name))),
            **others,
        )
        self.functions[name] = version
        return version

    def place_for(self, name: str) -> Path:
        """The directory of a function, which everybody may read."""
        path = Path(self.place.path, f"source-{name}")
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
        return path

    def python(self, name: str, source: str, **others: Any) -> FunctionVersion:
        """A function in Python."""
        self.place_for(name).joinpath("app.py").write_text(source)
        return self.add(name, **others)

    def bootstrap(self, name: str, source: str, **others: Any) -> FunctionVersion:
        """A function with a runtime of its own, in Python."""
        path = self.place_for(name) / "bootstrap"
        path.write_text(f"#!{sys.executable}\n{source}")
        path.chmod(0o755)
        return self.add(name, runtime="provided.al2023", **others)

    async def invoke(self, function: str, event: Any = None, **others: Any) -> Invoked:
        """Invoke a function."""
        payload = b"" if event is None else msgspec.json.encode(event)
        invocation = Invocation(ACCOUNT, REGION, function, others.pop("payload", payload), **others)
        async with asyncio.timeout(PATIENCE_S):
            return await self.invoker.invoke(invocation)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for what other processes do."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await SystemClock().sleep(5)

    async def close(self) -> None:
        """Leave nothing behind."""
        self.runner.end()
        await self.tasks.stop()
        await self.wards.close()
        self.threads.close()
        self.place.close()


@asynccontextmanager
async def world(
    folder: Path, make_launcher: MakeLauncher | None = None, account_max: int = 1000
) -> AsyncIterator[World]:
    """A world for a test."""
    made = World(folder, make_launcher, account_max)
    try:
        yield made
    finally:
        await made.close()


def document(invoked: Invoked) -> Any:
    """What a function answered."""
    return msgspec.json.decode(invoked.payload)


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it is not merely unburied."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
