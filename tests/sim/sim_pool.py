"""Many seeds on all cores."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import Final

from sim_consumer import run_consumer_seed
from sim_consumer_plants import CONSUMER_PLANTS
from sim_delivery import run_delivery_seed
from sim_delivery_plants import DELIVERY_PLANTS
from sim_mapping import run_mapping_seed
from sim_mapping_plants import MAPPING_PLANTS
from sim_plants import PLANTS, nothing
from sim_run import SeedFailed, run_seed
from sim_streams import run_streams_seed
from sim_streams_plants import STREAMS_PLANTS

PROCESSES: Final = 2
CHUNK_SEEDS: Final = 10
AHEAD_CHUNKS: Final = 3  # given out for each process, so that none waits
WORLDS: Final = {
    "engine": run_seed,
    "streams": run_streams_seed,
    "consumer": run_consumer_seed,
    "mapping": run_mapping_seed,
    "delivery": run_delivery_seed,
}


def run_chunk(seeds: list[int], plant: str | None = None, world: str = "engine") -> tuple[int, SeedFailed | None]:
    """Run seeds one after the other, until one fails; answer how many were run."""
    for done, seed in enumerate(seeds, start=1):
        try:
            with {**PLANTS, **STREAMS_PLANTS, **CONSUMER_PLANTS, **MAPPING_PLANTS, **DELIVERY_PLANTS}.get(
                plant or "", nothing
            )():
                WORLDS[world](seed)
        except SeedFailed as failed:
            return done, failed
    return len(seeds), None


def first_failure(
    seeds: Iterable[int],
    plant: str | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
    world: str = "engine",
) -> tuple[int, SeedFailed | None]:
    """Run seeds on all cores until one fails; answer how many were run, and the failure."""
    chunks = _chunks(iter(seeds))
    total = 0
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        running: list[Future[tuple[int, SeedFailed | None]]] = []
        for chunk in chunks:
            running.append(pool.submit(run_chunk, chunk, plant, world))
            if len(running) < PROCESSES * AHEAD_CHUNKS:
                continue
            done, failed = running.pop(0).result()
            total += done
            on_progress(total)
            if failed is not None:
                pool.shutdown(cancel_futures=True)
                return total, failed
        for future in running:
            done, failed = future.result()
            total += done
            on_progress(total)
            if failed is not None:
                pool.shutdown(cancel_futures=True)
                return total, failed
    return total, None


def _chunks(seeds: Iterator[int]) -> Iterator[list[int]]:
    while chunk := list(islice(seeds, CHUNK_SEEDS)):
        yield chunk
