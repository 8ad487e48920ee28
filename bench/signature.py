"""What a verified signature costs: `python -m bench.signature`.

PutRecords of 100 bytes, signed by botocore and sent with the headers that boto3 sends, are looked at again and again; 256 different ones
take turns, so that no two signatures in a row are the same.  With `--auth enforced` that is the signature, the identity and what
policies say; with `--auth open` the credential's form.  What else a request costs is the same for both: `python -m bench.inprocess`.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import uvloop
from botocore.credentials import Credentials

from bench import payload, signing
from bench.scenarios import STREAM
from penstock.composition import open_services
from penstock.core.ids import AccountId
from penstock.core.settings import Settings
from penstock.engine import open_engine
from penstock.host.clock import SystemClock
from penstock.host.entropy import SystemEntropy
from penstock.server.door import OpenDoor
from penstock.server.http1 import parse_head
from penstock.services.iam.authorisation import Authoriser
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams.ops.stream import CreateStreamRequest, create_stream
from penstock.services.streams.targets import finders
from penstock.wire.route import Entry, Head, Route

ROUNDS: Final = 7
CALLS: Final = 20_000
VARIANTS: Final = 256
BUDGET_US: Final = 15.0
SENT: Final = {
    "Accept-Encoding": "identity",
    "User-Agent": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.11.7",
    "amz-sdk-invocation-id": "4c2b2d19-6d43-4d2b-9c4f-1f1f6e9f7b0e",
    "amz-sdk-request": "attempt=1",
}

Call = tuple[Route, Head, bytes, Any]  # with the input read from the body
Step = Callable[[Call], None]


def singles() -> list[dict[str, Any]]:
    """Documents of PutRecord."""
    return [payload.put_record(STREAM, each) for each in payload.records(VARIANTS, payload.PUT_RECORD_BYTES)]


async def steps(operation: str, documents: list[dict[str, Any]]) -> tuple[dict[str, Step], list[Call]]:
    """What is timed, and the calls to time it with."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        settings = Settings(engine="memory", auth="enforced", data_dir=folder)
        clock, entropy = SystemClock(), SystemEntropy()
        engine = await open_engine(settings, Path(folder), clock, entropy)
        services = await open_services(settings, engine, Path(folder), clock, entropy, StreamMetrics())
        made = await (await services.iam()).new_key(AccountId(settings.account_id), None)
        signed, opened = services.door, OpenDoor(settings.account_id)
        gate = Authoriser((await services.iam()).identities, clock).gate(
            "kinesis", operation, finders(services.streams)
        )
        assert gate is not None, "not everybody may put records"
        key = Credentials(made.record.id, made.secret)
        calls = []
        for document in documents:
            request = signing.http_request(key, 4566, operation, document, SENT)
            head, _, body = request.partition(b"\r\n\r\n")
            read = parse_head(head).head
            route = services.router.route(read, body)
            while isinstance(route, Entry):
                await route.open()
                route = services.router.route(read, body)
            calls.append((route, read, body, route.operation.codec.decode["json"](body)))
        caller = signed.caller(*calls[0][:3])
        await create_stream(services.streams, caller, CreateStreamRequest(stream_name=STREAM, shard_count=1))
        await services.room.tasks.stop()
    return {
        "enforced": lambda call: gate(signed.caller(call[0], call[1], call[2]), call[3]),
        "signature alone": lambda call: void(signed.caller(call[0], call[1], call[2])),
        "open": lambda call: void(opened.caller(call[0], call[1], call[2])),
    }, calls


def void(_: object) -> None:
    """Nothing, so that all steps are called alike."""


def main() -> None:
    """Measure and print."""
    timed, calls = uvloop.run(steps("PutRecord", singles()))
    least = dict.fromkeys(timed, float("inf"))
    for _ in range(ROUNDS):
        for name, step in timed.items():
            started_s = time.process_time()
            for at in range(CALLS):
                step(calls[at % VARIANTS])
            least[name] = min(least[name], (time.process_time() - started_s) / CALLS * 1e6)
    more_us = least["enforced"] - least["open"]
    print(", ".join(f"{name} {figure:.1f} us" for name, figure in least.items()), end="; ")
    print(f"enforced costs {more_us:.1f} us more than open, of at most {BUDGET_US:.0f}")


if __name__ == "__main__":
    main()
