"""The simulation itself: one seed is one run, and each planted bug is found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sim_consumer import run_consumer_seed
from sim_consumer_plants import CONSUMER_PLANTS
from sim_delivery import run_delivery_seed
from sim_delivery_plants import DELIVERY_PLANTS
from sim_mapping import run_mapping_seed
from sim_mapping_plants import MAPPING_PLANTS
from sim_pool import first_failure, run_chunk
from sim_run import run_seed
from sim_streams import run_streams_seed
from sim_streams_plants import STREAMS_PLANTS

ROOT = Path(__file__).parents[2]
CONSUMER_SEEDS_MAX = 60  # measured: each is found in the first twenty
STREAMS_SEEDS_MAX = 60  # measured: each is found in the first ten
MAPPING_SEEDS_MAX = 20  # measured: each is found in the first three
DELIVERY_SEEDS_MAX = 200
SEEDS_MAX = {  # within which a planted bug must be found; measured: a tenth to a third of it
    "acknowledged_before_the_sync": 60,
    "segments_not_synced": 60,
    "replay_with_gaps": 60,
    "seen_before_it_is_durable": 60,
    "manifests_not_synced": 60,
    "folder_not_synced": 60,
    "journal_name_not_synced": 60,
    "drafted_while_it_is_written": 60,
    "torn_tail_kept": 300,
    "tail_not_made_durable": 500,
}


def _trace(seed: int, hash_seed: int) -> str:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "sim.py"), "replay", str(seed)],
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not ended.stderr
    return ended.stdout


@pytest.mark.parametrize("seed", [1, 7])
def test_replay_when_hashes_differ_then_the_trace_is_the_same(seed: int) -> None:
    first, second = _trace(seed, 1), _trace(seed, 2)
    assert first == second
    assert first.count("\n") > 300


def test_run_seed_when_run_twice_in_one_process_then_the_trace_is_the_same() -> None:
    first: list[str] = []
    second: list[str] = []
    run_seed(5, first.append)
    run_seed(5, second.append)
    assert first == second


@pytest.mark.parametrize("plant", list(SEEDS_MAX))
def test_planted_bug_when_simulated_then_it_is_found(plant: str) -> None:
    run, failed = first_failure(range(1, SEEDS_MAX[plant] + 1), plant)
    assert failed is not None, f"{plant} was not found in {run} worlds"


@pytest.mark.parametrize("plant", list(STREAMS_PLANTS))
def test_planted_bug_of_resharding_when_simulated_then_it_is_found(plant: str) -> None:
    run, failed = first_failure(range(1, STREAMS_SEEDS_MAX + 1), plant, world="streams")
    assert failed is not None, f"{plant} was not found in {run} worlds"


def test_run_streams_seed_when_run_twice_then_the_trace_is_the_same() -> None:
    first: list[str] = []
    second: list[str] = []
    run_streams_seed(3, first.append)
    run_streams_seed(3, second.append)
    assert first == second


@pytest.mark.parametrize("plant", list(CONSUMER_PLANTS))
def test_planted_bug_of_leases_when_simulated_then_it_is_found(plant: str) -> None:
    run, failed = first_failure(range(1, CONSUMER_SEEDS_MAX + 1), plant, world="consumer")
    assert failed is not None, f"{plant} was not found in {run} worlds"


def test_run_consumer_seed_when_run_twice_then_the_trace_is_the_same() -> None:
    first: list[str] = []
    second: list[str] = []
    run_consumer_seed(3, first.append)
    run_consumer_seed(3, second.append)
    assert first == second


@pytest.mark.parametrize("plant", list(MAPPING_PLANTS))
def test_planted_bug_of_mappings_when_simulated_then_it_is_found(plant: str) -> None:
    run, failed = run_chunk(
        list(range(1, MAPPING_SEEDS_MAX + 1)), plant, "mapping"
    )  # found at once: no pool is worth it
    assert failed is not None, f"{plant} was not found in {run} worlds"


def test_run_mapping_seed_when_run_twice_then_the_trace_is_the_same() -> None:
    first: list[str] = []
    second: list[str] = []
    run_mapping_seed(3, first.append)
    run_mapping_seed(3, second.append)
    assert first == second


@pytest.mark.parametrize("plant", list(DELIVERY_PLANTS))
def test_planted_bug_of_delivery_when_simulated_then_it_is_found(plant: str) -> None:
    run, failed = first_failure(range(1, DELIVERY_SEEDS_MAX + 1), plant, world="delivery")
    assert failed is not None, f"{plant} was not found in {run} worlds"


def test_run_delivery_seed_when_run_twice_then_the_trace_is_the_same() -> None:
    first: list[str] = []
    second: list[str] = []
    run_delivery_seed(3, first.append)
    run_delivery_seed(3, second.append)
    assert first == second
