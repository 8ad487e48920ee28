"""The durable engine in many simulated worlds: whatever the disk does, the history stays true.

PENSTOCK_SIM_SEEDS says how many; CI says 2000, which takes about a minute and a half on two cores.
"""

import os

import pytest
from sim_pool import first_failure

SEEDS = int(os.environ.get("PENSTOCK_SIM_SEEDS", "50"))


def test_worlds_when_disks_fail_and_machines_crash_then_every_history_is_true() -> None:
    run, failed = first_failure(range(1, SEEDS + 1))
    if failed is not None:
        pytest.fail(str(failed), pytrace=False)
    assert run == SEEDS
