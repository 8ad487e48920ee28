"""The durable engine, the streams service on it, fleets of consumers, mappings and deliveries in many simulated worlds: whatever fails, the history stays true.

PENSTOCK_SIM_SEEDS says how many of the engine's, half as many are the service's, a quarter the consumers' and the mappings' each; of
deliveries half as many.
"""

import os

import pytest
from sim_pool import first_failure

SEEDS = int(os.environ.get("PENSTOCK_SIM_SEEDS", "50"))


@pytest.mark.parametrize(
    ("world", "seeds"),
    [
        ("engine", SEEDS),
        ("streams", SEEDS // 2),
        ("consumer", SEEDS // 4),
        ("mapping", SEEDS // 4),
        ("delivery", SEEDS),
    ],
)
def test_worlds_when_disks_fail_and_machines_crash_then_every_history_is_true(world: str, seeds: int) -> None:
    run, failed = first_failure(range(1, seeds + 1), world=world)
    if failed is not None:
        pytest.fail(str(failed), pytrace=False)
    assert run == seeds
